"""The methods of the estimators for rows that come in blocks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from sk_entity_embed._estimator import EmbeddingEstimator
from sk_entity_embed._parameters import fits

ROWS_IN_MEMORY = 2_000_000
"""Rows that `fit_batches` holds in memory, by default."""


class BatchEstimator(EmbeddingEstimator):
    """Adds fits of more rows than memory holds, and files of vectors."""

    @fits
    def fit_batches(
        self,
        source: Any,
        y: str | Sequence[str],
        *,
        sample_weight: str | None = None,
        groups: str | None = None,
        features: Sequence[str] | None = None,
        rows_in_memory: int = ROWS_IN_MEMORY,
        spill_dir: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learn from rows that need not fit in memory.

        The source is read from its start twice: once to count categories and targets, once to
        write coded rows to temporary files, from which training reads. What takes memory are the
        distinct categories, their vectors, and `rows_in_memory` coded rows.

        Parameters
        ----------
        source : path, table or iterable of tables
            A Parquet file or a folder of them, a list of such paths, a pyarrow dataset, table or
            record batch reader, a pandas or polars data frame, a polars lazy frame, a DuckDB
            relation, an iterable of tables that can be started again, or a function without
            arguments that returns a fresh iterator over tables. It gives the same rows each time.
        y : str or sequence of str
            Name of the column of targets, or names of several.
        sample_weight : str, default=None
            Name of the column of weights; see :meth:`fit`.
        groups : str, default=None
            Name of the column of groups; see :meth:`fit`.
        features : sequence of str, default=None
            Names of the columns to learn from; by default all but those named above. An index
            without a name that pandas has written to a file is left out.
        rows_in_memory : int, default=2_000_000
            If there are no more rows, they are fitted in memory, and the result is that of
            :meth:`fit`, to the bit. Of more rows so many are coded in memory at a time. A function
            given as `categorical_features` sees the first 262,144 rows at most.
        spill_dir : path, default=None
            Folder for temporary files: for each row about 4 bytes for a categorical column, 70
            for a number, and 15 in all for the rest; by default that of
            ``tempfile.gettempdir()``. They are removed at the end, whatever happens.

        Returns
        -------
        Self
            The fitted estimator. Beside the attributes of :meth:`fit` it has
            ``category_count_errors_``: by how much the counts of a column may be off, where it
            had so many more values than `max_categories` that a sketch counted them.

        Raises
        ------
        ValueError
            As :meth:`fit`; or if the source is empty, its parts differ in their columns, or a
            parameter needs all rows in memory. The message says in which file or block.
        OSError
            If a file cannot be read, or the disk is full.

        Notes
        -----
        Of more rows than fit in memory, folds are drawn for each row (or are a hash of its
        group), at most 100,000 rows decide when to stop, and what is not counted (ranks of context
        numbers, pairs of columns, roles, copies of rows) is judged by a sample of 300,000 rows.
        ``fold_`` is None. ``warm_start``, several members, an `init` that is an encoder and a `cv`
        that is no number need :meth:`fit`.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> month = pd.DataFrame({"city": ["Oslo", "Rome", "Lima"] * 40})
        >>> month["temperature"] = month["city"].map({"Oslo": -4.0, "Rome": 16.0, "Lima": 19.0})
        >>> encoder = EntityEmbeddingEncoder(random_state=0)
        >>> encoder.fit_batches([month, month], y="temperature").n_features_in_
        1
        """
        from sk_entity_embed._batch_fitting import fit_batches

        rows = (source, y, sample_weight, groups, features, rows_in_memory, spill_dir)
        fit_batches(self, *rows)
        return self

    @fits
    def fit_transform_batches(
        self,
        source: Any,
        path: str | os.PathLike[str],
        y: str | Sequence[str],
        *,
        sample_weight: str | None = None,
        groups: str | None = None,
        features: Sequence[str] | None = None,
        keep: str | Sequence[str] = (),
        rows_in_memory: int = ROWS_IN_MEMORY,
        spill_dir: str | os.PathLike[str] | None = None,
        rows_a_file: int = 1_048_576,
        compression: str | None = "zstd",
    ) -> Path:
        """Learn from rows that need not fit in memory, and encode them without leakage.

        With `cross_fit`, each row gets what tables and head that never saw its target say of it,
        as in :meth:`fit_transform`: this is what to fit the next model on.
        :meth:`transform_batches` is for new rows.

        Parameters
        ----------
        source : path, table or iterable of tables
            See :meth:`fit_batches`.
        path : str or path-like
            The folder of files of vectors; see :meth:`transform_batches`. It is not inside that of
            the source.
        y : str or sequence of str
            Name of the column of targets, or names of several.
        sample_weight : str, default=None
            Name of the column of weights. Rows of zero weight get the vectors of new rows.
        groups : str, default=None
            Name of the column of groups.
        features : sequence of str, default=None
            Names of the columns to learn from; by default all but those named above. An index
            without a name that pandas has written to a file is left out.
        keep : str or sequence of str, default=()
            Columns of the source to write in front of the vectors, such as that of `y`.
        rows_in_memory : int, default=2_000_000
            See :meth:`fit_batches`.
        spill_dir : path, default=None
            See :meth:`fit_batches`.
        rows_a_file : int, default=1_048_576
            Rows of each file, but for the last one.
        compression : {"zstd", "snappy", "gzip", "brotli", "lz4"} or None, default="zstd"
            Compression of the files.

        Returns
        -------
        pathlib.Path
            The folder `path`, with rows in the order of the source.

        Raises
        ------
        ValueError, TypeError, OSError
            As :meth:`fit_batches` and :meth:`transform_batches`.
        KeyboardInterrupt
            As :meth:`fit_transform`.

        Examples
        --------
        >>> import tempfile
        >>> import pandas as pd
        >>> import pyarrow.parquet as pq
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> rows = pd.DataFrame({"city": ["Oslo", "Rome", "Lima"] * 40})
        >>> rows["temperature"] = rows["city"].map({"Oslo": -4.0, "Rome": 16.0, "Lima": 19.0})
        >>> encoder = EntityEmbeddingEncoder(dimensions=1, max_iter=2, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = encoder.fit_transform_batches(
        ...         [rows], f"{folder}/vectors", "temperature", keep=["temperature"]
        ...     )
        ...     pq.read_table(written).column_names
        ['temperature', 'city_0']
        """
        from sk_entity_embed._batch_fitting import OutOfFold, fit_batches

        kept = [keep] if isinstance(keep, str) else keep
        out = OutOfFold(path, kept, rows_a_file, compression)
        rows = (source, y, sample_weight, groups, features, rows_in_memory, spill_dir)
        written = fit_batches(self, *rows, out)
        assert written is not None
        return written

    def transform_batches(
        self,
        source: Any,
        path: str | os.PathLike[str],
        *,
        keep: str | Sequence[str] = (),
        rows_a_file: int = 1_048_576,
        compression: str | None = "zstd",
    ) -> Path:
        """Encode more rows than memory holds, to a folder of Parquet files.

        Files are complete or not there: each gets its name when it is whole. After a stop, of
        whatever kind, the same call goes on: it reads the source from the start, checks that the
        parts that are there hold its rows, and writes those that are missing. With `verbose` a line
        shows rows a second and the time left.

        Parameters
        ----------
        source : str, path-like, list of them, Dataset, RecordBatchReader, frame or iterable
            Rows with the columns of fit, by name, in any order and among others. A Parquet file or
            folder, a list of these or a pattern such as ``"rows/2026-*.parquet"``; a pyarrow
            dataset, table or reader of record batches; a data frame of pandas or polars; a lazy
            frame of polars; a relation of DuckDB; or any iterable of tables, or function without
            arguments that returns one. It is read once. Of folders, files are read in the order
            of their paths, names like ``month=5`` of their folders make columns, and what is hidden
            or begins with ``_`` is left out.
        path : str or path-like
            The folder, which is made if it is not there. It gets ``part-00000.parquet`` and so on.
            One call at a time may write to it.
        keep : str or sequence of str, default=()
            Columns of the source to write in front of the vectors, such as ids.
        rows_a_file : int, default=1_048_576
            Rows of each file, but for the last one.
        compression : {"zstd", "snappy", "gzip", "brotli", "lz4"} or None, default="zstd"
            Compression of the files.

        Returns
        -------
        pathlib.Path
            The folder. Its files have the columns `keep`, and those of
            :meth:`get_feature_names_out`, of type float32: the bits of :meth:`transform`.

        Raises
        ------
        InvalidDataError
            If rows cannot be encoded, as in :meth:`transform`, or columns are missing, or differ
            between parts of the source, which the message names; or if the folder has parts of
            other rows.
        InvalidFileError
            If a file of the source cannot be read, or the folder has parts of another model, with
            other columns, or files that are not of this method.
        InvalidParameterError
            If a parameter is not as described above, or fit was given columns without names.
        UnsupportedDataError
            If `source` is of another kind.
        OSError
            If a file cannot be written. The parts written before stay.

        See Also
        --------
        transform : Rows that are in memory.

        Examples
        --------
        >>> import tempfile
        >>> import pandas as pd
        >>> import pyarrow.parquet as pq
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X = pd.DataFrame({"id": range(60), "city": ["Oslo", "Rome", "Lima"] * 20})
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=1, random_state=0)
        >>> encoder = encoder.fit(X[["city"]], [-4.0, 16.0, 19.0] * 20)
        >>> blocks = [X[:25], X[25:]]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = encoder.transform_batches(blocks, f"{folder}/vectors", keep=["id"])
        ...     vectors = pq.read_table(written).to_pandas()
        >>> vectors.columns.tolist()
        ['id', 'city_0', 'city_1']
        >>> bool((vectors[["city_0", "city_1"]] == encoder.transform(X[["city"]])).all(axis=None))
        True
        """
        check_is_fitted(self)
        from sk_entity_embed._batches import write_batches
        from sk_entity_embed.input.sources import open_source

        with open_source(source, once=True) as opened:
            return write_batches(
                self,
                opened,
                path,
                keep=[keep] if isinstance(keep, str) else keep,
                rows_a_file=rows_a_file,
                compression=compression,
            )
