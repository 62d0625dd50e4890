"""Torch: the fitted vectors as ``nn.Embedding`` modules for a network of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sk_entity_embed._access import check_column, exported_step, fitted_model
from sk_entity_embed._lazy import torch_import
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError

if TYPE_CHECKING:
    from sk_entity_embed.learning.module import EntityEmbeddings

__all__ = ["to_torch"]


def to_torch(
    encoder: Any, columns: str | Sequence[str] | None = None, *, freeze: bool = False
) -> EntityEmbeddings:
    """Return a torch module of the vectors, to use and train in a network of your own.

    Parameters
    ----------
    encoder : estimator
        A fitted estimator of this package, or a fitted pipeline that holds one such step. Only this
        step is exported. The module takes the columns that the step gets in the pipeline.
    columns : str or sequence of str, default=None
        Names of the columns, in the order of the module's output. None takes all of them.
    freeze : bool, default=False
        True if the vectors should stay as they are while you train your network.

    Returns
    -------
    EntityEmbeddings
        A :class:`torch.nn.Module` with a copy of the vectors, on the CPU.

    Raises
    ------
    InvalidParameterError
        If the estimator is not one of this package, or a column does not exist.
    UnsupportedDataError
        If one of the columns holds lists, which the module cannot pool.
    ImportError
        If torch is not installed.

    Warns
    -----
    PartialExportWarning
        If you give a pipeline with other steps, which are not part of the module.

    See Also
    --------
    EntityEmbeddings : The module, and its methods.

    Notes
    -----
    You can bring vectors back into an encoder. Train the module in your network, then give its
    vectors to a new encoder, which keeps them as they are::

        EntityEmbeddingEncoder(init=module.to_frames(), freeze=True).fit(X, y)

    ``transform`` of that encoder gives exactly these vectors for every category of the module that
    occurs in `X`, and for missing cells if `X` has some. Infrequent categories get the mean of
    their vectors, which is the module's own vector if both have the same infrequent categories. The
    unknown vector is not taken over, since it belongs to no category: the fit learns a new one. The
    biases of ``head="dot"`` are not taken over either.

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
    >>> module
    EntityEmbeddings(
      columns=['city']
      (embeddings): ModuleList(
        (0): Embedding(6, 2)
      )
    )
    >>> codes = module.encode(X)
    >>> module(codes).shape
    torch.Size([100, 2])
    """
    encoder = exported_step(encoder)
    model = fitted_model(encoder)
    names = [t.vocabulary.name for t in model.tables]
    chosen = [names.index(name) for name in _check_columns(columns, names)]
    tables = [model.tables[j] for j in chosen]
    for table in tables:
        if table.vocabulary.is_list:
            raise UnsupportedDataError(
                f"Column {table.vocabulary.name!r} holds lists, whose items' vectors are pooled, "
                "but a module takes single values only. Name other `columns`, or put the items' "
                "vectors, from lookup_frames, into a torch.nn.EmbeddingBag."
            )
    with torch_import("to_torch"):
        from sk_entity_embed.learning.module import EntityEmbeddings

    n = len(model.categorical)
    parents = sorted({side for j in chosen if j >= n for side in model.crosses[j - n]})
    return EntityEmbeddings(
        [table.vocabulary for table in tables],
        [table.served for table in tables],
        positions=[model.categorical[j] if j < n else None for j in chosen],
        parents=[(model.vocabularies[j], model.categorical[j]) for j in parents],
        n_features_in=encoder.n_features_in_,
        refuse_unknown=model.refuses_unknown,
        refuse_missing=model.refuses_missing,
        biased=model.has_biases,
        freeze=freeze,
    )


def _check_columns(columns: str | Sequence[str] | None, names: list[str]) -> list[str]:
    """Return the names of the columns asked for."""
    if columns is None:
        return names
    asked = [columns] if isinstance(columns, str) else list(columns)
    if len(asked) == 0 or len(set(asked)) < len(asked):
        raise InvalidParameterError(
            f"`columns` must name at least one column, and each of them once; got {asked}."
        )
    return [check_column(name, names) for name in asked]
