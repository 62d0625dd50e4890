"""Save and load: golden files, mutated files, files that would run code, and no torch."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sk_entity_embed
from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.export import files, load, save
from sk_entity_embed.model.heads import DotHead
from sk_entity_embed.model.poolings import GRU
from tests.export import make_golden
from tests.export.saved import assert_same, put_together, take_apart
from tests.samples import make_encoder, make_rows
from tests.test_imports import run_blocked

ROOT = Path(sk_entity_embed.__file__).parent.parent
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.safetensors"))


@pytest.fixture(scope="module")
def encoder():
    X, y = make_rows(120)
    return make_encoder(output="both", remainder="passthrough").fit(X, y)


@pytest.fixture
def path(encoder, tmp_path):
    found = tmp_path / "encoder.safetensors"
    save(encoder, found)
    return found


@pytest.mark.parametrize("kind", [str, Path, os.fspath])
def test_paths_of_any_kind(encoder, tmp_path, kind):
    path = kind(tmp_path / "encoder ü.bin")
    assert save(encoder, path) is None
    twin, (X, _) = load(path), make_rows(50, seed=1)
    assert type(twin) is EntityEmbeddingEncoder
    assert_same(twin.transform(X), encoder.transform(X))
    assert_same(twin.get_params(), encoder.get_params())


def test_every_golden_file_is_loaded():
    versions = {int(path.name[1:].partition("_")[0]) for path in GOLDEN}
    assert versions == set(range(1, files.FORMAT_VERSION + 1)) == set(files.READERS)
    assert sum(p.stat().st_size for p in (GOLDEN[0].parent).iterdir()) < 200_000


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_give_what_was_recorded(path):
    encoder, recorded = load(path), np.load(path.with_suffix(".npy"), allow_pickle=False)
    X = make_golden.rows_for(encoder)
    out = make_golden.answer(encoder)
    assert (out.dtype, out.shape) == (recorded.dtype, recorded.shape)
    exact = np.zeros(out.shape[1], dtype=bool)
    for j, pooler in enumerate(encoder._model.pooling):
        exact[slice(*encoder._model.edges[j : j + 2])] = not isinstance(pooler, GRU)
    assert out[:, exact].tobytes() == recorded[:, exact].tobytes()
    rest = np.allclose(out[:, ~exact], recorded[:, ~exact], rtol=1e-5, equal_nan=True)
    assert rest  # but for sums of another BLAS
    named = encoder.set_output(transform="pandas").transform(X)
    assert named.columns.tolist() == encoder.get_feature_names_out().tolist()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_are_saved_again(path, tmp_path):
    encoder = load(path)
    save(encoder, tmp_path / "again")
    assert_same(vars(load(tmp_path / "again")), vars(encoder))


def test_golden_files_hold_what_they_are_for():
    everything = load(GOLDEN[0].with_name("v1_everything.safetensors"))
    for name in ("text", "integer", "real", "flag", "mixed", "when", "lone"):
        known = {cell for cell in make_golden.CELLS[name] if cell is not None}
        assert {c for c in everything.categories_[name] if not pd.isna(c)} == known
    assert everything.infrequent_categories_["rare"].tolist() == ["seldom"]
    assert everything.classes_.tolist() == ["high", "low", "middle"]
    assert pd.isna(everything.categories_["gappy"][-1])
    warm = load(GOLDEN[0].with_name("v1_warm.safetensors"))
    assert warm.cv.n_splits == 3
    assert warm.embeddings_["text"].loc["Rome"].tolist() == [0.0, 1.0]
    X = make_golden.golden_rows(12)[["text", "rare", "size"]]
    before = warm._memory.fingerprint
    warm.fit(X, np.linspace(-1, 1, 72))
    assert warm._memory.fingerprint == before


@pytest.mark.parametrize("name", ["dot", "lists", "warm"])
def test_golden_files_of_version_2_go_on_training(name):
    encoder = load(GOLDEN[0].with_name(f"v2_{name}.safetensors"))
    before = encoder._memory.fingerprint
    X = make_golden.golden_rows(12)[list(encoder.feature_names_in_)]
    encoder.fit(X, np.linspace(-1, 1, 72))
    assert encoder._memory.fingerprint == before


def test_golden_files_of_version_2_hold_heads_and_lists():
    dot = load(GOLDEN[0].with_name("v2_dot.safetensors"))
    assert type(dot._model.head) is DotHead
    assert dot._model.scale.bounds.tolist() == [-2, 2]
    assert dot._model.max_lengths == (None, None, 2)
    assert all(table.biased for table in dot._model.tables)
    lists = load(GOLDEN[0].with_name("v2_lists.safetensors"))._model
    assert lists.pooling[:4] == (None, "mean", "sum", "max")
    assert type(lists.pooling[4]) is GRU
    assert [t.vocabulary.empty_row for t in lists.tables] == [None, 6, 6, 0, 6]


def test_golden_files_of_version_3_hold_further_categories():
    kinds = load(GOLDEN[0].with_name("v3_kinds.safetensors"))
    for name, cells in make_golden.KINDS.items():
        plain = {c.value if isinstance(c, make_golden.Level) else c for c in cells}
        found = kinds.categories_[name].tolist()
        assert {(type(c), c) for c in found} == {(type(c), c) for c in plain}
    codes = kinds._code(make_golden.rows_for(kinds)).codes
    assert all((code[:6] >= 3).all() and code[6] == 0 for code in codes)  # the last is unknown


def test_files_of_version_1_get_what_was_not_there():
    model = load(GOLDEN[0].with_name("v1_warm.safetensors"))
    assert model._model.pooling == model._model.max_lengths == (None, None)
    assert model._model.scale.bounds is None
    assert not any(t.biased or t.vocabulary.is_list for t in model._model.tables)
    again = make_encoder(**model.get_params()).fit(
        make_golden.golden_rows(12)[list(model.feature_names_in_)], np.linspace(-1, 1, 72)
    )
    assert_same(model._memory.layers, again._memory.layers)


def test_golden_files_are_never_rewritten():
    with pytest.raises(SystemExit, match="never rewritten"):
        make_golden.main()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by Linux's means")
@pytest.mark.parametrize(
    ("name", "n"),
    [("v1_everything", 1000), ("v2_dot", 500), ("v2_lists", 500), ("v3_kinds", 500)],
)
def test_mutated_files_are_refused_or_loaded(name, n):
    command = [sys.executable, "-m", "tests.export.mutate"]
    path = GOLDEN[0].with_name(f"{name}.safetensors")
    done = subprocess.run(
        [*command, str(path), str(n)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ARROW_DEFAULT_MEMORY_POOL": "system"},
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == n
    assert counts["refused"] > 0.6 * n
    assert counts["loaded"] > 0.05 * n


class Bomb:
    """What leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_nothing_of_a_file_is_run(path, tmp_path):
    mark = tmp_path / "mark"
    payloads = [pickle.dumps(Bomb(mark), protocol) for protocol in range(6)]
    header, metadata, document, data = take_apart(path.read_bytes())
    forged = [*payloads, *(p + path.read_bytes() for p in payloads)]
    code = f"__import__('os').mkdir({str(mark)!r})"
    for name in ("hidden_layer_sizes", "init", "cv", "random_state"):
        for value in (
            {"pickle": payloads[0].hex()},
            {"bytes": payloads[2].hex()},
            {"eval": code},
            {"os.mkdir": [str(mark)]},
            {"splitter": ["__import__", {"dict": []}]},
            {"splitter": [code, {"dict": []}]},
            code,
        ):
            changed = {**document, "parameters": {**document["parameters"], name: value}}
            forged.append(put_together(header, metadata, changed, data))
    for name in ("os.mkdir", "sk_entity_embed.encoder.EntityEmbeddingEncoder", "Pipeline"):
        forged.append(put_together(header, metadata, {**document, "class": name}, data))
    for raw in forged:
        path.write_bytes(raw)
        try:
            repr(load(path))
        except InvalidFileError:
            continue
    assert not mark.exists()
    pickle.loads(payloads[0])
    assert mark.exists()  # the payload does what it is for


