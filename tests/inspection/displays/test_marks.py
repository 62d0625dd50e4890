"""What a map points out, as positions among its categories, and its legends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.inspection.displays.marks import marks_of, named, neighbors_of
from tests.inspection.displays.conftest import make_column


@pytest.fixture
def line():
    """Five categories on a line, the last the most frequent."""
    return make_column(pd.DataFrame(np.arange(5.0)[:, None] + 1, index=[*"abcde"]), [1, 2, 3, 4, 5])


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
    marks = marks_of(line, ["a"], None, 2)
    assert marks.labelled.tolist() == [0, 4, 3]
    assert marks.n_asked == 3
