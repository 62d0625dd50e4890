"""Vectors as cells of a data frame, for models that take whole vectors as features."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sk_entity_embed._origins import output_columns
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError

__all__ = ["EmbeddingFeatures", "embedding_features"]


class EmbeddingFeatures(NamedTuple):
    """A frame with vectors as cells, and the names of the columns that hold them."""

    frame: pd.DataFrame
    names: list[str]


def embedding_features(vectors: Any, encoder: Any) -> EmbeddingFeatures:
    """Put each column's vectors into the cells of one column, as CatBoost takes them.

    CatBoost's ``embedding_features`` are columns whose cells are whole vectors.

    Parameters
    ----------
    vectors : array-like of shape (n_samples, n_features_out)
        What ``fit_transform`` gave for training rows, or ``transform`` for new rows.
    encoder : estimator
        The fitted estimator, or the column transformer or pipeline, that gave them.

    Returns
    -------
    EmbeddingFeatures
        A named tuple. ``frame`` has a column of float32 arrays for each embedded column and pair
        of columns, one for the hidden layer, and the other columns as they are. ``names`` are
        those of the columns of arrays.

    Raises
    ------
    InvalidDataError
        If `vectors` have another width than the output of `encoder`.
    InvalidParameterError
        If two columns would have the same name, or `encoder` is not an estimator of this package,
        nor one that hands on the output of such a step.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import embedding_features
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo"], 99), "size": rng.random(99)})
    >>> encoder = EntityEmbeddingEncoder(remainder="passthrough", max_iter=1, random_state=0)
    >>> vectors = encoder.fit_transform(X, X["size"])
    >>> frame, names = embedding_features(vectors, encoder)
    >>> names, frame.columns.tolist(), frame.loc[0, "city"].shape
    (['city'], ['city', 'size'], (2,))

    With CatBoost it reads
    ``CatBoostRegressor(embedding_features=names).fit(frame, y)``.
    """
    columns = output_columns(encoder)
    array = np.asarray(vectors)
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise InvalidDataError(
            f"`vectors` must have shape (n_samples, {len(columns)}), as the encoder gives them, "
            f"got {array.shape}."
        )
    places: dict[str, list[int]] = {}
    names = [*dict.fromkeys(c.origin.name for c in columns if c.origin.is_vector)]
    for place, column in enumerate(columns):
        if not column.origin.is_vector and column.name in names:
            raise InvalidParameterError(
                f"The output has a column {column.name!r}, and so are vectors called; rename the "
                "column of X it comes from."
            )
        name = column.origin.name if column.origin.is_vector else column.name
        places.setdefault(name, []).append(place)
    data: dict[str, Any] = {
        name: [*array[:, at].astype(np.float32)] if name in names else array[:, at[0]]
        for name, at in places.items()
    }
    frame = pd.DataFrame(data, index=range(len(array)))
    if isinstance(vectors, pd.DataFrame):
        frame.index = vectors.index
    return EmbeddingFeatures(frame, names)
