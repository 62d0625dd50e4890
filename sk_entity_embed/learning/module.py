"""EntityEmbeddings: the fitted vectors as a torch module, for a network of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sk_entity_embed.exceptions import InvalidDataError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.crosses import AnyVocabulary
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.selection import check_column
from sk_entity_embed.input.table import Column, Table
from sk_entity_embed.input.vocabulary import (
    MISSING,
    UNKNOWN,
    Vocabulary,
    count_missing,
    refuse_missing,
)
from sk_entity_embed.model.tables import EmbeddingTable

if TYPE_CHECKING:
    import pandas as pd


class EntityEmbeddings(nn.Module):
    """Vectors of an encoder's columns, one :class:`torch.nn.Embedding` each.

    Made by :func:`~sk_entity_embed.export.to_torch`. It can be a part of another module, trained,
    copied, pickled and moved to a device. Its ``state_dict`` holds the vectors only, so loading it
    takes a module made from the same encoder.

    Rows of every embedding::

        0 unknown    1 missing    2 infrequent    3, 4, ... frequent categories in sorted order

    Row 0 is the vector of ``handle_unknown``: the learned one, the center, or NaN, which makes the
    loss of any batch with an unknown category NaN. So does row 1 under ``handle_missing="nan"`` in
    a batch with a missing cell. Rows 1 and 2 are not used where the fit had no missing cells or no
    infrequent categories.

    Parameters
    ----------
    vocabularies : sequence of Vocabulary or CrossVocabulary
        For each column, or pair of columns, its categories and their rows.
    vectors : sequence of ndarray of float32 of shape (n_rows, width)
        For each column, the vectors of these rows; copied.
    positions : sequence of int or None
        Where each column is in the encoder's input; None for a pair.
    n_features_in : int
        Number of columns there.
    refuse_unknown, refuse_missing : bool
        Whether ``encode`` raises on unknown and on missing cells.
    biased : bool
        Whether the last number of each vector is a bias, as under ``head="dot"``.
    freeze : bool
        Whether the vectors do not require a gradient.
    parents : sequence of tuple
        Vocabulary and position of each column that is a side of a pair.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns.
    embeddings : torch.nn.ModuleList
        The embedding of each column, in that order; ``module["city"]`` is the one of a column.
    vocabularies : tuple of Vocabulary or CrossVocabulary
        As given.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from torch import nn
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_torch
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 100)})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
    >>> vectors = to_torch(encoder.fit(X, rng.random(100)))
    >>> network = nn.Sequential(vectors, nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> network(vectors.encode(X)).shape
    torch.Size([100, 1])
    >>> network.load_state_dict(network.state_dict())
    <All keys matched successfully>
    >>> list(vectors.to_frames()["city"].index)
    ['Lima', 'Oslo', 'Rome']
    """

    def __init__(
        self,
        vocabularies: Sequence[AnyVocabulary],
        vectors: Sequence[NDArray[np.float32]],
        *,
        positions: Sequence[int | None],
        n_features_in: int,
        refuse_unknown: bool,
        refuse_missing: bool,
        biased: bool,
        freeze: bool,
        parents: Sequence[tuple[Vocabulary, int]] = (),
    ) -> None:
        super().__init__()
        self.columns = tuple(v.name for v in vocabularies)
        self.vocabularies = tuple(vocabularies)
        # Vocabulary and position in the input of each column that is read, by name.
        self._sources: dict[str, tuple[Vocabulary, int]] = {}
        for vocabulary, position in [*zip(vocabularies, positions, strict=True), *parents]:
            if isinstance(vocabulary, Vocabulary) and position is not None:
                self._sources[vocabulary.name] = vocabulary, position
        self._n_features_in = n_features_in
        self._refuse_unknown, self._refuse_missing = refuse_unknown, refuse_missing
        self._biased = biased
        # By number: a column's name may have dots, be empty, or that of a method.
        self.embeddings = nn.ModuleList(
            nn.Embedding.from_pretrained(torch.tensor(v), freeze=freeze)  # type: ignore[no-untyped-call]
            for v in vectors
        )

    def __getitem__(self, column: str) -> nn.Module:
        """Return the embedding of a column, by name."""
        return self.embeddings[self.columns.index(check_column(column, list(self.columns)))]

    def __iter__(self) -> Iterator[str]:
        """Return an iterator of the columns' names."""
        return iter(self.columns)

    def encode(self, X: Any) -> Tensor:
        """Return the rows of the embeddings for each cell.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A table with the columns, in any container that the encoder reads. They are found by
            name, others are left out; a table without names needs all columns of fit.

        Returns
        -------
        torch.Tensor of int64 of shape (n_samples, n_columns)
            On the CPU.

        Raises
        ------
        InvalidDataError
            If a column is not there, or ``handle_unknown="error"`` or ``handle_missing="error"``
            of the encoder refuses a cell.
        """
        table = read_table(X)
        found = {name: self._encode(table, name) for name in self._sources}
        codes = np.empty((table.n_rows, len(self.columns)), dtype=np.int64)
        for j, vocabulary in enumerate(self.vocabularies):
            if isinstance(vocabulary, Vocabulary):
                codes[:, j] = found[vocabulary.name]
            else:
                codes[:, j] = vocabulary.encode(*(found[name] for name in vocabulary.columns))
        return torch.from_numpy(codes)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the vectors of all columns side by side.

        Parameters
        ----------
        codes : torch.Tensor of int of shape (..., n_columns)
            Rows of the embeddings, from :meth:`encode`, on the device of the module.

        Returns
        -------
        torch.Tensor of float of shape (..., sum of the widths)
            The columns' vectors.
        """
        parts = [embedding(codes[..., j]) for j, embedding in enumerate(self.embeddings)]
        return torch.cat(parts, dim=-1)

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Return the vectors of all categories, for the parameter `init` of a new encoder.

        Returns
        -------
        dict of DataFrame
            For each column, the present vectors, without biases, indexed by category. Infrequent
            ones have the vector they share. The index of missing, where it is a category, is NaN;
            it is left out if its vector is NaN.
        """
        frames = {}
        for vocabulary, embedding in zip(self.vocabularies, self.embeddings, strict=True):
            weight: Any = embedding.weight
            vectors = weight.detach().cpu().float().numpy()
            table = EmbeddingTable(vocabulary, vectors[None], vectors[0], self._biased)
            frame = table.frame()
            if np.isnan(vectors[MISSING]).all():  # by policy, and no vector to start from
                frame = frame[frame.index.notna()]
            frames[vocabulary.name] = frame
        return frames

    def extra_repr(self) -> str:
        """Return what the module's repr says of itself.

        Returns
        -------
        str
            The columns.
        """
        return f"columns={list(self.columns)}"

    def _encode(self, table: Table, name: str) -> NDArray[np.int32]:
        """Return the table rows of a column's cells, without those that the encoder refuses."""
        vocabulary, position = self._sources[name]
        column = self._find(table, name, position)
        if self._refuse_missing and (missing := count_missing(column)):
            refuse_missing(name, missing)
        coded = vocabulary.encode(column)
        assert not isinstance(coded, Lists)  # such columns are refused beforehand
        if self._refuse_unknown and (unknown := coded == UNKNOWN).any():
            raise InvalidDataError(
                f"Found unknown categories in column {name!r}: {unknown.sum()} "
                f"row(s), the first one is row {unknown.argmax()}, and the encoder has "
                "handle_unknown='error'. Fit it with 'learned', 'zero' or 'nan' to accept them."
            )
        return coded

    def _find(self, table: Table, name: str, position: int) -> Column:
        """Return the table's column of a name, or at a position of the encoder's input."""
        names = [c.name for c in table.columns]
        if name in names:
            return table.columns[names.index(name)]
        if table.labels is None and len(names) == self._n_features_in:
            return table.columns[position]
        raise InvalidDataError(
            f"X has no column {name!r}, only {names}; pass a table with the columns "
            f"{list(self._sources)}, or one without names that has all {self._n_features_in} "
            "columns of fit."
        )
