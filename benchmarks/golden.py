"""Golden fits: whether vectors, predictions and files are the same bits as before a change.

``python benchmarks/golden.py`` compares with ``benchmarks/results/golden.json`` and ends with an
error where a hash differs; ``--write`` stores the present hashes. The bits belong to one kind of
processor and one version of torch and NumPy, which are stored beside them: elsewhere, write the
hashes of the commit before first, to another file with ``--file``. ``--keep FOLDER`` stores the
arrays, and ``--against FOLDER`` says how far others are from them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from sklearn.preprocessing import OrdinalEncoder

from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)
from sk_entity_embed.export import (
    load,
    lookup_frames,
    pyarrow_transform,
    save,
    sql,
    to_onnx,
    to_parquet,
    to_projector,
    to_torch,
    to_word2vec,
)
from sk_entity_embed.inspection import align, drift, nearest

STORED = Path(__file__).parent / "results" / "golden.json"
Found = Iterator[tuple[str, Any]]


def make_rows(n: int, seed: int, *, lists: bool = False) -> tuple[pd.DataFrame, np.ndarray]:
    """A table of text, missing cells, whole numbers and, perhaps, lists, with a target."""
    rng = np.random.default_rng(seed)
    effects = np.random.default_rng(99).normal(size=(3, 40))
    city, shop, kind = (rng.zipf(1.6, n) % 40 for _ in range(3))
    amount = rng.lognormal(size=n)
    frame = pd.DataFrame(
        {
            "city": [f"c{i}" for i in city],
            "shop": pd.Series([f"s{i}" for i in shop], dtype="category"),
            "amount": amount,
            "kind": np.where(kind % 7 == 0, None, [f"k{i % 5}" for i in kind]),
        }
    )
    y = effects[0, city] * effects[1, shop] + effects[2, kind % 5] + 0.2 * np.log(amount)
    if lists:
        words = [[f"w{i % 9}" for i in rng.integers(0, 30, k)] for k in rng.integers(0, 5, n)]
        words[3] = None
        frame["words"] = words
        y = y + np.array([len(w or ()) * 0.3 for w in words])
    return frame, y + 0.1 * rng.normal(size=n)


def new_rows(lists: bool = False) -> pd.DataFrame:
    """Rows to answer for, unknown and missing categories among them."""
    frame, _ = make_rows(120, 5, lists=lists)
    frame["city"] = frame["city"].where(np.arange(120) % 11 > 0, "atlantis")
    frame["kind"] = frame["kind"].where(np.arange(120) % 13 > 0, None)
    return frame


def answers(model: Any, X: pd.DataFrame, *, files: bool = True) -> Found:
    """What a fitted estimator gives, in memory and in files."""
    yield "transform", model.transform(X)
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            yield method, np.asarray(getattr(model, method)(X))
    yield "names", model.get_feature_names_out()
    yield "loss_curve_", model.loss_curve_
    yield "validation_loss_curve_", model.validation_loss_curve_
    for name, frame in model.embeddings_.items():
        yield f"embeddings_ {name}", frame
        yield f"means_ {name}", model.category_target_means_[name]
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        init = model.init if isinstance(model.init, str | dict) else "normal"
        save(clone_with(model, init=init), path / "model")
        again = load(path / "model")
        yield "loaded", again.transform(X)
        placeholders = {name: "-" for name in model.embeddings_ if name in ("kind", "words")}
        exports: dict[str, Callable[[], Any]] = {
            "onnx": lambda: to_onnx(model, missing_values=placeholders).SerializeToString(),
            "sql": lambda: sql(model, "rows", lookups=dict.fromkeys(model.embeddings_, "t")),
            "parquet": lambda: list(to_parquet(model, path / "tables")),
            "torch": lambda: _sizes_and_bits(to_torch(model).state_dict()),
            "arrow": lambda: np.column_stack(pyarrow_transform(model)(pa.table(X)).columns),
            "frames": lambda: pd.concat(lookup_frames(model).values()),
        }
        for column in list(model.embeddings_)[:1]:
            exports["word2vec"] = lambda c=column: to_word2vec(model, c, path / "v.txt")
            exports["projector"] = lambda c=column: to_projector(model, c, path / "p")
            yield "nearest", nearest(model, column, model.categories_[column][0], k=5)
        for kind, make in exports.items():
            try:
                made = make()
            except (TypeError, ValueError) as error:  # a refusal is an answer, too
                yield f"{kind} refused", type(error).__name__
                continue
            yield kind, made if isinstance(made, bytes | str | np.ndarray | pd.DataFrame) else ""
        for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != "model"):
            yield f"file {file.name}", file.read_bytes()


def clone_with(model: Any, **parameters: Any) -> Any:
    """The same fit with other parameters."""
    return copy(model).set_params(**parameters)


def _sizes_and_bits(state: dict[str, Any]) -> bytes:
    """A module's state as bytes."""
    return b"".join(k.encode() + v.cpu().numpy().tobytes() for k, v in state.items())


