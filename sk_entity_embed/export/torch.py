"""Torch: the fitted vectors as ``nn.Embedding`` modules for a network of the user's own.

The module's class is made when it is first asked for, under a name of this file, so that the file
loads without torch and the modules can be pickled all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sk_entity_embed._access import check_column, exported_step, fitted_model
from sk_entity_embed.exceptions import (
    InvalidDataError,
    InvalidParameterError,
    UnsupportedDataError,
)
from sk_entity_embed.input.columns import Column, Table, read_table
from sk_entity_embed.input.lists import Lists
from sk_entity_embed.input.vocabulary import (
    MISSING,
    UNKNOWN,
    Vocabulary,
    count_missing,
    refuse_missing,
)
from sk_entity_embed.model.tables import EmbeddingTable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EntityEmbeddings", "to_torch"]  # noqa: F822


def to_torch(
    encoder: Any, columns: str | Sequence[str] | None = None, *, freeze: bool = False
) -> Any:
    """Make a torch module of the vectors, to be used and trained in another network.

    Parameters
    ----------
    encoder : estimator
        Fitted, or a fitted pipeline that holds one such step. Of a pipeline the step alone
        is exported, and it takes the columns that the step is given.
    columns : str or sequence of str, default=None
        Names of the columns, in the order of the module's output; None takes all of them.
    freeze : bool, default=False
        Whether the vectors do not require a gradient.

    Returns
    -------
    EntityEmbeddings
        A :class:`torch.nn.Module` with a copy of the vectors, on the CPU.

    Raises
    ------
    InvalidParameterError
        If the estimator is not one of this package, or has no such column.
    UnsupportedDataError
        If one of the columns holds lists, which the module does not pool.

    Warns
    -----
    PartialExportWarning
        If a pipeline is given that has other steps, which are no part of the module.

    Notes
    -----
    The way back: train the module in your network, then give its vectors to a new encoder, which
    keeps them as they are::

        EntityEmbeddingEncoder(init=module.to_frames(), freeze=True).fit(X, y)

    ``transform`` of that encoder gives exactly these vectors for every category of the module
    that occurs in `X`, and for missing cells if `X` has some. An infrequent group gets the mean
    of its categories' vectors, which is the module's own vector where both group the same
    categories. The unknown vector is not handed over: it belongs to no category, and the fit
    learns a new one; nor are the biases that end vectors of ``head="dot"``.

    References
    ----------
    C. Guo and F. Berkhahn, "Entity Embeddings of Categorical Variables", 2016, arXiv:1604.06737.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_torch
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 100)})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
    >>> module = to_torch(encoder.fit(X, rng.random(100)))
    >>> codes = module.encode(X)
    >>> codes.shape, module(codes).shape
    (torch.Size([100, 1]), torch.Size([100, 2]))
    >>> np.array_equal(module(codes).detach().numpy(), encoder.transform(X))
    True
    >>> module["city"]
    Embedding(6, 2)
    """
    encoder = exported_step(encoder)
    model = fitted_model(encoder)
    names = [t.vocabulary.name for t in model.tables]
    chosen = [names.index(name) for name in _check_columns(columns, names)]
    _refuse_lists([model.tables[j].vocabulary for j in chosen])
    return _module_class()(
        [model.tables[j].vocabulary for j in chosen],
        [model.tables[j].served for j in chosen],
        positions=[model.categorical[j] for j in chosen],
        n_features_in=encoder.n_features_in_,
        refuse_unknown=model.refuses_unknown,
        refuse_missing=model.refuses_missing,
        biased=model.has_biases,
        freeze=freeze,
    )


class _Methods:
    """Vectors of an encoder's columns, one :class:`torch.nn.Embedding` each.

    Made by :func:`to_torch`. It can be a part of another module, trained, copied, pickled, moved
    to a device, and its ``state_dict`` saved; that holds the vectors only, so that loading it
    takes a module made from the same encoder.

    Rows of every embedding::

        0 unknown    1 missing    2 infrequent    3, 4, ... frequent categories in sorted order

    Row 0 is what ``transform`` gives by ``handle_unknown``: the learned vector, the centre, or
    NaN, which makes the loss of any batch with an unknown category NaN; and so does row 1 under
    ``handle_missing="nan"`` in a batch with a missing cell. Rows 1 and 2 are not used
    where the fit had no missing cells or no infrequent categories.

    Parameters
    ----------
    vocabularies : sequence of Vocabulary
        For each column, its categories and their rows.
    vectors : sequence of ndarray of float32 of shape (n_rows, width)
        For each column, the vectors of these rows; copied.
    positions : sequence of int
        Where each column is in the encoder's input.
    n_features_in : int
        Number of columns there.
    refuse_unknown, refuse_missing : bool
        Whether ``encode`` raises on unknown and on missing cells.
    biased : bool
        Whether the last number of each vector is a bias, as under ``head="dot"``.
    freeze : bool
        Whether the vectors do not require a gradient.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns.
    embeddings : torch.nn.ModuleList
        The embedding of each column, in that order; ``module["city"]`` is the one of a column.
    vocabularies : tuple of Vocabulary
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

    embeddings: Any

    def __init__(
        self,
        vocabularies: Sequence[Vocabulary],
        vectors: Sequence[np.ndarray],
        *,
        positions: Sequence[int],
        n_features_in: int,
        refuse_unknown: bool,
        refuse_missing: bool,
        biased: bool,
        freeze: bool,
    ) -> None:
        import torch

        super().__init__()
        self.columns = tuple(v.name for v in vocabularies)
        self.vocabularies = tuple(vocabularies)
        self._positions, self._n_features_in = tuple(positions), n_features_in
        self._refuse_unknown, self._refuse_missing = refuse_unknown, refuse_missing
        self._biased = biased
        # By number: a column's name may have dots, be empty, or that of a method.
        self.embeddings = torch.nn.ModuleList(
            torch.nn.Embedding.from_pretrained(torch.tensor(v), freeze=freeze) for v in vectors
        )

    def __getitem__(self, column: str) -> Any:
        """Embedding of a column, by name."""
        return self.embeddings[self.columns.index(check_column(column, list(self.columns)))]

    def __iter__(self) -> Any:
        """Names of the columns."""
        return iter(self.columns)

    def encode(self, X: Any) -> Tensor:
        """Rows of the embeddings for each cell.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A table with the columns, in any container that the encoder reads. Columns are found
            by name and others left out; a table without names needs all columns of fit.

        Returns
        -------
        torch.Tensor of int64 of shape (n_samples, n_columns)
            On the CPU.

        Raises
        ------
        InvalidDataError
            If a column is not there, or a cell is what the encoder's ``handle_unknown="error"``
            or ``handle_missing="error"`` refuses.
        """
        import torch

        table = read_table(X)
        codes = np.empty((table.n_rows, len(self.columns)), dtype=np.int64)
        for j, vocabulary in enumerate(self.vocabularies):
            column = self._find(table, j)
            if self._refuse_missing and (missing := count_missing(column)):
                refuse_missing(vocabulary.name, missing)
            coded = vocabulary.encode(column)
            assert not isinstance(coded, Lists)  # such columns are refused beforehand
            codes[:, j] = coded
            if self._refuse_unknown and (codes[:, j] == UNKNOWN).any():
                _refuse_unknown(vocabulary.name, codes[:, j])
        return torch.from_numpy(codes)

    def forward(self, codes: Tensor) -> Tensor:
        """Vectors of all columns side by side.

        Parameters
        ----------
        codes : torch.Tensor of int of shape (..., n_columns)
            Rows of the embeddings, from :meth:`encode`, on the device of the module.

        Returns
        -------
        torch.Tensor of float of shape (..., sum of the widths)
            The columns' vectors.
        """
        import torch

        parts = [embedding(codes[..., j]) for j, embedding in enumerate(self.embeddings)]
        return torch.cat(parts, dim=-1)

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Vectors of all categories, for the parameter `init` of a new encoder.

        Returns
        -------
        dict of DataFrame
            For each column, the present vectors, without biases, indexed by category: infrequent
            ones have the vector they share, and missing, where it is a category, is NaN; it is left
            out if its vector is NaN.
        """
        frames = {}
        for vocabulary, embedding in zip(self.vocabularies, self.embeddings, strict=True):
            vectors = embedding.weight.detach().cpu().float().numpy()
            table = EmbeddingTable(vocabulary, vectors[None], vectors[0], self._biased)
            frame = table.frame()
            if np.isnan(vectors[MISSING]).all():  # by policy, and no vector to start from
                frame = frame[frame.index.notna()]
            frames[vocabulary.name] = frame
        return frames

    def extra_repr(self) -> str:
        """What the module's repr says of itself.

        Returns
        -------
        str
            The columns.
        """
        return f"columns={list(self.columns)}"

    def _find(self, table: Table, j: int) -> Column:
        """The table's column for embedding number `j`."""
        names = [c.name for c in table.columns]
        if self.columns[j] in names:
            return table.columns[names.index(self.columns[j])]
        if table.labels is None and len(names) == self._n_features_in:
            return table.columns[self._positions[j]]
        raise InvalidDataError(
            f"X has no column {self.columns[j]!r}, only {names}; pass a table with the columns "
            f"{list(self.columns)}, or one without names that has all {self._n_features_in} "
            "columns of fit."
        )