def test_errors_name_the_file_and_the_reason(path, tmp_path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InvalidFileError, match=r"encoder\.safetensors' cannot be loaded: it was cut"
    ):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    with pytest.raises(InvalidFileError, match="it is no file"):
        load(tmp_path)


def test_files_of_newer_versions_ask_for_an_upgrade(encoder, path, monkeypatch):
    newest = files.FORMAT_VERSION
    monkeypatch.setattr(files, "FORMAT_VERSION", newest + 1)
    save(encoder, path)
    monkeypatch.undo()
    shown = rf"version {newest + 1}, .* up to {newest}: pip install --upgrade"
    with pytest.raises(InvalidFileError, match=shown):
        load(path)


def test_what_cannot_be_saved_leaves_the_old_file(encoder, path, tmp_path):
    before = path.read_bytes()
    with pytest.raises(InvalidParameterError, match="`dimensions` cannot be saved"):
        save(make_encoder(dimensions=lambda n: 2), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_loading_needs_no_torch(path):
    done = run_blocked(
        """
        import pandas as pd
        from sk_entity_embed.export import load, save
        encoder = load(sys.argv[1])
        X = pd.DataFrame({"letter": ["a", "new"], "color": ["red", None], "size": [1.0, 2.0]})
        assert encoder.transform(X).shape == (2, encoder.get_feature_names_out().size)
        save(encoder, sys.argv[1])
        print({m.split(".")[0] for m in sys.modules} & {*BLOCKED, "safetensors", "skops"})
        """,
        path,
    )
    assert done.stdout == "set()\n", done.stderr


def test_the_registry_is_of_the_packages_estimators():
    from sk_entity_embed.export.saving.state import REGISTRY, TRANSFORMERS

    estimators = [n for n in sk_entity_embed.__all__ if n.startswith("EntityEmbedding")]
    assert sorted(REGISTRY) == estimators
    assert {n for n in REGISTRY if hasattr(getattr(sk_entity_embed, n), "transform")} == set(
        TRANSFORMERS
    )
