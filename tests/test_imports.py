"""Who may import whom, and that torch stays out of everything but training."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sk_entity_embed
from sk_entity_embed import (
    EntityEmbeddingClassifier,
    EntityEmbeddingEncoder,
    EntityEmbeddingRegressor,
)

ROOT = Path(sk_entity_embed.__file__).parent
PACKAGE = "sk_entity_embed"

LAYERS = [
    {"_writing", "exceptions", "input.messages"},
    {"input.index", "input.lists", "input.threads"},
    {"input.kinds", "input.table", "pooling", "recognition"},
    {"input.cells", "input.matching"},
    {"input.columns", "input.distinct"},
    {"input.values"},
    {
        "datasets._random",
        "input.context",
        "input.folds",
        "input.selection",
        "input.target",
        "input.vocabulary",
    },
    {"input.duplicates", "input.roles"},
    {
        "datasets.flights",
        "datasets.movielens",
        "datasets.pairs",
        "datasets.sequences",
        "datasets.tables",
        "sampling",
    },
    {"head", "input.unknowns", "options"},
    {"dimensions", "learning.problem"},
    {"canonical", "initialization", "tables"},
    {"canonical_dot"},
    {"model", "preparation"},
    {"assembly", "warm_start"},
    {
        "learning.averaging",
        "learning.inputs",
        "learning.layers",
        "learning.losses",
        "learning.optimizers",
        "learning.parallel",
        "learning.recurrence",
        "learning.training",
    },
    {"learning.examples", "learning.network", "learning.perceptron", "learning.pooling"},
    {"learning.lookup"},
    {"learning.crossfit"},
    {"learning.learn"},
    {"_base"},
    {"_transformer"},
    {"encoder", "predictors"},
    {"_steps"},
    {"_access"},
    {"_comparison"},
    {"evaluation"},
    {"inspection.catalogue", "inspection.displays.theme", "inspection.steps"},
    {"inspection.components", "inspection.displays.labels", "inspection.search"},
    {
        "inspection.displays.cells",
        "inspection.displays.coloring",
        "inspection.index",
        "inspection.projection",
        "inspection.residuals",
    },
    {"inspection.displays.keys", "inspection.neighbors"},
    {
        "inspection.alignment",
        "inspection.displays.marks",
        "inspection.explorer.page",
        "inspection.explorer.payload",
        "inspection.rows",
    },
    {
        "inspection.displays.drift",
        "inspection.displays.embedding",
        "inspection.displays.heatmap",
        "inspection.displays.loss_curve",
        "inspection.displays.predictions",
        "inspection.displays.similarity",
        "inspection.explorer",
    },
    {"export.labels", "export.names", "export.onnx_graph", "export.served", "export.writing"},
    {"export.onnx_outputs", "export.statement"},
    {
        "export.expressions",
        "export.lookup",
        "export.onnx",
        "export.projector",
        "export.torch",
        "export.word2vec",
    },
    {"export.saving.checks", "export.saving.container", "export.saving.plain"},
    {"export.saving.kinds"},
    {"export.saving.scalars"},
    {"export.saving.values"},
    {"export.saving.state"},
    {"export.files"},
]
"""A module imports from layers before its own only. A new module needs a place here."""

EMPTY = {
    "",
    "datasets",
    "export",
    "export.saving",
    "input",
    "inspection",
    "inspection.displays",
    "learning",
}
"""Packages whose ``__init__`` imports nothing at all when it is loaded."""

LAZY = (
    "category_encoders",
    "duckdb",
    "faiss",
    "matplotlib",
    "onnx",
    "plotly",
    "ray",
    "safetensors",
    "skrub",
    "umap",
)
"""Optional or heavy libraries, which no module imports when it is loaded."""


def name_of(path):
    """Dotted name of a source file inside the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node):
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports_of(source):
    """Imported modules, each with whether it is imported when the file is loaded."""
    found = []

    def visit(node, at_load):
        for child in ast.iter_child_nodes(node):
            if is_type_checking(child):
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, at_load) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are absolute"
                found.extend(
                    (target_of(child.module, alias.name), at_load) for alias in child.names
                )
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            visit(child, at_load and not inside)

    visit(ast.parse(source), True)
    return found


def target_of(module, name):
    """Module that ``from module import name`` loads."""
    parts = [*module.split("."), name]
    if parts[0] == PACKAGE:
        path = ROOT.joinpath(*parts[1:])
        if path.is_dir() or path.with_suffix(".py").is_file():
            return ".".join(parts)
    return module


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
IMPORTS = {name: imports_of(path.read_text()) for name, path in FILES.items()}
EXTERNAL = {
    name: [(m.split(".")[0], at_load) for m, at_load in found if m.split(".")[0] != PACKAGE]
    for name, found in IMPORTS.items()
}
INTERNAL = {
    name: [(m[len(PACKAGE) + 1 :], at_load) for m, at_load in found if m.split(".")[0] == PACKAGE]
    for name, found in IMPORTS.items()
}
LEVELS = {module: level for level, modules in enumerate(LAYERS) for module in modules}


