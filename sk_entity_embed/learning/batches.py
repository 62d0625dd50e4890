"""Batches: what each step and the validation need of the training rows.

Training knows the :class:`Batches` protocol alone. :class:`TrainingSet` keeps all rows on the
device; another implementation may read them from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_entity_embed.input.lists import Codes, Lists
from sk_entity_embed.input.threads import is_forked
from sk_entity_embed.learning.problem import (
    Floats,
    Rows,
    TrainingConfig,
    TrainingRows,
    parts_of_pass,
)
from sk_entity_embed.model.heads import heads_of_folds


@dataclass(slots=True)
class ListBatch:
    """Lists of some rows: table rows of all items, the row of the batch that each item belongs to,
    and the lengths of the lists, none of which is empty.
    """

    codes: Tensor
    owners: Tensor
    lengths: Tensor

    def part(self, items: slice, rows: slice) -> ListBatch:
        """Return the lists of some rows, whose items are those given."""
        owners = self.owners[items]
        return ListBatch(
            self.codes[items], owners - rows.start if rows.start else owners, self.lengths[rows]
        )


@dataclass(slots=True)
class Batch:
    """Codes of some rows.

    `cells` are table rows in the columns of single values, of shape (n, n_plain), `lists` the items
    in the columns of lists. `places` gives each column's position among the former or, counted from
    -1 down, among the latter.
    """

    cells: Tensor
    lists: list[ListBatch]
    places: Sequence[int]

    def list_of(self, column: int) -> ListBatch | None:
        """Return the lists of a column; None where cells are single values."""
        place = self.places[column]
        return self.lists[-1 - place] if place < 0 else None

    def flat_rows(self, table: Tensor, n_rows: Sequence[int]) -> list[Tensor]:
        """Return rows in the stacked tables of each column, one a cell or item.

        `table` is the table to look each row of the batch up in, `n_rows` the size of each column's
        tables.
        """
        flat = []
        for j, n in enumerate(n_rows):
            lists = self.list_of(j)
            if lists is None:
                flat.append(torch.add(self.cells[:, self.places[j]], table, alpha=n))
            else:
                flat.append(table[lists.owners] * n + lists.codes)
        return flat

    def replace_some(
        self, rate: float, generator: torch.Generator, spared: Tensor | None = None
    ) -> None:
        """Make a share of the cells and items unknown, in place, but for `spared` rows."""
        owned = [(self.cells, None), *((lists.codes, lists.owners) for lists in self.lists)]
        for codes, owners in owned:
            chosen = _chosen(codes, rate, generator)
            if spared is not None:
                left = ~spared if owners is None else ~spared[owners]
                chosen &= left.unsqueeze(1) if owners is None else left
            codes.masked_fill_(chosen, 0)


def _chosen(codes: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Return whether each is chosen, in steps of 1/65,536: a draw of 64 bits serves four."""
    words = torch.empty(-(-codes.numel() // 4), dtype=torch.int64, device=codes.device)
    words.random_(-(2**63), None, generator=generator)
    drawn = words.view(torch.int16)[: codes.numel()].view(codes.shape[::-1]).t()
    return drawn < round(65_536 * rate) - 32_768


class CodedColumns:
    """Codes of all training rows on a device.

    A code whose category the row's own table never saw is kept as its complement ``~code``, so that
    one array serves both ways of reading it.
    """

    def __init__(self, codes: Sequence[Codes], n_samples: int, device: torch.device) -> None:
        plain = [c for c in codes if not isinstance(c, Lists)]
        matrix = np.empty((n_samples, len(plain)), dtype=_smallest_type(plain))
        for k, column in enumerate(plain):
            matrix[:, k] = column
        self._cells = torch.as_tensor(matrix, device=device)
        lists = [c for c in codes if isinstance(c, Lists)]
        self._items = [torch.as_tensor(c.items, device=device) for c in lists]
        self._offsets = [torch.as_tensor(c.offsets, device=device) for c in lists]
        numbers = {False: iter(range(len(plain))), True: iter(range(-1, -1 - len(lists), -1))}
        self._places = [next(numbers[isinstance(c, Lists)]) for c in codes]

    def take(self, rows: Tensor, own: Tensor | None = None) -> Batch:
        """Return codes of some rows, copied.

        Rows of `own` get codes that their own table knows: unknown where it never saw the category.
        None is for no row.
        """
        lists = [
            _take_lists(items, offsets, rows)
            for items, offsets in zip(self._items, self._offsets, strict=True)
        ]
        for column in lists:
            column.codes = _read(column.codes, None if own is None else own[column.owners])
        columns = self._cells.index_select(0, rows).t().contiguous()
        return Batch(_read(columns, own).t(), lists, self._places)


def _read(codes: Tensor, own: Tensor | None) -> Tensor:
    """Return codes of which some may be complements; those of `own` are zero there."""
    sign = codes >> (8 * codes.element_size() - 1)  # -1 of complements
    read = codes.bitwise_xor_(sign)
    return read if own is None else read.mul_(1 + sign * own)


def _smallest_type(columns: Sequence[NDArray[np.integer[Any]]]) -> Any:
    """Return the smallest integer type that holds all codes and their complements."""
    largest = max((int(np.abs(c).max(initial=0)) for c in columns), default=0)
    return np.min_scalar_type(-largest - 1)


def _take_lists(items: Tensor, offsets: Tensor, rows: Tensor) -> ListBatch:
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    ends = lengths.cumsum(0)
    owners = torch.repeat_interleave(lengths)
    within = torch.arange(len(owners), device=rows.device) - (ends - lengths)[owners]
    return ListBatch(items.index_select(0, starts[owners] + within), owners, lengths)


_ROWS_AT_ONCE = 2048
_ITEMS_AT_ONCE = 65_536
"""Rows and items evaluated in one go; of the next steps' rows four times as many are coded."""


@dataclass(slots=True)
class Examples:
    """Some rows: where to look them up, and what to learn from them.

    The first `n_own` rows are looked up in the tables of their own fold; these teach the heads. The
    others teach the tables. `n_own_items` says how many cells or items of each column are the
    former's. Both parts are in the order of the heads that they go through, as many rows for each:
    some weigh nothing and fill a part up. `n_rows` are the rows of both parts without these.

    `flat` are rows of each column's stacked tables, one a cell or item, and `lists` the lists of
    each column, None for single values. `shrinkage`, of shape (n_items, 1) for each column, is how
    strongly each vector of the other rows shrinks towards zero, times the number of these rows.
    """

    n_own: int
    n_own_items: list[int]
    n_rows: tuple[int, int]
    flat: list[Tensor]
    lists: list[ListBatch | None]
    context: Tensor
    target: Tensor
    weights: Tensor
    shrinkage: list[Tensor]

    def __len__(self) -> int:
        return len(self.weights)


class Batches(Protocol):
    """Where a training gets its rows from, step by step."""

    n_steps: int
    """Steps of an iteration."""
    n_context: int
    """Numbers beside the vectors."""
    generator: torch.Generator
    """Draws the order of rows, and what the tables see of them."""

    def iteration(self) -> Iterator[Callable[[], list[Examples]]]:
        """Yield functions that give the rows of the next few steps.

        Each may be called while the steps before are taken, but only after the one before it.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return where the next iteration starts, beside the generator's state."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""

    def validation(self) -> Iterator[Examples]:
        """Yield the validation rows, to be looked up in the tables of their own fold."""


class Window:
    """Some training rows on a device, ready to be dealt out.

    Rows of `training` teach the heads, and these and those `withheld` the tables. Where withheld
    rows go through heads, too, they are `silent`: of no weight there.
    """

    def __init__(self, rows: TrainingRows, *, silences: bool, device: torch.device) -> None:
        self.codes = CodedColumns(marked_codes(rows), rows.n_samples, device)
        self.context = torch.as_tensor(rows.context, device=device)
        self.target = torch.as_tensor(rows.target, device=device)
        self.weights = torch.as_tensor(rows.weights, device=device)
        fold_type = np.min_scalar_type(-rows.n_tables)
        self.fold = torch.as_tensor(rows.fold.astype(fold_type), device=device)
        self.silent = torch.as_tensor(rows.withheld, device=device) if silences else None
        only_tables = np.zeros_like(rows.withheld) if silences else rows.withheld
        self.training = numbers_of(~only_tables, device)
        self.withheld = numbers_of(only_tables & rows.cross_fitted, device)

    def fold_of(self, rows: Tensor) -> Tensor:
        """Return the fold of each row."""
        return self.fold.index_select(0, rows).to(torch.int64)

    def numbers(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return context, target and weights, copied."""
        context, target, weights = (
            t.index_select(0, rows) for t in (self.context, self.target, self.weights)
        )
        return context, target, weights


def numbers_of(chosen: NDArray[np.bool_], device: torch.device) -> Tensor:
    """Return the numbers of the rows chosen."""
    return torch.as_tensor(np.flatnonzero(chosen), dtype=torch.int32, device=device)


class TrainingSet:
    """The :class:`Batches` of rows of which a window at a time is on the device: all, if they fit.

    All rows but those withheld teach the heads, and these and the withheld ones the tables. An
    iteration is a pass over the rows, or a part of one where they are many. The generator draws
    the order of rows, unknown cells, and the tables and heads that rows teach. Where there are
    several windows it draws the order of the chunks of rows that they are made of, too.
    """

    def __init__(
        self,
        rows: Rows,
        config: TrainingConfig,
        shrinks: Sequence[float],
        generator: torch.Generator,
    ) -> None:
        self.generator, device = generator, generator.device
        self.rows, self.n_rows, self.n_tables = rows, rows.n_rows, rows.n_tables
        self.n_context, self.n_heads = rows.n_context, config.n_heads
        head_of = heads_of_folds(rows.n_tables, config.n_heads)
        self._head_of = torch.as_tensor(head_of, device=device)
        self._shrinkage = [
            torch.as_tensor(s, device=device)
            for s in shrinkage(rows, shrinks, config.head.prior_rows)
        ]
        # What a row tells of an averaged item goes by the square of the item's share in the mean,
        # and so does the shrinkage that weighs as much.
        self._shares_gradient = [p is not None and p.shares_gradient for p in config.poolings]
        self._unknown_rate = config.unknown_rate
        # Heads of folds go through the rows that teach tables, where withheld ones weigh nothing.
        self._silences = rows.n_withheld > 0 and rows.cross_fitted and config.head.cross_fits
        n_training = rows.n_samples - (0 if self._silences else rows.n_withheld)
        n_training = rows.of_all(n_training)
        self._parts = parts_of_pass(-(-n_training // rows.n_windows))
        self.n_parts = rows.n_windows * self._parts
        self._parts_an_iteration = max(1, self.n_parts // parts_of_pass(n_training))
        # Of parts that differ by a row, the smaller one's: no step is without rows.
        self._n_steps = max(1, -(-(n_training // self.n_parts) // config.batch_size))
        self.n_steps = self._n_steps * self._parts_an_iteration
        self.n_rows_an_iteration = n_training * self._parts_an_iteration / self.n_parts
        few = _ITEMS_AT_ONCE / rows.items_per_row
        rows_at_once = max(1, int(min(_ROWS_AT_ONCE, few)))
        rows_a_step = -(-config.batch_size // rows.n_workers)
        self._steps_at_once = max(1, 4 * rows_at_once // (2 * rows_a_step))
        judging, places = rows.judges()
        self._judging = self._window = self._on_device(judging)
        self._is_read = judging is rows
        judges = torch.as_tensor(places, dtype=torch.int32, device=device)
        n_blocks = max(1, -(-len(judges) // rows_at_once))
        own_heads = self._head_of[self._judging.fold_of(judges)]
        self._judges = judges, _dealt(own_heads, self.n_heads, n_blocks)[0]
        self._part = 0
        self._chunks = np.arange(rows.n_chunks)
        # Windows come from disks, which are slow, and are read while steps are taken.
        reads = rows.n_windows > 1 and not is_forked()
        self._reader = ThreadPoolExecutor(1) if reads else None
        self._following: Future[TrainingRows] | None = None
        self._order = (self._window.training, self._window.withheld)

    def close(self) -> None:
        """Stop reading ahead; the files that are read may be closed then."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)

    def iteration(self) -> Iterator[Callable[[], list[Examples]]]:
        """Yield functions that give the rows of several steps, coded in one go."""
        for _ in range(self._parts_an_iteration):
            yield from self._next_part()

    def _next_part(self) -> Iterator[Callable[[], list[Examples]]]:
        """Yield those of the part of a pass that comes next: of a window, or a part of one."""
        if self._part == 0 and self.rows.n_windows > 1:
            device = self.generator.device
            drawn = torch.randperm(len(self._chunks), generator=self.generator, device=device)
            self._chunks = drawn.cpu().numpy()
        window, part = divmod(self._part, self._parts)
        if part == 0:
            self._next_window(window)
            held = self._window
            self._order = self._shuffled(held.training), self._shuffled(held.withheld)
        rows, more = (order.tensor_split(self._parts)[part] for order in self._order)
        self._part = (self._part + 1) % self.n_parts
        for_steps = [
            min(self._steps_at_once, self._n_steps - first)
            for first in range(0, self._n_steps, self._steps_at_once)
        ]
        edges = list(accumulate(for_steps))[:-1]
        cuts = [[len(r) * edge // self._n_steps for edge in edges] for r in (rows, more)]
        for n, some, others in zip(
            for_steps, rows.tensor_split(cuts[0]), more.tensor_split(cuts[1]), strict=True
        ):
            yield partial(self.steps, n, some, others)

    def state_dict(self) -> dict[str, Any]:
        """Return the part of the pass that comes next, and the orders of chunks and rows."""
        inside = self._part % self._parts
        return {
            "part": self._part,
            "chunks": torch.as_tensor(self._chunks),
            "order": self._order if inside else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self._part, self._chunks = state["part"], state["chunks"].cpu().numpy()
        self._following = None
        window, part = divmod(self._part, self._parts)
        if part:
            self._next_window(window)
            rows, more = (order.to(self.generator.device) for order in state["order"])
            self._order = rows, more

    def validation(self) -> Iterator[Examples]:
        """Yield the validation rows, some at a time, by the heads of their own folds."""
        judges, blocks = self._judges
        if len(judges) == 0:  # other workers may have some
            return
        for block in blocks:
            places = block.flatten()
            yield self._of_own_tables(judges[places.clamp(min=0)], places >= 0)

    def _next_window(self, number: int) -> None:
        """Take the window of that number, and begin to read the one after it."""
        if self.rows.n_windows == 1 and self._is_read:  # it stays
            return
        following, self._following = self._following, None
        del self._window  # before the next one takes memory
        read = partial(self.rows.window, self._chunks)
        rows = read(number) if following is None else following.result()
        self._window, self._is_read = self._on_device(rows), True
        if self._reader is not None and number + 1 < self.rows.n_windows:
            self._following = self._reader.submit(read, number + 1)

    def _on_device(self, rows: TrainingRows) -> Window:
        return Window(rows, silences=self._silences, device=self.generator.device)

    def _shuffled(self, rows: Tensor) -> Tensor:
        device = self.generator.device
        order = torch.randperm(
            len(rows), generator=self.generator, device=device, dtype=torch.int32
        )
        return rows[order]

    def _of_own_tables(self, rows: Tensor, counts: Tensor) -> Examples:
        """Return rows to be looked up in the tables of their own fold; those that count weigh."""
        held = self._judging
        batch = held.codes.take(rows, torch.ones_like(counts))
        flat = batch.flat_rows(held.fold_of(rows), self.n_rows)
        lists = [batch.list_of(j) for j in range(len(self.n_rows))]
        items = [len(f) for f in flat]
        context, target, weights = held.numbers(rows)
        n_rows = len(rows), 0
        return Examples(
            len(rows), items, n_rows, flat, lists, context, target, weights.mul_(counts), []
        )

    def steps(self, n_steps: int, rows: Tensor, more: Tensor) -> list[Examples]:
        """Return what some steps need.

        Of the `rows` each teaches a head, and a table; those `more` teach tables only.
        """
        held = self._window
        others = torch.cat([rows, more]) if len(more) else rows
        folds = held.fold_of(others)
        tables = self._drawn(folds, self.n_tables)
        heads = self._head_of[folds[: len(rows)]]
        # Heads of all folds, or of one table, have no others to choose from.
        heads = self._drawn(heads, self.n_heads)
        of_heads, n_own = _dealt(heads, self.n_heads, n_steps)
        of_tables, n_others = _dealt(self._head_of[tables], self.n_heads, n_steps)
        places = torch.cat([of_heads.flatten(1), of_tables.flatten(1)], dim=1)
        m, n = of_heads[0].numel(), places.shape[1]
        own = torch.zeros(n_steps, n, dtype=torch.bool, device=places.device)
        own[:, :m] = True
        own, places = own.flatten(), places.flatten()
        counts = places >= 0
        places = places.clamp_(min=0)
        taken, tables = others[places], tables[places]
        batch = held.codes.take(taken, own)
        if self._unknown_rate > 0:
            batch.replace_some(self._unknown_rate, self.generator, spared=own)
        tables = torch.where(own, folds[places], tables)
        flat = batch.flat_rows(tables, self.n_rows)
        context, target, weights = held.numbers(taken)
        weights.mul_(counts)
        if held.silent is not None:
            weights.masked_fill_(own & held.silent.index_select(0, taken), 0.0)
        lists = [batch.list_of(j) for j in range(len(self.n_rows))]
        shrinkage = [self._shrink(j, flat[j], lists[j], weights) for j in range(len(flat))]
        numbers = context, target, weights
        sizes = [m, n - m] * n_steps
        n_rows = list(zip(n_own, n_others, strict=True))
        return list(_split(sizes, n_rows, flat, lists, numbers, shrinkage))

    def _drawn(self, own: Tensor, n: int) -> Tensor:
        """Return another one of `n` for each, at random."""
        if n == 1:
            return own
        shift = torch.randint(1, n, own.shape, generator=self.generator, device=own.device)
        return (own + shift).remainder_(n)

    def _shrink(
        self, column: int, flat: Tensor, lists: ListBatch | None, weights: Tensor
    ) -> Tensor:
        strength = self._shrinkage[column].index_select(0, flat)
        if lists is None:
            return strength.mul_(weights).unsqueeze(1)
        if self._shares_gradient[column]:
            weights = weights / lists.lengths.square()
        return strength.mul_(weights[lists.owners]).unsqueeze(1)


def _split(
    sizes: Sequence[int],
    n_rows: Sequence[tuple[int, int]],
    flat: Sequence[Tensor],
    lists: Sequence[ListBatch | None],
    numbers: Sequence[Tensor],
    shrinkage: Sequence[Tensor],
) -> Iterator[Examples]:
    """Yield the examples of each step; of every two sizes, the first is of rows in own tables."""
    edges = [0, *accumulate(sizes)]
    item_edges = [
        edges
        if c is None
        else [
            0,
            *c.lengths.cumsum(0)[torch.tensor(edges[1:], device=c.lengths.device) - 1].tolist(),
        ]
        for c in lists
    ]
    for k in range(0, len(sizes), 2):
        start, end = edges[k], edges[k + 2]
        at = [slice(e[k], e[k + 2]) for e in item_edges]
        context, target, weights = (t[start:end] for t in numbers)
        yield Examples(
            n_own=sizes[k],
            n_own_items=[e[k + 1] - e[k] for e in item_edges],
            n_rows=n_rows[k // 2],
            flat=[f[i] for f, i in zip(flat, at, strict=True)],
            lists=[
                None if c is None else c.part(i, slice(start, end))
                for c, i in zip(lists, at, strict=True)
            ],
            context=context,
            target=target,
            weights=weights,
            shrinkage=[s[e[k + 1] : e[k + 2]] for s, e in zip(shrinkage, item_edges, strict=True)],
        )


def _dealt(groups: Tensor, n_groups: int, n_steps: int) -> tuple[Tensor, list[int]]:
    """Deal rows out to steps, by group.

    Return their places, of shape (n_steps, n_groups, n), -1 where a step has fewer rows of a group
    than others, and how many rows each step has.
    """
    counts = torch.zeros(n_groups, dtype=torch.int64, device=groups.device)
    sizes: list[int] = counts.index_add_(0, groups, torch.ones_like(groups)).tolist()
    most = max(1, -(-max(sizes) // n_steps))
    places = groups.new_full((n_groups, most * n_steps), -1)
    order = torch.arange(len(groups), device=groups.device)
    if n_groups > 1:
        order = torch.argsort(groups, stable=True)
    first = 0  # of a group, the step after that of the last row of the group before
    for row, part in zip(places, torch.split(order, sizes), strict=True):
        row[: len(part)] = part
        row.copy_(row.view(most, n_steps).roll(first, 1).flatten())
        first = (first + len(part)) % n_steps
    n_rows = [(len(groups) - i + n_steps - 1) // n_steps for i in range(n_steps)]
    return places.view(n_groups, most, n_steps).permute(2, 0, 1), n_rows


def marked_codes(rows: TrainingRows) -> list[Codes]:
    """Return codes, and complements of those whose category the rows' own tables never saw."""
    marked: list[Codes] = []
    for j, seen in enumerate(rows.seen):
        codes, owners = rows.items(j)
        known = np.where(seen[rows.fold[owners], codes], codes, ~codes)
        column = rows.codes[j]
        marked.append(replace(column, items=known) if isinstance(column, Lists) else known)
    return marked


def shrinkage(rows: Rows, shrinks: Sequence[float], prior_rows: float) -> list[Floats]:
    """Return, for each row of the stacked tables, prior rows over the weight it learns from.

    Summed over the rows that it learns from, the shrinkage is that of `prior_rows` rows, however
    many they are. Weights of a table's own fold stay out of it, for class weights tell its targets.
    The unknown row, which stands for no rows of its own, has none.
    """
    out = []
    for weight, shrinking in zip(rows.table_weights(), shrinks, strict=True):
        strength = np.divide(prior_rows, weight, out=np.zeros_like(weight), where=weight > 0)
        strength[:, 0] = 0.0
        finite = np.minimum(strength, np.finfo(np.float32).max)  # of weights that all but vanish
        out.append((finite * shrinking).ravel().astype(np.float32))
    return out