def fits() -> Iterator[tuple[str, Found]]:
    """The golden fits by name."""
    X, y = make_rows(900, 0)
    L, z = make_rows(700, 1, lists=True)
    new, new_lists = new_rows(), new_rows(lists=True)
    weights = np.random.default_rng(3).uniform(0, 2, len(X))
    weights[::50] = 0
    groups = np.arange(len(X)) // 3
    classes = pd.cut(pd.Series(y), [-np.inf, -0.5, 0.6, np.inf], labels=["low", "mid", "high"])
    classes = classes.astype(str).to_numpy()
    common: dict[str, Any] = {"random_state": 0, "max_iter": 5}

    def encoded(name: str, X: Any, y: Any, new: Any, fit: dict | None = None, **kw: Any) -> tuple:
        def found() -> Found:
            model = EntityEmbeddingEncoder(**{**common, **kw})
            yield "fit_transform", model.fit_transform(X, y, **(fit or {}))
            yield from answers(model, new)
            if model.output != "hidden" and "words" not in new:
                yield "inverse", model.inverse_transform(model.transform(new))

        return f"encoder {name}", found()

    def predicted(name: str, kind: type, X: Any, y: Any, new: Any, **kw: Any) -> tuple:
        def found() -> Found:
            model = kind(**{**common, **kw})
            yield "fit_transform", model.fit_transform(X, y)
            yield from answers(model, new)

        return f"{kind.__name__} {name}", found()

    yield encoded("plain", X, y, new)
    yield encoded("both", X, y, new, output="both", remainder="passthrough")
    yield encoded("hidden", X, y, new, output="hidden", hidden_layer_sizes=16)
    yield encoded("one table", X, y, new, cross_fit=False, early_stopping=False)
    yield encoded("zero", X, y, new, handle_unknown="zero", min_frequency=5)
    yield encoded("nan", X, y, new, handle_unknown="nan", handle_missing="nan", max_categories=9)
    yield encoded("weights", X, y, new, {"sample_weight": weights})
    yield encoded("groups", X, y, new, {"groups": groups}, cv=3)
    yield encoded("classes", X, classes, new, class_weight="balanced")
    yield encoded("several", X, np.c_[y, y**2], new, loss="huber", hidden_layer_sizes=())
    yield encoded("poisson", X, np.exp(y).round(), new, target_type="continuous", loss="poisson")
    yield encoded("lists", L, z, new_lists, handle_unknown="zero")
    for way in ("sum", "max", "gru"):
        yield encoded(f"lists {way}", L, z, new_lists, pooling=way, max_length=3)
    yield encoded("dot", X.drop(columns="kind"), y, new.drop(columns="kind"), head="dot")
    yield encoded("dot lists", L, z, new_lists, head="dot", pooling="sum", handle_unknown="zero")
    yield encoded("dot classes", X, y > 0, new, head="dot", dimensions=4)
    yield encoded("init encoder", X, y, new, init=OrdinalEncoder(), dimensions=3)
    frames = {"city": pd.DataFrame(np.eye(20, 4), index=[f"c{i}" for i in range(20)])}
    yield encoded("init frozen", X, y, new, init=frames, freeze=["city"])
    yield encoded("dot frozen", X, y, new, init=frames, freeze=["city"], head="dot")

    def continued() -> Found:
        model = EntityEmbeddingEncoder(warm_start=True, **common)
        yield "first", model.fit_transform(X, y)
        yield "same rows", model.fit_transform(X, y)
        yield "other rows", model.fit_transform(X[:600], y[:600])
        yield from answers(model, new)

    yield "encoder warm start", continued()

    def moved(**kw: Any) -> Found:
        pair = [
            EntityEmbeddingEncoder(**{**common, **kw, "random_state": seed}).fit(L, z)
            for seed in (0, 1)
        ]
        aligned = align(*pair)
        yield "aligned", aligned.transform(new_lists)
        yield "drift", drift(*pair).drop(columns="category")
        yield from answers(aligned, new_lists, files=False)

    yield "encoder moved", moved(output="both", handle_unknown="zero")
    for way in ("sum", "max", "gru"):
        yield f"encoder moved {way}", moved(pooling=way)
    yield "encoder moved dot", moved(head="dot", pooling="sum")
    yield predicted("plain", EntityEmbeddingRegressor, X, y, new)
    yield predicted("range", EntityEmbeddingRegressor, X, y, new, y_range=(y.min(), y.max()))
    yield predicted("poisson", EntityEmbeddingRegressor, X, np.exp(y), new, loss="poisson")
    yield predicted("absolute", EntityEmbeddingRegressor, X, y, new, loss="absolute_error")
    yield predicted("dot", EntityEmbeddingRegressor, L, z, new_lists, head="dot")
    yield predicted("gru", EntityEmbeddingRegressor, L, z, new_lists, pooling="gru")
    yield predicted("three", EntityEmbeddingClassifier, X, classes, new)
    yield predicted("two", EntityEmbeddingClassifier, L, z > 1, new_lists, pooling="max")
    labels = np.c_[y > 0, y > 1].astype(int)
    yield predicted("labels", EntityEmbeddingClassifier, X, labels, new)


