"""Pipelines that hold encoders, and every public function that takes them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sk_entity_embed import export, inspection
from tests.samples import make_encoder, make_rows

NAME = "columns__inner__encoder"
"""Name of the encoder in :func:`make_nested`."""

SEVERAL = ["columns__letters", "columns__colors"]
"""Names of the encoders in :func:`make_several`."""


def lower(X):
    """Text as the encoder of :func:`make_nested` sees it."""
    return X.assign(letter=X["letter"].str.lower())


def make_raw(n=120):
    """Rows of :func:`make_rows` as they are before any step, with capitals, and two classes."""
    X, y = make_rows(n)
    return X.assign(letter=X["letter"].str.upper())[["size", "color", "letter"]], 1 + (y > 0)


def make_nested(encoder=None):
    """An encoder in a pipeline in a column transformer in a pipeline."""
    inner = Pipeline([("same", "passthrough"), ("encoder", encoder or make_encoder())])
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["size"]),
            ("nothing", "drop", ["color"]),
            ("inner", inner, ["letter", "color"]),
        ]
    )
    steps = [("lower", FunctionTransformer(lower)), ("columns", columns), ("model", Ridge())]
    return Pipeline(steps)


def make_several():
    """Two encoders in a column transformer in a pipeline."""
    parts = [("letters", make_encoder(), ["letter"]), ("colors", make_encoder(), ["color"])]
    return Pipeline([("columns", ColumnTransformer(parts)), ("model", Ridge())])


def _file(name, write, path):
    """What a function writes."""
    path.mkdir(exist_ok=True)
    target = path / name
    write(target)
    files = [target] if target.is_file() else sorted(f for f in target.rglob("*") if f.is_file())
    return [f.read_bytes() for f in files]


def _arrow_vectors(estimator, folder):
    import pyarrow as pa

    rows = pa.table({"letter": ["a", "?"], "color": ["red", None]})
    return export.pyarrow_transform(estimator)(rows).to_pandas()


VISUAL: dict[str, Any] = {
    "DriftDisplay": lambda e: inspection.DriftDisplay.from_estimators(e, e, "letter").frame,
    "EmbeddingDisplay": lambda e: [
        inspection.EmbeddingDisplay.from_estimator(
            e, "letter", color="target_mean"
        ).colorbar_.ax.get_ylabel()
    ],
    "EmbeddingHeatmapDisplay": lambda e: (
        inspection.EmbeddingHeatmapDisplay.from_estimator(e, "letter").vectors
    ),
    "LossCurveDisplay": lambda e: inspection.LossCurveDisplay.from_estimator(e).loss_curve,
    "SimilarityDisplay": lambda e: (
        inspection.SimilarityDisplay.from_estimator(e, "letter").similarity
    ),
    "explore": lambda e: inspection.explore(e, "letter").to_html(),
}
"""Pictures: what each shows of an estimator."""

TABLES: dict[str, Any] = {
    "NeighborIndex": lambda e: inspection.nearest(
        e, "letter", "a", index=inspection.NeighborIndex(e, "letter")
    ),
    "align": lambda e: inspection.align(e, e).embeddings_["letter"],
    "doesnt_match": lambda e: inspection.doesnt_match(e, "letter", ["a", "b", "c"]),
    "analogy": lambda e: inspection.analogy(e, "letter", ["a"], ["b"]),
    "drift": lambda e: inspection.drift(e, e, "letter"),
    "embedding_steps": lambda e: [*inspection.embedding_steps(e).values()],
    "extremes": lambda e: inspection.extremes(e, "letter"),
    "lookup_frames": lambda e: export.lookup_frames(e)["letter"],
    "nearest": lambda e: inspection.nearest(e, "letter", "a"),
    "project": lambda e: inspection.project(e, "letter"),
    "similarity_matrix": lambda e: inspection.similarity_matrix(e, "letter"),
    "to_atlas": lambda e: export.to_atlas(e, "letter", k=0).to_pandas(),
}
"""Tables and the like."""

FILES: dict[str, Any] = {
    "report": lambda e, path: _summary_of(e, path / "report.html"),
    "to_parquet": lambda e, path: _file("parquet", lambda at: export.to_parquet(e, at), path),
    "to_projector": lambda e, path: _file(
        "projector", lambda at: export.to_projector(e, None, at), path
    ),
    "to_word2vec": lambda e, path: _file(
        "words.txt", lambda at: export.to_word2vec(e, "letter", at), path
    ),
}
"""Files about categories."""

OF_ROWS: dict[str, Any] = {
    "polars_expressions": lambda e, path: [str(x) for x in export.polars_expressions(e)],
    "pyarrow_transform": lambda e, path: _arrow_vectors(e, path),
    "save": lambda e, path: _file("saved", lambda at: export.save(e, at), path),
    "sql": lambda e, path: export.sql(e, "rows"),
    "to_onnx": lambda e, path: export.to_onnx(e).SerializeToString(),
    "to_torch": lambda e, path: export.to_torch(e).to_frames()["letter"],
}
"""Exports that take the rows of the encoder, so that the pipeline's other steps are missed."""

WITHOUT = {
    "SKOPS_TYPES": "is a list of names",
    "atlas_widget": "shows what to_atlas makes, and needs a notebook",
    "register_onnx": "takes nothing",
    "serving_requirements": "takes nothing",
    "CategoryPredictionDisplay": "judges the predictions of a whole pipeline",
    "EntityEmbeddings": "is made by to_torch",
    "Explorer": "is made by explore",
    "embedding_features": "takes vectors as well, and has tests of its own",
    "group_by_column": "takes contributions as well, and has tests of its own",
    "load": "takes a file",
    "Summary": "is made by summary",
    "nearest_rows": "takes rows as well, and has a test of its own",
}
"""Public names that are not in the tables above, and why."""

EVERYTHING: dict[str, Any] = {
    **{name: (lambda e, path, call=call: call(e)) for name, call in (VISUAL | TABLES).items()},
    **FILES,
    **OF_ROWS,
}
"""Calls of an estimator and a folder."""


def _summary_of(estimator: Any, path: Any) -> str:
    """Return what a report says, but for the name of the step."""
    path.parent.mkdir(exist_ok=True)
    inspection.report(estimator, path)
    return str(path.read_text(encoding="utf-8").partition("<footer>")[0])


def assert_alike(left: Any, right: Any) -> None:
    """Compare what the calls above return."""
    assert type(left) is type(right)
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    elif hasattr(left, "tobytes"):
        assert left.tobytes() == right.tobytes()
    else:
        assert left == right
