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

    Nothing is computed before the result is asked for, and it never has to fit in memory: write it,
    or go on with Ray Data.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder, or any fitted transformer
        What encodes the rows, such as a pipeline that ends with an encoder. Its arrays lie once in
        the shared memory of each machine; each process that works there has its own look-up of the
        categories.
    dataset : path, list of paths, ray.data.Dataset, or frame of Dask, Spark, pandas or pyarrow
        Rows with the columns of ``fit``, perhaps with others. Paths are those of Parquet files or
        folders, which all machines see.
    keep : sequence of str, default=()
        Columns of the data set to pass on, before the vectors: keys, for example.

    Returns
    -------
    ray.data.Dataset
        The columns of `keep`, then those of ``estimator.get_feature_names_out()`` as 32-bit
        floats, in the order of the rows of the data set. They are those of
        ``estimator.transform``, to the bit.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        If the data set lacks a column, a column of `keep` has the name of one of the vectors', or
        a machine of the cluster has another version of this package or none. What
        ``estimator.transform`` refuses raises an error when the result is asked for.
    TypeError
        If the data set is of a type that cannot be read on a cluster.

    Examples
    --------
    >>> from sk_entity_embed.distributed import transform
    >>> vectors = transform(encoder, "flights/", keep=["id"])  # doctest: +SKIP
    >>> vectors.write_parquet("vectors/")  # doctest: +SKIP
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
