"""What a map points out, as positions among its categories, and its legends."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection.displays.coloring import painter, point_areas
from sk_entity_embed.inspection.displays.marks import (
    draw_legends,
    listed,
    marks_of,
    named,
    neighbors_of,
    size_keys,
)
from sk_entity_embed.inspection.displays.theme import LIGHT, dot
from tests.inspection.displays.conftest import make_column


@pytest.fixture
def line():
    """Five categories on a line, the last the most frequent."""
    return make_column(pd.DataFrame(np.arange(5.0)[:, None] + 1, index=[*"abcde"]), [1, 2, 3, 4, 5])


def test_one_category_or_several():
    assert listed(None) == []
    assert listed("ab") == ["ab"]
    assert listed(("a", 1)) == [("a", 1)]
    assert listed(["a", "b"]) == listed(np.array(["a", "b"])) == listed(pd.Index(["a", "b"]))


def test_labels_that_name_categories():
    assert named("auto") == named("all") == named(None) == named(3) == []
    for make in (list, tuple, pd.Index, np.array, pd.Series):
        assert named(make(["a", "b"])) == ["a", "b"]
    for labels in ("a", -1, True, 2.5):
        with pytest.raises(InvalidParameterError, match=f"`labels` must be .* got {labels!r}"):
            named(labels)


def test_what_is_required_comes_before_the_most_frequent(line):
    neighbors = neighbors_of(line, ["b"], 2, "euclidean", None)
    assert neighbors["category"].tolist() == ["a", "c"]
    marks = marks_of(line, ["b"], neighbors, ["c", "e"])
    assert marks.queries.tolist() == [1]
    assert marks.pairs.tolist() == [[1, 0], [1, 2]]
    assert marks.labelled.tolist() == [1, 2, 4, 0]
    assert marks.n_required == 4
    assert marks_of(line, [], None, "auto").labelled.tolist() == [4, 3, 2, 1, 0]
    assert marks_of(line, ["a"], None, "auto").labelled.tolist() == [0]
    assert marks_of(line, ["a"], None, 2).labelled.tolist() == [0, 4, 3]


def test_neighbours_are_as_many_as_there_are(line):
    assert len(neighbors_of(line, ["b"], 99, "cosine", None)) == 4
    assert len(neighbors_of(line, ["a"], 99, "cosine", 3)) == 3  # is none of them itself
    assert neighbors_of(line, [], 3, "cosine", None) is None
    assert neighbors_of(line, ["a"], 0, "cosine", None) is None


def test_sizes_are_those_of_the_points():
    counts = np.array([1, 10, 100])
    keys = size_keys(counts, LIGHT)
    assert [text for _, text in keys] == ["1", "10", "100 rows"]
    sizes = [handle.get_markersize() ** 2 for handle, _ in keys]
    np.testing.assert_allclose(sizes, point_areas(counts, 3))
    assert [text for _, text in size_keys(counts[:1], LIGHT, "item")] == ["1 item"]


def test_legends_have_no_more_columns_than_have_room():
    _, ax = plt.subplots(figsize=(2, 2), layout="constrained")
    keys = [(dot("red"), "x" * 60), (dot("blue"), "y")]
    where = ax, np.zeros((2, 2)), None, painter(None, 2, LIGHT)
    assert draw_legends(*where, keys, LIGHT)[0]._ncols == 1
    assert draw_legends(*where, [], LIGHT) == (None, None)
