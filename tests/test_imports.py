"""Which package imports which, and that torch stays out of everything but training."""

from __future__ import annotations

import ast
import gc
import os
import pickle
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sk_entity_embed
from sk_entity_embed import datasets, distributed, export, inspection
from sk_entity_embed._lazy import first_import
from sk_entity_embed.encoder import EntityEmbeddingEncoder
from sk_entity_embed.predictors import EntityEmbeddingClassifier, EntityEmbeddingRegressor

ROOT = Path(sk_entity_embed.__file__).parent

MAY_IMPORT = {
    "exceptions": "",
    "_compat": "",
    "_lazy": "",
    "_links": "",
    "_parameters": "",
    "_progress": "",
    "_writing": "",
    "input": "_compat exceptions",
    "datasets": "_lazy _parameters _writing exceptions",
    "sampling": "_parameters exceptions input",
    "model": "exceptions input",
    "learning": "_progress _writing exceptions input model",
    "fitting": "_writing exceptions input learning model",
    "_checks": "_parameters exceptions fitting input learning model",
    "_preparing": "_checks exceptions fitting input learning model",
    "_training": "_checks _lazy _preparing exceptions fitting learning model",
    "estimators": (
        "_checks _lazy _links _parameters _preparing _progress _training _writing exceptions "
        "fitting input learning model"
    ),
    "distributed": "_lazy estimators exceptions fitting input learning",
    "evaluation": "_compat _lazy _parameters _progress estimators exceptions input model",
    "inspection": "_lazy _parameters _writing estimators exceptions input model",
    "export": "_lazy _writing estimators exceptions input inspection learning model",
}
"""By package, or module beside them, what it may import. All other modules are "estimators"."""

OPTIONAL = {
    *("catboost", "category_encoders", "duckdb", "faiss", "lightgbm", "matplotlib", "onnx"),
    *("plotly", "polars", "ray", "skrub", "statsmodels", "torch", "umap"),
}
"""Libraries that are optional or slow to import: no module loads them, but torch in `learning`."""


def imports_of(node, at_load=True):
    """Modules that a part of a file imports, each with whether it does so when it is loaded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_load) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((f"{child.module}.{alias.name}", at_load) for alias in child.names)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports_of(child, at_load and not inside)


IMPORTS = [
    (".".join(path.relative_to(ROOT).with_suffix("").parts), module, at_load)
    for path in sorted(ROOT.rglob("*.py"))
    for module, at_load in imports_of(ast.parse(path.read_text()))
]


def group_of(module):
    """Line of the table for a module's dotted name below the package."""
    name = module.split(".")[0]
    return name if name in MAY_IMPORT else "estimators"


def test_packages_import_what_they_may_and_in_no_circle():
    allowed = {group: {group, *others.split()} for group, others in MAY_IMPORT.items()}
    inside = [(a, b.partition(".")[2]) for a, b, _ in IMPORTS if b.startswith("sk_entity_embed.")]
    assert [pair for pair in inside if group_of(pair[1]) not in allowed[group_of(pair[0])]] == []
    order = {group: others - {group} for group, others in allowed.items()}
    TopologicalSorter(order).prepare()  # raises where packages import each other


def test_libraries_are_imported_where_they_belong():
    wrong = []
    for name, module, at_load in IMPORTS:
        library, group = module.split(".")[0], group_of(name)
        right = library not in OPTIONAL or not at_load
        if library == "torch":
            right = group == "learning" and at_load
        elif library == "narwhals":
            right = group == "input"  # which alone knows kinds of data frames
        elif library in ("pandas", "pyarrow", "sklearn"):
            right = group != "learning"
        wrong += [f"{name} imports {module}"] * (not right)
    assert wrong == []
    assert any(module == "torch" for _, module, _ in IMPORTS)


@pytest.mark.parametrize("package", [sk_entity_embed, datasets, distributed, export, inspection])
def test_packages_give_their_public_names_only(package):
    assert dir(package) == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


def run(code, *arguments):
    """Output of code in a process of its own, and which optional libraries it has loaded."""
    code = f"import sys\n{code}\nprint(sorted({OPTIONAL} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.check_output(command, text=True, env=environment).splitlines()


