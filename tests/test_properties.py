"""Random tables of any values, in any container, through the whole life of an encoder."""

from __future__ import annotations

import datetime
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sk_entity_embed.exceptions import EntityEmbedError
from sk_entity_embed.input.vocabulary import INFREQUENT
from tests.containers import CONTAINERS, NAMELESS, PYTHON_OBJECTS, make_container
from tests.list_containers import LIST_CONTAINERS, make_lists
from tests.samples import make_encoder

pytestmark = pytest.mark.filterwarnings(
    "ignore::sk_entity_embed.exceptions.EmptyColumnWarning",
    "ignore::sk_entity_embed.exceptions.FoldsReducedWarning",
    "ignore::sk_entity_embed.exceptions.RareClassWarning",
    "ignore::sk_entity_embed.exceptions.ColumnRoleWarning",
    "ignore:X (does not have valid|has) feature names",
)

quick = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# Which containers can hold values of a kind without changing them.
ANYWHERE = CONTAINERS
MIXED = tuple(c for c in PYTHON_OBJECTS if c != "pandas_category")  # pandas cannot sort tuples
OBJECTS = ("pandas_object", "numpy_object", "lists")
SURROGATES = st.characters(categories=["Cs", "Ll"])
WHOLE = st.integers(-(2**53), 2**53)

KINDS: dict[str, tuple[st.SearchStrategy[Any], tuple[str, ...]]] = {
    "text": (st.text(max_size=4), ANYWHERE),
    "words": (st.sampled_from(["", " ", "a", "A", "nan", "None", "1", "é", "e\u0301"]), ANYWHERE),
    "surrogates": (st.text(SURROGATES, max_size=3), NAMELESS),
    "integers": (WHOLE, ANYWHERE),
    "floats": (st.floats(-(2.0**40), 2.0**40, width=32), ANYWHERE),
    "booleans": (st.booleans(), ANYWHERE),
    "huge": (st.integers(2**64, 2**70), OBJECTS),
    "mixed": (
        st.one_of(
            st.text(max_size=2), st.integers(-3, 3), st.booleans(), st.floats(-2, 2),
            st.tuples(st.integers(0, 2)), st.binary(max_size=2),
        ),
        MIXED,
    ),
    "dates": (
        st.dates(datetime.date(2000, 1, 1), datetime.date(2000, 1, 9)).map(
            lambda d: datetime.datetime(d.year, d.month, d.day)
        ),
        OBJECTS,
    ),
}  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[Any]], dict[str, list[Any]], tuple[str, ...]]:
    """Columns for fit, columns for transform, and the containers that can hold both."""
    n_rows, n_asked = draw(st.integers(1, 40)), draw(st.integers(1, 8))
    fit, asked, containers = {}, {}, set(CONTAINERS)
    for j in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(sorted(KINDS)))
        values, homes = KINDS[kind]
        pool = draw(st.lists(values, min_size=1, max_size=6))
        if draw(st.booleans()):
            pool.append(None)
        cells = st.sampled_from(pool)
        fit[f"x{j}"] = draw(st.lists(cells, min_size=n_rows, max_size=n_rows))
        if kind == "mixed":
            fit[f"x{j}"][0] = "text"  # so that it is not a column of numbers
        unseen = st.one_of(cells, values)
        asked[f"x{j}"] = draw(st.lists(unseen, min_size=n_asked, max_size=n_asked))
        containers &= set(homes)
    return fit, asked, tuple(sorted(containers))


PARAMS = st.fixed_dictionaries(
    {
        "categorical_features": st.sampled_from(["auto", "all"]),
        "cross_fit": st.booleans(),
        "output": st.sampled_from(["embedding", "both"]),
        "remainder": st.sampled_from(["drop", "passthrough"]),
        "handle_unknown": st.sampled_from(["learned", "zero", "nan"]),
        "min_frequency": st.sampled_from([None, 2]),
        "max_iter": st.sampled_from([1, 2]),
    }
)


def target(n: int) -> np.ndarray:
    return np.arange(n) % 5 / 5 + 0.1


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def expected_error(columns: dict[str, list[Any]], params: dict[str, Any]) -> str | None:
    """What must be said about a table that cannot be fitted; None for all others."""
    messages = []
    known = [[c for c in cells if not is_missing(c)] for cells in columns.values()]
    if params["categorical_features"] == "auto":
        messages += [
            f"Column 'x{j}' is of type"
            for j, cells in enumerate(known)
            if cells and all(isinstance(c, datetime.datetime) for c in cells)
        ]
    if len(columns["x0"]) == 1:
        messages.append("got 1 sample")
    return "|".join(messages) or None


