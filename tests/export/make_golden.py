"""Writes the golden files of the present format version, which ``test_saving.py`` loads for ever.

Run it once for each version, and for each kind of estimator that joins, from the root of the
repository, and keep what it wrote::

    python -m tests.export.make_golden

A golden file is never written again: for a change of the format raise its version first.
"""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Address
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor
from sk_entity_embed.export import save
from sk_entity_embed.export.saving import FORMAT_VERSION
from tests.samples import make_encoder

FOLDER = Path(__file__).parent / "golden"

CELLS = {
    "text": ["Oslo", "Rome", "", "ü漢", "</script>", 'a"\n\tb', "new"],
    "gappy": ["a", None, "b", "a", "a", "b", None],
    "rare": ["often", "often", "often", "seldom", "often", "often", "new"],
    "integer": [3, -1, 2, 3, 2, 3, 99],
    "real": [0.5, -2.0, 1e300, 0.5, -2.0, 0.5, 99.5],
    "flag": [True, False, True, True, False, False, None],
    "mixed": [1, "1", Decimal("1.50"), (1, "x"), dt.date(2026, 1, 31), None, dt.date(2000, 1, 1)],
    "when": pd.to_datetime(["2026-01-01", "2026-06-01"] * 3 + ["2000-01-01"]).tolist(),
    "lone": ["\ud800", "b", "\ud83d\ude00", "b", "\ud800", "b", "\udfff"],
    "size": [1.0, 2.5, -3.0, 2.5, None, 7.0, None],
}
"""Cells of rows of fit, and one of categories that no estimator meets in fit."""

LISTS = {
    "tags": [["a", "b"], [], None, ["b"], ["c", None], ["a", "a", "b"], ["new", "a"]],
    "steps": [[1, 2], [2], [3, 1, 2], [], [1], [2, 2], [9]],
    "words": [["ü漢"], [""], ["x", "\ud800"], ["x"], ["x", ""], ["ü漢"], []],
    "path": [["in", "out"], ["in"], None, ["out", "in"], ["in", "up", "out"], [], ["out", None]],
}

KINDS = {
    "month": [pd.Period(f"2026-{m:02}") for m in (1, 2, 1, 3, 2, 1)] + [pd.Period("2027-01")],
    "band": [*pd.cut([0.5, 1.5, 2.5, 0.5, 1.5, 0.5], [0, 1, 2, 3]).tolist(), pd.Interval(7, 8)],
    "odd": [
        (Fraction(1, 3), IPv4Network("10.0.0.0/8")),
        IPv6Address("fe80::1%eth0"),
        PurePosixPath("a/b"),
        ZoneInfo("Europe/Oslo"),
        pd.Interval(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01"), "left"),
        pd.Interval(np.int64(-1), np.float32(0.5), "neither"),
        Fraction(1, 7),
    ],
}


def golden_rows(n_times):
    """The rows of fit, several times over."""
    cells = CELLS | LISTS | KINDS
    return pd.DataFrame({n: pd.Series(c[:6] * n_times, dtype=object) for n, c in cells.items()})


def golden_estimators():
    """Fitted estimators by name: all kinds of columns, targets, heads and ways of pooling."""
    X, target = golden_rows(12), np.linspace(-1, 1, 72)
    common = {"dimensions": 2, "cv": 2, "max_iter": 1, "random_state": 0}
    plain = make_encoder(
        categorical_features=[name for name in CELLS if name != "size"],
        init={"text": pd.DataFrame(np.eye(2), index=["Oslo", "Rome"])},
        output="both",
        remainder="passthrough",
        handle_unknown="nan",
        min_frequency=15,
        **common,
    )
    lists = make_encoder(
        pooling={"tags": "mean", "steps": "sum", "words": "max", "path": "gru"},
        max_length={"path": 3},
        warm_start=True,
        handle_unknown="zero",
        **{**common, "cv": KFold(2, shuffle=True, random_state=np.random.RandomState(4))},
    )
    dot = EntityEmbeddingRegressor(
        head="dot", y_range=(-2, 2), pooling={"tags": "sum"}, warm_start=True, **common
    )
    classifier = EntityEmbeddingClassifier(
        categorical_features=["text", "gappy", *KINDS], hidden_layer_sizes=(4,), **common
    )
    crosses = make_encoder(
        interactions=[("text", "gappy"), ("integer", "rare")],
        categorical_features=["text", "gappy", "integer", "rare"],
        min_frequency=15,
        **common,
    )
    classes = np.array(["low", "middle", "high"])[np.arange(72) % 3]
    return {
        "plain": plain.fit(X[list(CELLS)], target),
        "lists": lists.fit(X[["text", *LISTS]], target),
        "crosses": crosses.fit(X[["text", "gappy", "integer", "rare"]], target),
        "dot": dot.fit(X[["text", "gappy", "tags", "size"]], target),
        "classifier": classifier.fit(X[["text", "gappy", "size", *KINDS]], classes),
    }


def rows_for(estimator):
    """Each row of fit once, and one of unknown categories, with the columns of an estimator."""
    cells = CELLS | LISTS | KINDS
    return pd.DataFrame({n: pd.Series(cells[n], dtype=object) for n in estimator.feature_names_in_})


def answer(estimator):
    """What an estimator makes of the new rows: vectors and, of a predictor, predictions."""
    X = rows_for(estimator)
    if hasattr(estimator, "predict_proba"):
        return np.hstack([estimator.transform(X), estimator.predict_proba(X)])
    if hasattr(estimator, "predict"):
        return np.column_stack([estimator.transform(X), estimator.predict(X)])
    return estimator.transform(X)


def main():
    """Save the estimators that have no file yet, each with what it makes of the new rows beside."""
    FOLDER.mkdir(exist_ok=True)
    made = golden_estimators()
    paths = {n: FOLDER / f"v{FORMAT_VERSION}_{n}.safetensors" for n in made}
    missing = [name for name, path in paths.items() if not path.exists()]
    if not missing:
        sys.exit(f"The golden files of version {FORMAT_VERSION} exist; they are never rewritten.")
    for name in missing:
        save(made[name], paths[name])
        np.save(paths[name].with_suffix(".npy"), answer(made[name]))


if __name__ == "__main__":
    main()
