"""Writes the golden files of the present format version, which ``test_files.py`` loads for ever.

Run it once for each version, and for each kind of estimator that joins, from the root of the
repository, and keep what it wrote::

    python -m tests.export.make_golden

A golden file is never written again: for a change of the format raise its version first.
"""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Address
from pathlib import Path, PurePosixPath, PureWindowsPath
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingRegressor
from sk_entity_embed.export import save
from sk_entity_embed.export.files import FORMAT_VERSION
from tests.samples import make_encoder

FOLDER = Path(__file__).parent / "golden"

CELLS = {
    "text": ["Oslo", "Rome", "", "ü漢", "</script>", 'a"\n\tb'],
    "gappy": ["a", None, "b", "a", "a", "b"],
    "rare": ["often", "often", "often", "seldom", "often", "often"],
    "integer": [3, -1, 2, 3, 2, 3],
    "real": [0.5, -2.0, 1e300, 0.5, -2.0, 0.5],
    "flag": [True, False, True, True, False, False],
    "mixed": [1, "1", Decimal("1.50"), (1, "x"), dt.date(2026, 1, 31), None],
    "when": pd.to_datetime(["2026-01-01", "2026-06-01"] * 3).tolist(),
    "lone": ["\ud800", "b", "\ud83d\ude00", "b", "\ud800", "b"],
    "size": [1.0, 2.5, -3.0, 2.5, None, 7.0],
}
"""Rows of version 1; other versions may have more columns, but these stay as they are."""

LISTS = {
    "tags": [["a", "b"], [], None, ["b"], ["c", None], ["a", "a", "b"]],
    "steps": [[1, 2], [2], [3, 1, 2], [], [1], [2, 2]],
    "words": [["ü漢"], [""], ["x", "\ud800"], ["x"], ["x", ""], ["ü漢"]],
    "path": [["in", "out"], ["in"], None, ["out", "in"], ["in", "up", "out"], []],
}
"""Columns of lists, since version 2."""


class Level(StrEnum):
    """Members equal their value, as which they come back."""

    HIGH = "high"
    LOW = "low"


KINDS = {
    "month": [pd.Period(f"2026-{m:02}") for m in (1, 2, 1, 3, 2, 1)],
    "band": pd.cut([0.5, 1.5, 2.5, 0.5, 1.5, 0.5], [0, 1, 2, 3]).tolist(),
    "odd": [
        Fraction(1, 3),
        IPv6Address("fe80::1%eth0"),
        PurePosixPath("a/b"),
        ZoneInfo("Europe/Oslo"),
        pd.Interval(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01"), "left"),
        Level.HIGH,
    ],
    "odder": [
        (Fraction(-2, 1), IPv4Network("10.0.0.0/8")),
        pd.Period("2026-01-01 10:00", "ns"),
        pd.Interval(pd.Timedelta(0), pd.Timedelta("1D"), "both"),
        dt.timezone(dt.timedelta(hours=5)),
        pd.Interval(np.int64(-1), np.float32(0.5), "neither"),
        PureWindowsPath("c:/a"),
    ],
}
"""Columns of further types, since version 3."""

UNKNOWN = {
    "text": "new",
    "gappy": None,
    "rare": "new",
    "integer": 99,
    "real": 99.5,
    "flag": None,
    "mixed": dt.date(2000, 1, 1),
    "when": pd.Timestamp("2000-01-01"),
    "lone": "\udfff",
    "size": None,
    "tags": ["new", "a"],
    "steps": [9],
    "words": [],
    "path": ["out", None, "new", "in"],
    "month": pd.Period("2027-01"),
    "band": pd.Interval(7, 8),
    "odd": PurePosixPath("b"),
    "odder": Fraction(1, 7),
}
"""A row of categories that no encoder met in fit."""


def golden_rows(n_times):
    """The rows, several times over."""
    cells = CELLS | LISTS | KINDS
    return pd.DataFrame({n: pd.Series(c * n_times, dtype=object) for n, c in cells.items()})


def new_rows():
    """What the encoders are asked: each row once, and one of unknown categories."""
    return pd.concat([golden_rows(1), pd.DataFrame([UNKNOWN], dtype=object)], ignore_index=True)


def golden_encoders():
    """Fitted estimators by name: all kinds of columns, classes, heads and ways of pooling."""
    X = golden_rows(12)
    classes = np.array(["low", "middle", "high"])[np.arange(72) % 3]
    columns = [name for name in CELLS if name != "size"]
    everything = make_encoder(
        categorical_features=columns,
        output="both",
        remainder="passthrough",
        handle_unknown="nan",
        min_frequency=15,
        max_iter=1,
        dimensions=2,
        cv=2,
    )
    frame = pd.DataFrame(np.eye(2), index=["Oslo", "Rome"])
    warm = make_encoder(
        warm_start=True,
        init={"text": frame},
        freeze=["text"],
        handle_unknown="zero",
        cv=KFold(3, shuffle=True, random_state=4),
        random_state=np.random.RandomState(5),
        max_iter=1,
    )
    target = np.linspace(-1, 1, 72)
    predictor = EntityEmbeddingClassifier(
        dimensions=2, hidden_layer_sizes=(4,), cv=2, max_iter=1, random_state=0
    )
    dot = EntityEmbeddingRegressor(
        head="dot",
        y_range=(-2, 2),
        pooling={"tags": "sum"},
        max_length={"tags": 2},
        warm_start=True,
        dimensions=2,
        cv=2,
        max_iter=1,
        random_state=0,
    )
    lists = make_encoder(
        pooling={"tags": "mean", "steps": "sum", "words": "max", "path": "gru"},
        max_length={"path": 3},
        warm_start=True,
        output="both",
        handle_unknown="zero",
        dimensions=2,
        cv=2,
        max_iter=1,
    )
    kinds = make_encoder(categorical_features="all", dimensions=2, cv=2, max_iter=1)
    return {
        "everything": everything.fit(X[list(CELLS)], classes),
        "warm": warm.fit(X[["text", "rare", "size"]], target),
        "predictor": predictor.fit(X[["text", "gappy", "size"]], classes),
        "dot": dot.fit(X[["text", "gappy", "tags", "size"]], target),
        "lists": lists.fit(X[["text", *LISTS]], target),
        "kinds": kinds.fit(X[list(KINDS)], target),
    }


def rows_for(estimator):
    """The new rows with the columns of an estimator."""
    return new_rows()[list(estimator.feature_names_in_)]


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
    made = golden_encoders()
    paths = {n: FOLDER / f"v{FORMAT_VERSION}_{n}.safetensors" for n in made}
    missing = [name for name, path in paths.items() if not path.exists()]
    if not missing:
        sys.exit(f"The golden files of version {FORMAT_VERSION} exist; they are never rewritten.")
    for name in missing:
        save(made[name], paths[name])
        np.save(paths[name].with_suffix(".npy"), answer(made[name]))


if __name__ == "__main__":
    main()