@quick
@given(table=tables(), params=PARAMS, data=st.data())
def test_any_table_through_fit_transform_back_and_pickle(
    table: tuple[Any, Any, tuple[str, ...]], params: dict[str, Any], data: st.DataObject
) -> None:
    columns, asked, containers = table
    containers = tuple(c for c in containers if _can_hold(c, columns) and _can_hold(c, asked))
    first, second, third = (data.draw(st.sampled_from(containers)) for _ in range(3))
    X, n = make_container(first, columns), len(columns["x0"])
    encoder = make_encoder(**params)
    if (message := expected_error(columns, params)) is not None:
        with pytest.raises(EntityEmbedError, match=message):
            encoder.fit(X, target(n))
        assert vars(encoder) == encoder.get_params()
        return

    trained = encoder.fit_transform(X, target(n))
    n_vectors = sum(encoder.dimensions_.values())
    assert trained.dtype == np.float32
    assert trained.flags.c_contiguous
    assert trained.shape == (n, len(encoder.get_feature_names_out()))
    assert np.isfinite(trained[:, :n_vectors]).all()

    # equal data in another container, the same bytes
    again = make_encoder(**params)
    assert again.fit_transform(make_container(second, columns), target(n)).tobytes() == (
        trained.tobytes()
    )
    out = encoder.transform(X)
    assert again.transform(make_container(third, columns)).tobytes() == out.tobytes()

    # unseen values are served as the policy says, one row like many
    new = encoder.transform(make_container(third, asked))
    assert np.isfinite(new[:, :n_vectors]).all() or params["handle_unknown"] == "nan"
    single = make_container(third, {name: cells[:1] for name, cells in asked.items()})
    assert encoder.transform(single).tobytes() == new[:1].tobytes()

    # and all the way back
    back = encoder.inverse_transform(out)
    shown = [n for n in columns if n in encoder.categorical_features_ or _passed(params)]
    assert back.shape == (n, len(shown))
    for k, name in enumerate(shown):
        if name in encoder.categorical_features_:
            _check_decoded(encoder, name, columns[name], back[:, k])

    kept = pickle.loads(pickle.dumps(encoder))
    assert kept.transform(X).tobytes() == out.tobytes()
    assert kept.transform(make_container(third, asked)).tobytes() == new.tobytes()
    assert pickle.dumps(kept.inverse_transform(out)) == pickle.dumps(back)


def _passed(params: dict[str, Any]) -> bool:
    return params["remainder"] == "passthrough"


def _can_hold(container: str, columns: dict[str, list[Any]]) -> bool:
    """Whether a container keeps values as they are: NumPy has no missing integers or booleans."""
    for cells in columns.values():
        known = [c for c in cells if not is_missing(c)]
        if not known and container not in OBJECTS:
            return False  # a column of nothing has another type in each container
    return True


def _check_decoded(encoder: Any, name: str, cells: list[Any], back: np.ndarray) -> None:
    """Each category comes back, but for rare ones and those that no table could learn."""
    table = encoder._model.tables[encoder.categorical_features_.index(name)]
    labels = [None if is_missing(v) else v for v in table.vocabulary.labels.tolist()]
    rows = dict(zip(labels, table.vocabulary.label_rows, strict=True))
    # Of validation rows only: known as unknown, whose vector it shares.
    unlearned = {v for v, row in rows.items() if (table.vectors[row] == table.vectors[0]).all()}
    for cell, got in zip(cells, back, strict=True):
        wanted = "infrequent_sklearn" if rows[cell] == INFREQUENT else cell
        if cell in unlearned:
            assert is_missing(got) or got in unlearned or got == wanted
        else:
            assert got == wanted or (cell is None and got is not None and np.isnan(got))


@quick
@given(
    cells=st.lists(
        st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", "c", "é", "", None]), max_size=4)),
        min_size=6,
        max_size=24,
    ),
    asked=st.lists(
        st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=6)),
        min_size=1,
        max_size=6,
    ),
    pooling=st.sampled_from(["mean", "sum", "max", "gru"]),
    max_length=st.sampled_from([None, 1, 3]),
    cross_fit=st.booleans(),
    policy=st.sampled_from(["learned", "zero", "nan"]),
    containers=st.tuples(*[st.sampled_from(LIST_CONTAINERS)] * 3),
)
def test_any_lists_through_fit_transform_and_pickle(
    cells: list[Any],
    asked: list[Any],
    pooling: str,
    max_length: int | None,
    cross_fit: bool,
    policy: str,
    containers: tuple[str, str, str],
) -> None:
    first, second, third = containers
    params = {
        "pooling": pooling,
        "max_length": max_length,
        "cross_fit": cross_fit,
        "handle_unknown": policy,
        "output": "both",
    }
    encoder, n = make_encoder(**params), len(cells)
    used = [v for cell in cells if cell for v in cell[-(max_length or 9) :]]
    if all(cell is None for cell in cells):  # of which Python does not say that they are lists
        first = second = "arrow_list"
    trained = encoder.fit_transform(make_lists(first, cells), target(n))
    again = make_encoder(**params)
    assert again.fit_transform(make_lists(second, cells), target(n)).tobytes() == trained.tobytes()
    assert np.isfinite(trained).all()

    (column,) = encoder.categorical_features_
    width = encoder.dimensions_[column]
    out = encoder.transform(make_lists(third, asked))
    assert out.tobytes() == again.transform(make_lists(first, asked)).tobytes()
    known = {v for v in used if v is not None}
    for row, cell in zip(out, asked, strict=True):
        items = [None] if cell is None else cell[-(max_length or 9) :]
        if policy != "nan" or (items and all(v in known for v in items)):
            assert np.isfinite(row[:width]).all()
        assert np.isfinite(row[width:]).all()
    for i in range(len(asked)):
        alone = encoder.transform(make_lists(third, asked[i : i + 1]))
        assert alone.tobytes() == out[i : i + 1].tobytes()
    kept = pickle.loads(pickle.dumps(encoder))
    assert kept.transform(make_lists(third, asked)).tobytes() == out.tobytes()
