"""Cells of several parts as those of one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sk_entity_embed.input.joining import joined_cells


@pytest.mark.parametrize("largest", [2**53 - 1, 2**60 + 1])
def test_whole_numbers_stay_as_they_are_among_others(largest: int) -> None:
    whole, others = pa.array([1, largest, None]), pa.array([0.5, None])
    joined = joined_cells([whole, others])
    assert isinstance(joined, pa.Array) == (largest < 2**53)
    values = joined.to_pylist() if isinstance(joined, pa.Array) else joined.tolist()
    assert values == [1, largest, None, 0.5, None]
    assert isinstance(joined_cells([whole, whole]), pa.Int64Array)
    assert isinstance(joined_cells([whole, np.array(["a"], dtype=object)]), np.ndarray)