def digest(value: Any) -> str:
    """Hash of a value's bits."""
    if value is None:
        value = "None"
    if isinstance(value, pd.DataFrame):
        value = value.to_numpy()
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        value = value.astype(np.float32)  # the last bit of a product may hang on its address
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = repr(value.tolist())
    if isinstance(value, np.ndarray):
        value = f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, str):
        value = value.encode()
    return hashlib.sha256(value).hexdigest()[:16]


def main() -> int:
    """Run the fits and write or compare their hashes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--file", type=Path, default=STORED)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", default="", help="names that contain this")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found: dict[str, str] = {}
    for name, values in fits():
        if options.only not in name:
            continue
        for part, value in values:
            key = f"{name}: {part}"
            found[key] = digest(value)
            if isinstance(value, pd.DataFrame):
                value = value.select_dtypes("number").to_numpy()
            file = f"{key}.npy".replace("/", "_")
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    np.save(options.keep / file, value)
                if options.against and (options.against / file).exists():
                    other = np.load(options.against / file)
                    same = other.shape == value.shape
                    gap = np.nanmax(np.abs(other - value), initial=0) if same else np.inf
                    if gap > 0:
                        print(f"{key}: differs by {gap:.2g}")
    versions = {"torch": torch.__version__, "numpy": np.__version__, "cpu": platform.machine()}
    if options.write:
        options.file.write_text(
            json.dumps({"versions": versions, "hashes": found}, indent=1) + "\n"
        )
        print(f"{len(found)} hashes written to {options.file}")
        return 0
    stored = json.loads(options.file.read_text())
    hashes = {k: v for k, v in stored["hashes"].items() if options.only in k.split(":")[0]}
    different = [k for k in sorted(hashes | found) if hashes.get(k) != found.get(k)]
    for key in different:
        print(f"differs: {key}")
    if stored["versions"] != versions:
        print(f"stored with {stored['versions']}, here are {versions}")
    print(f"{len(found)} values, {len(different)} of them not as stored")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
