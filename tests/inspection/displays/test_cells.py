"""What the two heat maps share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import leaves_list

from sk_entity_embed.inspection.displays.cells import (
    average_linkage,
    category_index,
    tick_step,
    title_of,
)


@pytest.mark.parametrize(
    ("n", "inches", "step"), [(10, 5.0, 1), (8, 1.0, 1), (9, 1.0, 2), (800, 2.0, 50), (3, 0, 3)]
)
def test_as_many_labels_as_have_room(n, inches, step):
    assert tick_step(n, inches, 0.125) == step


def test_categories_stay_what_they_are():
    labels = np.empty(4, dtype=object)
    labels[:] = [(1, 2), "\ud800", np.nan, True]
    index = category_index(labels, "it")
    assert index.dtype == object
    assert index[0] == (1, 2)
    assert index[3] is True
    assert index.name == "it"


def test_the_title_counts_what_is_left_out():
    index = pd.Index(["a", "b"], name="city")
    assert title_of("Vectors", index, None) == title_of("Vectors", index, 2) == "Vectors of city"
    assert title_of("Vectors", index, 1234) == "Vectors of city: 2 of 1,234 categories"


def test_similar_vectors_are_side_by_side():
    vectors = np.array([[0.0], [10.0], [0.1], [10.1], [5.0]])
    order = vectors[leaves_list(average_linkage(vectors, 5)), 0]
    assert abs(np.diff(order)).max() < 6
