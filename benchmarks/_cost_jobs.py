"""The job of the cost benchmark: ``python _cost_jobs.py fit JSON``."""

from __future__ import annotations

import warnings
from typing import Any

from _common import load_flights
from _speed_common import main, measured
from _speed_jobs import _warm_up, made_up

from sk_entity_embed import EntityEmbeddingClassifier


def fit(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return seconds and peak memory of a fit of so many epochs; of the default's, if None.

    The table is made up of columns of so many levels, or, without `levels`, is of New York flights.
    """
    if arguments["levels"]:
        X, y = made_up(arguments["n_rows"], tuple(arguments["levels"]))
    else:
        X, y, _ = load_flights(arguments["n_rows"], seed=0)
    _warm_up()
    epochs = {} if arguments["epochs"] is None else {"max_iter": arguments["epochs"]}
    # Training stops early where it may; here every fit takes the time that it can take at most.
    model = EntityEmbeddingClassifier(n_iter_no_change=1_000_000, random_state=0, **epochs)
    found, _ = measured(lambda: model.fit(X, y))
    levels = [len(model.categories_[name]) for name in X]
    return {**found, "epochs": model.n_iter_, "levels": levels}


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main({"fit": fit})
