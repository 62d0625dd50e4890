"""What a map points out, as positions among its categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.inspection.catalogue import from_vectors
from sk_entity_embed.inspection.displays.marks import listed, marks_of, named, neighbors_of


@pytest.fixture
def catalogue():
    """Five categories on a line, the last the most frequent."""
    vectors = np.arange(5.0)[:, None] + 1.0
    return from_vectors(vectors, categories=list("abcde"), counts=[1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("highlight", "expected"),
    [
        (None, []),
        ("ab", ["ab"]),
        (("a", 1), [("a", 1)]),
        (["a", "b"], ["a", "b"]),
        (pd.Index([3]), [3]),
        (np.array(["a"]), ["a"]),
    ],
)
def test_one_category_or_several(highlight, expected):
    assert listed(highlight) == expected


def test_labels_that_name_categories():
    assert named("auto") == named("all") == named(None) == named(3) == []
    assert named(("a", "b")) == ["a", "b"]
    with pytest.raises(InvalidParameterError, match="`labels` must be"):
        named("a")


def test_positions(catalogue):
    neighbors = neighbors_of(catalogue, ["b"], 2, "euclidean", None)
    assert neighbors["category"].tolist() == ["a", "c"]
    marks = marks_of(catalogue, ["b"], neighbors, ["c", "e"])
    assert marks.queries.tolist() == [1]
    assert marks.pairs.tolist() == [[1, 0], [1, 2]]
    assert marks.required.tolist() == [1, 2, 4, 0]
    assert marks.labelled.tolist() == [1, 2, 4, 0]


def test_the_most_frequent_ones_come_after_those_that_are_required(catalogue):
    assert marks_of(catalogue, [], None, "auto").labelled.tolist() == [4, 3, 2, 1, 0]
    assert marks_of(catalogue, ["a"], None, "auto").labelled.tolist() == [0]
    assert marks_of(catalogue, ["a"], None, 2).labelled.tolist() == [0, 4, 3]


def test_neighbours_are_as_many_as_there_are(catalogue):
    assert len(neighbors_of(catalogue, ["b"], 99, "cosine", None)) == 4
    assert len(neighbors_of(catalogue, ["a"], 99, "cosine", 3)) == 3  # is none of them itself
    assert neighbors_of(catalogue, [], 3, "cosine", None) is None
    with pytest.raises(InvalidParameterError, match="`k_neighbors` must be"):
        neighbors_of(catalogue, ["a"], -1, "cosine", None)
    with pytest.raises(InvalidDataError, match="'z' is no category"):
        neighbors_of(catalogue, ["z"], 1, "cosine", None)
