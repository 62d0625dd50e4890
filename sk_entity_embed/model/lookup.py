"""From table rows to vectors: rows of several tables side by side, lists pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.threads import on_threads, runs
from sk_entity_embed.model.poolings import Pooling

_BLOCK = 4096
_PARALLEL = 2**20  # Numbers of the output that are worth a thread of their own.


def take(codes: Codes, rows: NDArray[np.intp]) -> Codes:
    """Codes of some rows."""
    return codes.take(rows) if isinstance(codes, Lists) else codes[rows]


def shift(codes: Codes, table: NDArray[np.int64], n_rows: int) -> Codes:
    """Return rows in stacked tables, one table after the other, of `n_rows` rows each.

    `codes` are rows of a table, `table` the table of each of them.
    """
    if isinstance(codes, Lists):
        return replace(codes, items=table[codes.rows] * n_rows + codes.items)
    return table * n_rows + codes


def gather(
    sources: Sequence[NDArray[np.float32]],
    rows: Sequence[Codes],
    out: NDArray[np.float32],
    poolings: Sequence[Pooling | None],
) -> None:
    """Write the vectors of several columns side by side into `out`, of float32.

    Column j takes `rows` of ``sources[j]``, of shape (n_rows, width), pooled where they are lists.
    It is done a block of rows at a time, so that blocks stay in cache.
    """
    edges = np.cumsum([0, *(s.shape[1] for s in sources)]).tolist()

    def fill(run: slice) -> None:
        buffers = [np.empty((_BLOCK, s.shape[1]), dtype=np.float32) for s in sources]
        for start in range(run.start, run.stop, _BLOCK):
            at = slice(start, min(start + _BLOCK, run.stop))
            for j, source in enumerate(sources):
                block = out[at, edges[j] : edges[j + 1]]
                taken = block if block.flags.c_contiguous else buffers[j][: len(block)]
                codes = rows[j][at]
                if isinstance(codes, Lists):
                    pooling = poolings[j]
                    assert pooling is not None
                    pooling(source, codes, taken)
                else:
                    # Codes are valid rows; "clip" only spares numpy a second copy of the result.
                    np.take(source, codes, axis=0, out=taken, mode="clip")
                if taken is not block:
                    _as_items(block)[:] = _as_items(taken)

    # Each run begins where a block does, so that sums and products are of the same rows.
    n_blocks = max(1, _PARALLEL // (_BLOCK * max(1, out.shape[1])))
    on_threads(fill, runs(len(out), at_least=n_blocks * _BLOCK))


def _as_items(vectors: NDArray[np.float32]) -> NDArray[np.void]:
    """Each row as one opaque item, which numpy copies at once, not number by number."""
    items: NDArray[np.void] = vectors.view(np.dtype((np.void, 4 * vectors.shape[1])))[:, 0]
    return items