def test_importing_the_package_loads_nothing_else():
    code = """
import sk_entity_embed, sk_entity_embed.export, sk_entity_embed.inspection
print("sklearn" in sys.modules)
print(sk_entity_embed.EntityEmbeddingEncoder(max_iter=3))
"""
    assert run(code) == ["False", "EntityEmbeddingEncoder(max_iter=3)", "[]"]


def test_fit_without_torch_says_what_to_install(tmp_path):
    code = """
class NoTorch:
    def find_spec(self, name, *args):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
from sk_entity_embed import EntityEmbeddingEncoder as Encoder, export
X, y = [["a"], ["b"]] * 20, [i / 7 for i in range(40)]
fitted = pickle.load(open(sys.argv[1], "rb"))
for use in [Encoder().fit, Encoder().partial_fit, lambda X, y: export.to_torch(fitted)]:
    try:
        use(X, y)
    except ImportError as error:
        print(error)
"""
    X, y = [["a"], ["b"]] * 20, np.linspace(0, 1, 40)
    fitted = EntityEmbeddingEncoder(max_iter=1, random_state=0).fit(X, y)
    (tmp_path / "fitted").write_bytes(pickle.dumps(fitted))
    rest = "needs torch, which is not installed: pip install torch. Without it, fitted estimators "
    rest += "still answer (transform, predict, export)."
    expected = [f"{task} {rest}" for task in ("Training", "Training", "to_torch")]
    assert run("import pickle\n" + code, tmp_path / "fitted") == [*expected, "[]"]


def test_the_collector_rests_while_a_library_is_imported_and_is_left_as_it_was(monkeypatch):
    with first_import("nothing that is loaded"):
        new = [gc.isenabled()]
    assert new == [False]
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert any(thing is new for thing in gc.get_objects(generation=2))
    with first_import("sys"):
        assert gc.isenabled()
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 1)  # what the user froze stays so
    with first_import("nothing that is loaded"):
        assert gc.isenabled()


def test_fitted_estimators_work_without_torch(tmp_path):
    rng = np.random.default_rng(0)
    lists = [rng.choice(["a", "b", "c"], rng.integers(0, 4)).tolist() for _ in range(80)]
    X = pd.DataFrame({"words": lists, "city": rng.choice(["Lima", "Oslo", "Rome"], 80)})
    X["n"] = rng.standard_normal(80)
    y = rng.uniform(1, 5, 80)
    settings = {"max_iter": 1, "cv": 2, "random_state": 0, "hidden_layer_sizes": (4,)}
    models = []
    for head, poolings in (("mlp", ("mean", "sum", "max", "gru")), ("dot", ("mean", "sum"))):
        for pooling in poolings:
            both = {"head": head, "pooling": pooling, "max_length": 2, **settings}
            models.append(EntityEmbeddingRegressor(y_range=(1, 5), **both).fit(X, y))
            models.append(EntityEmbeddingClassifier(**both).fit(X, y > 3))
    for output in ("embedding", "hidden", "both"):
        encoder = EntityEmbeddingEncoder(output=output, remainder="passthrough", **settings)
        models.append(encoder.fit(X[["city", "n"]], y))
    answers = """
def answer(model, X):
    methods = ["transform", "predict", "predict_proba"]
    found = [getattr(model, m)(X) for m in methods if hasattr(model, m)]
    if getattr(model, "output", "hidden") != "hidden":
        found.append(model.inverse_transform(found[0]))
    names, frames = model.get_feature_names_out(), model.embeddings_
    return str([f.tolist() for f in found]), [*names], str(frames["city"].index)
"""
    exec(answers, namespace := {})
    tables = [X[model.feature_names_in_] for model in models]
    expected = [namespace["answer"](*pair) for pair in zip(models, tables, strict=True)]
    (tmp_path / "models").write_bytes(pickle.dumps((models, tables, expected)))
    export.save(models[1], tmp_path / "saved")
    use = """
import pickle
from sk_entity_embed.export import load
models, tables, expected = pickle.load(open(sys.argv[1], "rb"))
print([answer(*pair) for pair in zip(models, tables, strict=True)] == expected, len(models))
print(answer(load(sys.argv[2]), tables[1]) == expected[1])
"""
    found = run(answers + use, tmp_path / "models", tmp_path / "saved")
    assert found == ["True 15", "True", "[]"]