def _check_columns(columns: str | Sequence[str] | None, names: list[str]) -> list[str]:
    """Names of the columns asked for."""
    if columns is None:
        return names
    asked = [columns] if isinstance(columns, str) else list(columns)
    if len(asked) == 0 or len(set(asked)) < len(asked):
        raise InvalidParameterError(
            f"`columns` must name at least one column, and each of them once; got {asked}."
        )
    return [check_column(name, names) for name in asked]


def _refuse_lists(vocabularies: Sequence[Vocabulary]) -> None:
    """Raise an error if a column holds lists."""
    for vocabulary in vocabularies:
        if vocabulary.is_list:
            raise UnsupportedDataError(
                f"Column {vocabulary.name!r} holds lists, whose items' vectors are pooled, but a "
                "module takes single values only. Name other `columns`, or put the items' "
                "vectors, from lookup_frames, into a torch.nn.EmbeddingBag."
            )


def _refuse_unknown(name: str, codes: np.ndarray) -> None:
    """Raise the error of ``handle_unknown="error"``."""
    unknown = np.flatnonzero(codes == UNKNOWN)
    raise InvalidDataError(
        f"Found unknown categories in column {name!r}: {len(unknown)} row(s), the first one is "
        f"row {unknown[0]}, and the encoder has handle_unknown='error'. Fit it with 'learned', "
        "'zero' or 'nan' to accept them."
    )


def _module_class() -> Any:
    """The class of the modules, the same one at each call."""
    names = globals()
    if "EntityEmbeddings" not in names:
        from torch import nn

        body = {"__module__": __name__, "__doc__": _Methods.__doc__}
        made = type("EntityEmbeddings", (_Methods, nn.Module), body)
        names.setdefault("EntityEmbeddings", made)  # of two threads' classes, the first one
    return names["EntityEmbeddings"]


def __getattr__(name: str) -> Any:
    if name == "EntityEmbeddings":  # when a module is unpickled
        return _module_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
