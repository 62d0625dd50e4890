"""Callbacks are told the losses, change nothing, and may end a fit, which leaves no trace."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from sk_entity_embed import EntityEmbeddingClassifier, EntityEmbeddingEncoder
from sk_entity_embed import EntityEmbeddingRegressor as Regressor
from sk_entity_embed.distributed import fit as fit_on_cluster
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.export import load, save
from tests.samples import make_encoder, make_rows

X, Y = make_rows(240)
ROWS = X.assign(y=Y)
PARTS = [ROWS.iloc[:120], ROWS.iloc[120:]]
Told = list[tuple[int, dict[str, float]]]


class Pruned(Exception):
    """What a callback ends a fit with."""


class Log:
    """A callback that keeps what it is told, and perhaps ends the fit in an epoch."""

    def __init__(self, end: int = 99, raised: type[BaseException] = Pruned) -> None:
        self.told: Told = []
        self.end, self.raised = end, raised

    def __call__(self, epoch: int, losses: dict[str, float]) -> None:
        assert type(epoch) is int
        self.told.append((epoch, dict(losses)))
        losses.clear()  # the next callback has losses of its own
        if epoch == self.end:
            raise self.raised

    @property
    def epochs(self) -> list[int]:
        return [epoch for epoch, _ in self.told]


def curves(model: Any) -> Told:
    """What callbacks are to be told of a fit: what its curves say."""
    named = {"train": model.loss_curve_}
    if model.validation_loss_curve_ is not None:
        named["validation"] = model.validation_loss_curve_
    return [(i + 1, {k: float(v[i]) for k, v in named.items()}) for i in range(model.n_iter_)]


FITS: dict[str, Any] = {
    "fit": lambda model: model.fit(X, Y),
    "fit_transform": lambda model: (model.fit_transform(X, Y), model)[1],
    "from memory": lambda model: model.fit_batches(PARTS, y="y"),
    "from files": lambda model: model.fit_batches(PARTS, y="y", rows_in_memory=100),
    "partial_fit": lambda model: model.partial_fit(X, Y).partial_fit(X.iloc[::-1], Y[::-1]),
}


@pytest.mark.parametrize("way", FITS)
def test_each_way_to_fit_tells_what_the_curves_say_and_stays_the_same(way: str) -> None:
    log, again = Log(), Log()
    settings = {"max_iter": 3, "target_type": "continuous"}
    model = FITS[way](make_encoder(callbacks=[log, again], **settings))
    assert log.told[-model.n_iter_ :] == curves(model)  # of the last call
    assert again.told == log.told
    plain = FITS[way](make_encoder(**settings))
    np.testing.assert_array_equal(model.transform(X), plain.transform(X))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (Regressor, {"head": "dot", "early_stopping": False}),
        (Regressor, {"cross_fit": False, "loss": "huber"}),
        (EntityEmbeddingClassifier, {}),
        (EntityEmbeddingEncoder, {"target_type": "continuous"}),  # of two quantities
    ],
    ids=str,
)
def test_estimators_and_heads(kind: Any, parameters: dict[str, Any]) -> None:
    y = {Regressor: 50 * Y, EntityEmbeddingEncoder: np.c_[Y, 100 * Y]}.get(kind, X["color"])
    frame = X[["letter", "color"]]
    model = kind(callbacks=(log := Log(),), max_iter=2, random_state=0, **parameters).fit(frame, y)
    assert log.told == curves(model)
    assert len(log.told) == 2


def test_epochs_of_members_follow_each_other() -> None:
    model = make_encoder(callbacks=[log := Log()], n_members=3).fit(X, Y)
    assert log.epochs == [1, 2, 3, 4, 5, 6]
    assert log.told[:2] == curves(model)


@pytest.mark.parametrize("raised", [Pruned, KeyboardInterrupt])
@pytest.mark.parametrize("way", [*FITS])
def test_what_a_callback_raises_passes_and_the_fit_before_stays(
    way: str, raised: type[BaseException]
) -> None:
    model = make_encoder(max_iter=4, target_type="continuous")
    model.fit(X, Y)
    expected, attributes = model.transform(X), dict(vars(model))
    model.set_params(callbacks=[Log(2, raised)], random_state=1)
    threads = threading.active_count()
    with pytest.raises(raised) as caught:
        FITS[way](model)
    assert threading.active_count() == threads  # while the error still holds all there was
    assert type(caught.value) is raised
    model.set_params(callbacks=None, random_state=0)
    assert all(vars(model)[name] is value for name, value in attributes.items())
    np.testing.assert_array_equal(model.transform(X), expected)
    with pytest.raises(raised):
        FITS[way](new := make_encoder(callbacks=[Log(1, raised)], target_type="continuous"))
    assert not hasattr(new, "_model")


@pytest.mark.parametrize(("members", "end", "first"), [(1, 3, 3), (2, 6, 6)])
def test_a_fit_that_goes_on_from_a_checkpoint_goes_on_counting(
    members: int, end: int, first: int, tmp_path: Path
) -> None:
    settings = {"max_iter": 4, "n_members": members, "checkpoint_interval": 0}
    whole = make_encoder(callbacks=[log := Log()], **settings).fit(X, Y)
    with pytest.raises(Pruned):
        make_encoder(callbacks=[Log(end)], checkpoint=tmp_path, **settings).fit(X, Y)
    # An epoch that a callback has ended is run, and told, once more.
    model = make_encoder(callbacks=[rest := Log()], checkpoint=tmp_path, **settings).fit(X, Y)
    assert rest.told == log.told[first - 1 :]
    np.testing.assert_array_equal(model.transform(X), whole.transform(X))


def test_they_are_parameters_until_a_fit_and_no_part_of_it(tmp_path: Path) -> None:
    log = Log()
    encoder = make_encoder(callbacks=[log, lambda epoch, losses: None])
    assert clone(encoder).get_params()["callbacks"][1] is encoder.callbacks[1]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(encoder)  # a grid search must not lose them on the way to its workers
    encoder.fit(X, Y)
    assert encoder.callbacks[0] is log
    plain = make_encoder().fit(X, Y)
    save(encoder, tmp_path / "a")
    save(plain, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pickle.dumps(encoder) == pickle.dumps(plain)
    for other in (load(tmp_path / "a"), copy.deepcopy(encoder)):
        assert other.callbacks is None
        np.testing.assert_array_equal(other.transform(X), plain.transform(X))


def test_a_cluster_refuses_them() -> None:
    with pytest.raises(InvalidParameterError, match="`callbacks` are for fits in one process"):
        fit_on_cluster(make_encoder(callbacks=[print]), "nowhere", y="y")
