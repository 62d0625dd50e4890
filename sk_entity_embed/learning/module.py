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
    """A torch module with the vectors of an encoder, one :class:`torch.nn.Embedding` per column.

    Create it with :func:`~sk_entity_embed.export.to_torch`. You can make it part of another module,
    train it, copy it, pickle it and move it to a device. Its ``state_dict`` holds the vectors only.
    To load one, use a module made from the same encoder.

    Rows of every embedding::

        0 unknown    1 missing    2 infrequent    3, 4, ... frequent categories in sorted order

    Row 0 is the vector that the encoder's ``handle_unknown`` gives: the learned one, the center, or
    NaN. With NaN, the loss of any batch with an unknown category is NaN. The same happens with row
    1 for missing cells if ``handle_missing="nan"``. Rows 1 and 2 are not used if fit had no missing
    cells or no infrequent categories.

    Parameters
    ----------
    vocabularies : sequence of Vocabulary or CrossVocabulary
        For each column, or pair of columns, its categories and their rows.
    vectors : sequence of ndarray of float32 of shape (n_rows, width)
        For each column, the vectors of these rows. They are copied.
    positions : sequence of int or None
        Position of each column in the encoder's input; None for a pair.
    n_features_in : int
        Number of columns in the encoder's input.
    refuse_unknown, refuse_missing : bool
        True if ``encode`` should raise an error for unknown, or for missing cells.
    biased : bool
        True if the last number of each vector is a bias, as with ``head="dot"``.
    freeze : bool
        True if the vectors should not be trained.
    parents : sequence of tuple
        Vocabulary and position of each column that is part of a pair.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns.
    embeddings : torch.nn.ModuleList
        The embedding of each column, in the order of `columns`. ``module["city"]`` returns the one
        of a column.
    vocabularies : tuple of Vocabulary or CrossVocabulary
        The categories of each column, and their rows.

    See Also
    --------
    sk_entity_embed.export.to_torch : Create this module from an encoder.

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
    >>> network
    Sequential(
      (0): EntityEmbeddings(
        columns=['city']
        (embeddings): ModuleList(
          (0): Embedding(6, 2)
        )
      )
      (1): Linear(in_features=2, out_features=8, bias=True)
      (2): ReLU()
      (3): Linear(in_features=8, out_features=1, bias=True)
    )
    >>> network(vectors.encode(X)).shape
    torch.Size([100, 1])
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
            A table with the columns, in any container that the encoder reads. Columns are found by
            name, and other columns are ignored. A table without names needs all columns of fit.

        Returns
        -------
        torch.Tensor of int64 of shape (n_samples, n_columns)
            Row numbers, on the CPU.

        Raises
        ------
        InvalidDataError
            If a column is missing, or if the encoder has ``handle_unknown="error"`` or
            ``handle_missing="error"`` and a cell is unknown or missing.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> from sk_entity_embed.export import to_torch
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 20, [22.0, -4.0, 12.0] * 20
        >>> vectors = to_torch(EntityEmbeddingEncoder(max_iter=1).fit(X, y))
        >>> vectors.encode([["Oslo"], ["Atlantis"]])  # row 0 is the unknown vector
        tensor([[4],
                [0]])
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

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> from sk_entity_embed.export import to_torch
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> vectors = to_torch(encoder.fit(X, y), freeze=True)
        >>> codes = vectors.encode([["Oslo"], ["Rome"]])
        >>> vectors(codes).round(decimals=1)  # calls `forward`
        tensor([[ 1.1000, -0.3000],
                [-1.0000, -0.4000]])
        """
        parts = [embedding(codes[..., j]) for j, embedding in enumerate(self.embeddings)]
        return torch.cat(parts, dim=-1)

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Return the vectors of all categories, for the parameter `init` of a new encoder.

        Returns
        -------
        dict of DataFrame
            For each column, the present vectors without biases, indexed by category. Infrequent
            categories have the vector they share. If missing is a category, its index is NaN; it is
            left out if its vector is NaN.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> from sk_entity_embed.export import to_torch
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> to_torch(encoder.fit(X, y)).to_frames()["x0"].round(1)
                0    1
        x0
        Lima -0.2  0.7
        Oslo  1.1 -0.3
        Rome -1.0 -0.4
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
        """Return the text about the columns in the module's ``repr``.

        Returns
        -------
        str
            Names of the columns.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> from sk_entity_embed.export import to_torch
        >>> X, y = [["Oslo"], ["Rome"]] * 30, [-4.0, 12.0] * 30
        >>> vectors = to_torch(EntityEmbeddingEncoder(dimensions=2, max_iter=1).fit(X, y))
        >>> vectors.extra_repr()
        "columns=['x0']"
        >>> vectors
        EntityEmbeddings(
          columns=['x0']
          (embeddings): ModuleList(
            (0): Embedding(5, 2)
          )
        )
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
