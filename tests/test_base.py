"""A fit is one commit: the estimator has the earlier state or the new one, never half of each."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy, deepcopy
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import sklearn

import sk_entity_embed.learning.learn as learning
from sk_entity_embed import EntityEmbeddingEncoder, EntityEmbeddingRegressor
from sk_entity_embed.export import load, save
from tests.samples import make_encoder, make_rows

X, Y = make_rows(60)
OTHER, OTHER_Y = make_rows(80, seed=1)
NAMELESS = OTHER.to_numpy(dtype=object)  # so that feature_names_in_ has to go


def make_regressor(**params: Any) -> EntityEmbeddingRegressor:
    small = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
    return EntityEmbeddingRegressor(**small, **params)


@contextmanager
def interrupting(n: int) -> Iterator[list[str]]:
    """Press Ctrl-C before the nth line that is run after the network's end, ours or scikit-learn's.

    Gives the lines that were run, of which the last is the one not to be.
    """
    before, original, ran = sys.gettrace(), learning.learn, []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_globals.get("__name__", "").startswith(("sk_entity_embed", "sklearn.utils")):
            return None
        if event == "line" and len(ran) <= n:
            ran.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
            if len(ran) > n:
                raise KeyboardInterrupt
        return trace

    def learn_and_trace(*args: Any, **options: Any) -> Any:
        learned = original(*args, **options)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and trace(frame, "call", None):
            frame.f_trace, frame = trace, frame.f_back
        sys.settrace(trace)
        return learned

    # An interrupt just at the end of a `with` block skips its clean-up, so that is done here.
    with (
        pytest.MonkeyPatch.context() as patch, sklearn.config_context(), np.errstate(),
        warnings.catch_warnings(),
    ):  # fmt: skip
        patch.setattr(learning, "learn", learn_and_trace)
        try:
            yield ran
        finally:
            sys.settrace(before)


@pytest.fixture
def learn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training has the result of the first one of as many rows."""
    original, results = learning.learn, {}

    def learn(tables: list[Any], rows: Any, *args: Any) -> Any:
        key = len(rows.fold)
        if key not in results:
            results[key] = original(tables, rows, *args), list(tables)
        result, tables[:] = deepcopy(results[key])
        return result

    monkeypatch.setattr(learning, "learn", learn)


def answers(estimator: Any, table: Any) -> list[Any]:
    """What a fitted estimator says of itself and of a table."""
    found = [
        estimator.transform(table).tolist(), estimator.get_feature_names_out().tolist(),
        estimator.n_features_in_, list(getattr(estimator, "feature_names_in_", [])),
        estimator.n_iter_, estimator.fold_.tolist(),
    ]  # fmt: skip
    return [*found, estimator.predict(table).tolist()] if hasattr(estimator, "predict") else found


def interrupt(earlier: Any, n: int) -> tuple[Any, list[str]]:
    """A copy of an estimator whose fit was interrupted at the nth line, and the lines."""
    estimator = copy(earlier)
    with interrupting(n) as ran, suppress(KeyboardInterrupt):
        estimator.fit(NAMELESS, OTHER_Y)
    return estimator, ran


@pytest.mark.parametrize(
    ("make", "policy", "refit"),
    [(make_encoder, "zero", True), (make_regressor, "error", False)],
    ids=["encoder refitted", "fresh regressor"],
)
def test_an_interrupt_leaves_the_state_before_or_after(
    make: Callable[..., Any], policy: str, refit: bool, learn_once: None, tmp_path: Path
) -> None:
    estimator = make(handle_unknown=policy).fit(NAMELESS, OTHER_Y)
    new, attributes = answers(estimator, NAMELESS), vars(estimator).keys()
    earlier = make().fit(X, Y) if refit else make()
    earlier.set_params(handle_unknown=policy)
    state = vars(earlier)
    _, lines = interrupt(earlier, sys.maxsize)
    assert len(lines) > 100
    # Every line near the end, where the state is set, and one of twenty before.
    near = len(lines) - 60
    before, after = 0, 0
    for n in (*range(0, near, 20), *range(near, len(lines))):
        estimator, ran = interrupt(earlier, n)
        found = vars(estimator)
        if found.keys() == state.keys() and all(found[name] is state[name] for name in state):
            before += n >= near
            continue
        after += 1
        assert found.keys() == attributes, ran[-1]
        assert answers(estimator, NAMELESS) == new, ran[-1]
        save(estimator, tmp_path / "estimator")
        assert answers(load(tmp_path / "estimator"), NAMELESS) == new, ran[-1]
    assert before >= 1
    assert after >= 1


def test_categories_are_made_when_they_are_asked_for_and_belong_to_pickles():
    encoder = make_encoder()
    assert not hasattr(encoder, "categories_")
    encoder.fit([["a"], ["b"]] * 20, np.linspace(0, 1, 40)).transform([["a"]])
    assert "categories_" not in vars(encoder)
    assert encoder.categories_["x0"].tolist() == ["a", "b"]
    assert encoder.categories_ is encoder.categories_
    encoder.fit([["c"], ["b"]] * 20, np.linspace(0, 1, 40))
    assert encoder.categories_["x0"].tolist() == ["b", "c"]
    assert encoder.__getstate__()["categories_"]["x0"].tolist() == ["b", "c"]
    same = pickle.loads(pickle.dumps(encoder))
    assert "categories_" not in vars(same)
    assert same.categories_["x0"].tolist() == ["b", "c"]


def test_a_fit_keeps_what_a_subclass_leaves_out_of_pickles():
    class WithLock(EntityEmbeddingEncoder):
        def __getstate__(self):
            state = dict(super().__getstate__())
            state.pop("lock", None)
            return state

    encoder = WithLock(max_iter=1, cv=2, random_state=0)
    encoder.lock = object()
    before = encoder.lock
    encoder.fit([["a"], ["b"]] * 20, np.linspace(0, 1, 40))
    assert encoder.lock is before
