"""Generated tables: tokens with known effects, and used cars."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from sk_entity_embed.datasets._random import at_least, make_generator, number_names, popularity

_FUELS = {"petrol": 0.0, "diesel": 0.08, "gas": -0.1, "hybrid": 0.2}
_LATEST = 2016


@validate_params(
    {
        "n_tokens": at_least(2),
        "n_per_token": at_least(1),
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_token_effects(
    n_tokens: int = 5,
    n_per_token: int = 20,
    *,
    noise: float = 0.5,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make tokens of known effects on a number: the smallest test of what an embedding learns.

    The effects are evenly spaced from -2 to 2, so that five tokens have -2, -1, 0, 1 and 2; which
    token has which is random. The target is the token's effect and normal noise.

    Parameters
    ----------
    n_tokens : int, default=5
        Tokens, at least 2.
    n_per_token : int, default=20
        Rows of each token.
    noise : float, default=0.5
        Standard deviation of the noise, in units of the effects' standard deviation.
    random_state : int, RandomState instance or None, default=None
        Decides which token has which effect, noise and order of the rows.

    Returns
    -------
    Bunch
        `X`, a DataFrame with the column "token"; `y`, a Series; `effects`, a Series of the true
        effects by token.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_token_effects
    >>> data = make_token_effects(noise=0, random_state=0)
    >>> data.X.shape
    (100, 1)
    >>> sorted(data.effects.tolist())
    [-2.0, -1.0, 0.0, 1.0, 2.0]
    >>> bool((data.y == data.X["token"].map(data.effects)).all())
    True
    """
    random = make_generator(random_state)
    tokens = number_names("token", n_tokens)
    effects = random.permutation(np.linspace(-2, 2, n_tokens))
    codes = random.permutation(np.repeat(np.arange(n_tokens), n_per_token))
    y = effects[codes] + noise * effects.std() * random.normal(size=len(codes))
    return Bunch(
        X=pd.DataFrame({"token": tokens[codes]}),
        y=pd.Series(y, name="target"),
        effects=pd.Series(effects, index=pd.Index(tokens, name="token"), name="effect"),
    )


@validate_params(
    {
        "n_listings": at_least(1),
        "n_brands": at_least(1),
        "n_postal_codes": at_least(1),
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_listings(
    n_listings: int = 5000,
    *,
    n_brands: int = 12,
    n_postal_codes: int = 300,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make used cars for sale: a stand-in for listings of a marketplace.

    The logarithm of the price is a sum: the brand's and the model's level, fuel, gearbox and
    region, the power, a loss for every year and every kilometre, and noise. Brands and models
    differ in popularity; a region is the first two digits of the postal code.

    Parameters
    ----------
    n_listings : int, default=5000
        Rows.
    n_brands : int, default=12
        Brands, each with 3 to 8 models.
    n_postal_codes : int, default=300
        Postal codes, in up to 90 regions.
    random_state : int, RandomState instance or None, default=None
        Decides everything.

    Returns
    -------
    Bunch
        `X`, a DataFrame with the columns "brand", "model", "postal_code", "fuel", "gearbox"
        (strings), "year", "power" (PS) and "mileage" (km); `y`, a Series of prices;
        `brand_effects`, `model_effects` (brand included) and `region_effects`, Series of what
        each adds to the logarithm of the price.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_listings
    >>> data = make_listings(200, random_state=0)
    >>> data.X.columns.tolist()[:5]
    ['brand', 'model', 'postal_code', 'fuel', 'gearbox']
    >>> bool((data.y > 0).all()), bool(data.X["brand"].isin(data.brand_effects.index).all())
    (True, True)
    """
    random = make_generator(random_state)
    models = _make_models(n_brands, random)
    codes = np.sort(random.choice(90_000, n_postal_codes, replace=False)) + 10_000
    regions = pd.Series(random.normal(0, 0.1, 90), index=[str(i) for i in range(10, 100)])
    shares = popularity(len(models), random)
    sold = models.take(random.choice(len(models), n_listings, p=shares)).reset_index(drop=True)
    X = sold[["brand", "model"]].assign(
        postal_code=random.choice(codes, n_listings).astype(str),
        fuel=random.choice(list(_FUELS), n_listings, p=[0.55, 0.35, 0.05, 0.05]),
        gearbox=np.where(random.random(n_listings) < sold["automatic"], "automatic", "manual"),
        year=_LATEST - random.integers(0, 22, n_listings),
        power=(sold["power"] * random.lognormal(0, 0.15, n_listings)).round().astype(np.int64),
    )
    age = _LATEST - X["year"]
    distance = (age + 0.5) * 12_000 * random.lognormal(0, 0.4, n_listings)
    X["mileage"] = (distance / 5000).round().clip(1, 60).astype(np.int64) * 5000
    log_price = 9.6 + sold["effect"] + X["fuel"].map(_FUELS) + 0.12 * (X["gearbox"] != "manual")
    log_price += X["postal_code"].str[:2].map(regions) + 0.6 * np.log(X["power"] / 110)
    log_price += random.normal(0, 0.15, n_listings) - 0.09 * age - 0.2 * X["mileage"] / 100_000
    return Bunch(
        X=X,
        y=(np.exp(log_price) / 50).round().clip(1).mul(50).astype(np.int64).rename("price"),
        brand_effects=models.groupby("brand")["brand_effect"].first(),
        model_effects=models.set_index("model")["effect"],
        region_effects=regions.rename("effect").rename_axis("region"),
    )


def _make_models(n_brands: int, random: Generator) -> pd.DataFrame:
    """Models: name, brand, what both add to the log-price, power, share of automatics."""
    n_models = random.integers(3, 9, n_brands)
    brands = np.repeat(number_names("brand", n_brands), n_models)
    levels: NDArray[np.float64] = np.repeat(random.normal(0, 0.35, n_brands), n_models)
    numbers = np.concatenate([np.arange(n) for n in n_models])
    effects = levels + random.normal(0, 0.25, len(brands))
    return pd.DataFrame(
        {
            "brand": brands,
            "model": [f"{brand}/{number}" for brand, number in zip(brands, numbers, strict=True)],
            "brand_effect": levels,
            "effect": effects,
            "power": 110 * np.exp(0.5 * effects + random.normal(0, 0.2, len(brands))),
            "automatic": 1 / (1 + np.exp(1 - 2 * effects)),
        }
    )
