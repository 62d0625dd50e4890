"""Vectors of a data set that is spread over a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from sk_entity_embed import __version__
from sk_entity_embed.distributed.cluster import check_machines, held, import_ray
from sk_entity_embed.distributed.pieces import open_dataset
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown


def transform(estimator: Any, dataset: Any, *, keep: Sequence[str] = ()) -> Any:
    """Encode a data set of any size on the machines of a Ray cluster.

    The rows are encoded when you use the result: write it to files, or continue with Ray Data. It
    never has to fit in memory.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder, or any fitted transformer
        The fitted transformer that encodes the rows, such as a pipeline that ends with an encoder.
        Each machine holds its arrays once, in shared memory. Each process on the machine has its
        own look-up of the categories.
    dataset : path, list of paths, ray.data.Dataset, or frame of Dask, Spark, pandas or pyarrow
        Rows with the columns of ``fit``; other columns are ignored. Give paths of Parquet files or
        folders that all machines can read.
    keep : sequence of str, default=()
        Columns of the data set to put before the vectors, such as keys.

    Returns
    -------
    ray.data.Dataset
        The columns of `keep`, then those of ``estimator.get_feature_names_out()`` as 32-bit
        floats, in the order of the rows of the data set. The vectors equal those of
        ``estimator.transform``, bit by bit.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        If the data set lacks a column, a column of `keep` has the name of a column of vectors, or a
        machine of the cluster has another version of this package or lacks it. Errors of
        ``estimator.transform`` are raised when you use the result.
    TypeError
        If the data set has a type that cannot be read on a cluster.

    See Also
    --------
    fit : Fit an encoder or a predictor on a cluster.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.distributed import transform
    >>> rows = pd.DataFrame({"id": range(120), "city": ["Lima", "Oslo", "Rome"] * 40})
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
    >>> encoder = encoder.fit(rows[["city"]], [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20)
    >>> vectors = transform(encoder, rows, keep=["id"])  # doctest: +SKIP
    >>> vectors.to_pandas().head(3).round(1)  # doctest: +SKIP
       id  city_0  city_1
    0   0    -0.2     0.7
    1   1     1.1    -0.3
    2   2    -1.0    -0.4
    """
    check_is_fitted(estimator)
    ray = import_ray("distributed.transform")
    check_machines(ray, __version__)
    opened = open_dataset(ray, dataset)
    names, out = list(opened.schema().names), list(estimator.get_feature_names_out())
    columns = list(getattr(estimator, "feature_names_in_", names))
    for name in [*columns, *keep]:
        if name not in names:
            raise InvalidParameterError(
                f"The data set has no column {name!r}; it has {shown(names)}."
            )
    if twice := [name for name in keep if name in out]:
        raise InvalidParameterError(
            f"`keep` names {shown(twice)}, which are columns of the vectors, too; rename them in "
            "the data set."
        )
    reference = ray.put(estimator)

    def encode(table: pa.Table) -> pa.Table:
        vectors = held([reference]).transform(table.select(columns))
        vectors = np.asarray(vectors, dtype=np.float32)
        arrays = [pa.array(vectors[:, j]) for j in range(vectors.shape[1])]
        return pa.table([*(table[name] for name in keep), *arrays], names=[*keep, *map(str, out)])

    return opened.map_batches(encode, batch_size=None, batch_format="pyarrow")