def test_the_rules_see_imports():
    source = """
        import torch.nn
        if TYPE_CHECKING:
            import polars
        class A:
            import umap
            def f(self):
                from sk_entity_embed.learning import learn
                import matplotlib.pyplot as plt
    """
    assert imports_of(textwrap.dedent(source)) == [
        ("torch.nn", True),
        ("umap", True),
        ("sk_entity_embed.learning.learn", False),
        ("matplotlib.pyplot", False),
    ]
    assert ("torch", True) in EXTERNAL["learning.crossfit"]
    assert ("learning.learn", False) in INTERNAL["_base"]


def test_every_module_has_a_layer():
    assert set(LEVELS) | EMPTY == set(FILES)


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_imports_point_down(name):
    up = [m for m, _ in INTERNAL[name] if LEVELS.get(m, -1) >= LEVELS[name]]
    assert not up, f"{name} imports {up}"
    assert all(m in LEVELS for m, _ in INTERNAL[name])


@pytest.mark.parametrize("name", sorted(EMPTY))
def test_packages_load_nothing(name):
    assert [m for m, at_load in INTERNAL[name] if at_load] == []
    allowed = {"__future__", "importlib", "typing"}
    assert {m for m, at_load in EXTERNAL[name] if at_load} <= allowed


@pytest.mark.parametrize("name", sorted(FILES))
def test_torch_is_imported_in_learning_only(name):
    may = name.startswith("learning.") and name != "learning.problem"
    may |= name == "export.torch"  # inside its functions only, by the test of optional libraries
    assert may or "torch" not in {m for m, _ in EXTERNAL[name]}


@pytest.mark.parametrize("name", sorted(FILES))
def test_only_fit_imports_the_training_and_only_while_it_runs(name):
    used = [
        (m, at_load)
        for m, at_load in INTERNAL[name]
        if m.startswith("learning.") and m != "learning.problem"
    ]
    if not name.startswith("learning"):
        assert used in ([], [("learning.learn", False)])
        assert not used or name in ("_base", "encoder")


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.startswith("input")))
def test_input_knows_input_and_exceptions_only(name):
    assert {m.split(".")[0] for m, _ in INTERNAL[name]} <= {"input", "exceptions"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_data_frame_libraries_are_read_in_one_place(name):
    used = {m for m, _ in EXTERNAL[name]} & {"narwhals", "polars"}
    readers = {"input.cells": "narwhals", "input.columns": "narwhals"}
    readers["export.expressions"] = "polars"
    assert used == ({readers[name]} if name in readers else set())


@pytest.mark.parametrize("name", sorted(FILES))
def test_optional_libraries_are_not_imported_at_load(name):
    assert not {m for m, at_load in EXTERNAL[name] if at_load} & set(LAZY)


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.startswith("learning.")))
def test_learning_knows_no_estimators_and_no_data_frames(name):
    assert not {m for m, _ in EXTERNAL[name]} & {"sklearn", "pandas", "pyarrow", "narwhals"}


def test_the_loop_knows_no_network():
    assert "torch" not in {m for m, _ in EXTERNAL["learning.training"]}


BLOCKED = """
    import sys

    BLOCKED = ("torch", "matplotlib", "polars", "skrub", "category_encoders")

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in BLOCKED:
                raise ImportError(f"{name} is not to be imported here")

    sys.meta_path.insert(0, Blocker())
"""


def run_blocked(code, *arguments):
    """Run code in a process in which torch and others cannot be imported."""
    source = textwrap.dedent(BLOCKED) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
        check=False,
    )


@pytest.fixture(scope="module")
def pickled(tmp_path_factory):
    """Fitted encoders, new rows, and what the encoders make of them here."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "city": rng.choice(["Lima", "Oslo", "Rome"], 80),
            "flag": rng.random(80) < 0.5,
            "n": rng.standard_normal(80),
        }
    )
    X.loc[3, ["city", "n"]] = None
    settings = {"max_iter": 1, "cv": 2, "random_state": 0, "hidden_layer_sizes": (4,)}
    cases = []
    for output in ("embedding", "hidden", "both"):
        for remainder in ("drop", "passthrough"):
            encoder = EntityEmbeddingEncoder(output=output, remainder=remainder, **settings)
            encoder.fit(X, rng.standard_normal(80))
            back = None if output == "hidden" else encoder.inverse_transform(encoder.transform(X))
            cases.append((encoder, encoder.transform(X), encoder.get_feature_names_out(), back))
    path = tmp_path_factory.mktemp("pickled") / "cases.pickle"
    path.write_bytes(pickle.dumps((X, cases)))
    return path


def test_torch_cannot_be_imported_where_it_is_blocked():
    assert "is not to be imported" in run_blocked("import torch").stderr


def test_importing_the_package_leaves_torch_out():
    done = run_blocked(
        """
        import sk_entity_embed
        assert "sklearn" not in sys.modules  # public names are loaded when they are used
        assert set(dir(sk_entity_embed)) == set(sk_entity_embed.__all__)
        from sk_entity_embed import EntityEmbeddingEncoder
        from sk_entity_embed.exceptions import InvalidDataError
        assert repr(EntityEmbeddingEncoder(max_iter=3)) == "EntityEmbeddingEncoder(max_iter=3)"
        print("torch" in sys.modules)
        """
    )
    assert done.stdout == "False\n", done.stderr


def test_fitted_encoders_work_without_torch(pickled):
    done = run_blocked(
        """
        import pickle
        import numpy as np
        from pathlib import Path

        X, cases = pickle.loads(Path(sys.argv[1]).read_bytes())
        for encoder, expected, names, back in cases:
            assert encoder.transform(X).tobytes() == expected.tobytes()
            assert encoder.get_feature_names_out().tolist() == names.tolist()
            frame = encoder.set_output(transform="pandas").transform(X)
            assert frame.columns.tolist() == names.tolist()
            assert "EntityEmbeddingEncoder" in encoder._repr_html_()
            assert len(encoder.embeddings_["city"]) == 4
            if back is not None:
                found = encoder.inverse_transform(expected)
                assert str(found.tolist()) == str(back.tolist())
        loaded = {m.split(".")[0] for m in sys.modules}
        print(loaded & {*BLOCKED, "plotly", "umap"})
        """,
        pickled,
    )
    assert done.stdout == "set()\n", done.stderr


@pytest.fixture(scope="module")
def pickled_kinds(tmp_path_factory):
    """Fitted estimators of every head and way of pooling, new rows, and what they answer here."""
    rng = np.random.default_rng(0)
    lists = [rng.choice(["a", "b", "c"], rng.integers(0, 4)).tolist() for _ in range(80)]
    lists[3] = None
    X = pd.DataFrame(
        {
            "words": pd.Series(lists, dtype=object),
            "city": rng.choice(["Lima", "Oslo", "Rome"], 80),
            "n": rng.standard_normal(80),
        }
    )
    y = rng.uniform(1, 5, 80)
    settings = {"max_iter": 1, "cv": 2, "random_state": 0, "hidden_layer_sizes": (4,)}
    heads = [("mlp", way) for way in ("mean", "sum", "max", "gru")]
    heads += [("dot", way) for way in ("mean", "sum")]
    cases = []
    for head, pooling in heads:
        regressor = EntityEmbeddingRegressor(
            head=head, pooling=pooling, y_range=(1, 5), max_length=2, **settings
        ).fit(X, y)
        classifier = EntityEmbeddingClassifier(head=head, pooling=pooling, **settings)
        classifier.fit(X, y > 3)
        proba = classifier.predict_proba(X)
        cases.append((regressor, regressor.transform(X), regressor.predict(X)))
        cases.append((classifier, classifier.transform(X), proba[:, 1]))
    path = tmp_path_factory.mktemp("pickled") / "kinds.pickle"
    path.write_bytes(pickle.dumps((X, cases)))
    return path


def test_lists_and_dot_products_are_served_without_torch(pickled_kinds):
    done = run_blocked(
        """
        import pickle
        from pathlib import Path

        X, cases = pickle.loads(Path(sys.argv[1]).read_bytes())
        assert len(cases) == 12
        for model, vectors, answers in cases:
            assert model.transform(X).tobytes() == vectors.tobytes()
            found = model.predict_proba(X)[:, 1] if hasattr(model, "classes_") else model.predict(X)
            assert found.tobytes() == answers.tobytes()
            assert hasattr(model, "biases_") == (model.head == "dot")
            assert len(model.embeddings_["words"]) == 4
        print("torch" in sys.modules)
        """,
        pickled_kinds,
    )
    assert done.stdout == "False\n", done.stderr


def test_the_package_gives_its_public_names_only():
    assert sk_entity_embed.EntityEmbeddingEncoder is EntityEmbeddingEncoder
    assert sk_entity_embed.exceptions.InvalidDataError
    assert dir(sk_entity_embed) == sorted(sk_entity_embed.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = sk_entity_embed.Nothing
