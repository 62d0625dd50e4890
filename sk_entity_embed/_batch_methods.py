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

        The source is read twice from its start: first to count categories and targets, then to
        write coded rows to temporary files. Training reads those files. Memory is needed for the
        distinct categories, their vectors, and `rows_in_memory` coded rows.

        Parameters
        ----------
        source : path, table or iterable of tables
            A Parquet file or a folder of them, a list of such paths, a pyarrow dataset, table or
            record batch reader, a pandas or polars data frame, a polars lazy frame, a DuckDB
            relation, an iterable of tables that can be started again, or a function without
            arguments that returns a fresh iterator over tables. It must give the same rows each
            time. For CSV files, pass ``pyarrow.dataset.dataset(folder, format="csv")``.
        y : str or sequence of str
            Name of the column of targets, or names of several.
        sample_weight : str, default=None
            Name of the column of weights; see :meth:`fit`.
        groups : str, default=None
            Name of the column of groups; see :meth:`fit`.
        features : sequence of str, default=None
            Names of the columns to learn from. None takes all except those named above, and except
            an index without a name that pandas has written to a file.
        rows_in_memory : int, default=2_000_000
            Up to this number of rows are fitted in memory, and the result equals that of
            :meth:`fit`, bit by bit. If there are more rows, this many coded rows are held in memory
            at a time. A function given as `categorical_features` sees at most the first 262,144
            rows.
        spill_dir : path, default=None
            Folder for temporary files. Each row takes about 4 bytes for each categorical column, 70
            bytes for each number, and 15 bytes for everything else. None takes the folder of
            ``tempfile.gettempdir()``. The files are always removed at the end, also after an error.

        Returns
        -------
        Self
            The fitted estimator. In addition to the attributes of :meth:`fit` it has
            ``category_count_errors_``: how far the counts of a column may be off. Counts are
            estimated by a sketch if a column has many more values than `max_categories`.

        Raises
        ------
        ValueError
            As :meth:`fit`; or if the source is empty, its parts differ in their columns, or a
            parameter needs all rows in memory. The message names the file or block.
        OSError
            If a file cannot be read, or the disk is full.

        See Also
        --------
        fit_transform_batches : Learn, and encode the same rows without leakage.
        transform_batches : Encode new rows.

        Notes
        -----
        With more rows than `rows_in_memory`, a few things differ from :meth:`fit`. Folds are drawn
        for each row, or by a hash of its group, and ``fold_`` is None. At most 100,000 rows decide
        when to stop. A sample of 300,000 rows is used for everything that is not counted: ranks of
        context numbers, pairs of columns, roles of columns, copies of rows. ``warm_start``, several
        members, an encoder as `init` and a `cv` that is not a number need :meth:`fit`.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> month = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 20})
        >>> month["temperature"] = month["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0})
        >>> month["temperature"] += [1.0, -1.0] * 30
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> encoder = encoder.fit_batches([month, month], y="temperature")
        >>> encoder.feature_names_in_.tolist()
        ['city']
        >>> encoder.category_counts_["city"].tolist()
        [40, 40, 40]
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

        Train your next model on the files that this writes. With `cross_fit`, each row is encoded
        by a table and a head that never saw its target, as in :meth:`fit_transform`. For new rows,
        use :meth:`transform_batches`.

        Parameters
        ----------
        source : path, table or iterable of tables
            See :meth:`fit_batches`.
        path : str or path-like
            Folder for the files of vectors; see :meth:`transform_batches`. It must not be inside
            the folder of the source.
        y : str or sequence of str
            Name of the column of targets, or names of several.
        sample_weight : str, default=None
            Name of the column of weights. Rows of zero weight get the vectors of new rows.
        groups : str, default=None
            Name of the column of groups.
        features : sequence of str, default=None
            Names of the columns to learn from. None takes all except those named above, and except
            an index without a name that pandas has written to a file.
        keep : str or sequence of str, default=()
            Columns of the source to write before the vectors, such as that of `y`.
        rows_in_memory : int, default=2_000_000
            See :meth:`fit_batches`.
        spill_dir : path, default=None
            See :meth:`fit_batches`.
        rows_a_file : int, default=1_048_576
            Rows in each file; the last one has the rest.
        compression : {"zstd", "snappy", "gzip", "brotli", "lz4"} or None, default="zstd"
            Compression of the files.

        Returns
        -------
        pathlib.Path
            The folder `path`. Its rows are in the order of the source.

        Raises
        ------
        ValueError, TypeError, OSError
            As :meth:`fit_batches` and :meth:`transform_batches`.
        KeyboardInterrupt
            As :meth:`fit_transform`.

        See Also
        --------
        transform_batches : Encode new rows.
        fit_transform : The same for rows that are in memory.

        Examples
        --------
        >>> import tempfile
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> rows = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 40})
        >>> rows["temperature"] = rows["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0})
        >>> rows["temperature"] += [1.0, -1.0] * 60
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = encoder.fit_transform_batches(
        ...         [rows], f"{folder}/vectors", "temperature", keep=["city", "temperature"]
        ...     )
        ...     vectors = pd.read_parquet(written)
        >>> vectors.shape
        (120, 4)
        >>> vectors.columns.tolist()
        ['city', 'temperature', 'city_0', 'city_1']
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

        A file appears in the folder only when it is complete. If the call is stopped, repeat it
        and it continues: it reads the source from the start, checks that the files in the folder
        hold its rows, and writes the missing ones. With `verbose`, a line shows rows per second and
        the time left.

        Parameters
        ----------
        source : str, path-like, list of them, Dataset, RecordBatchReader, frame or iterable
            Rows with the columns of fit. Columns are found by name, so they may come in any order
            and among others. You can give a Parquet file or folder, a list of these, or a pattern
            such as ``"rows/2026-*.parquet"``; a pyarrow dataset, table or reader of record batches;
            a data frame of pandas or polars; a lazy frame of polars; a relation of DuckDB; or any
            iterable of tables, or a function without arguments that returns one. The source is read
            once. The files of a folder are read in the order of their paths, and names of
            subfolders like ``month=5`` become columns. Hidden files and those that begin with ``_``
            are left out.
        path : str or path-like
            Folder to write to; it is created if it does not exist. The files are called
            ``part-00000.parquet`` and so on. Only one call at a time may write to it.
        keep : str or sequence of str, default=()
            Columns of the source to write before the vectors, such as ids.
        rows_a_file : int, default=1_048_576
            Rows in each file; the last one has the rest.
        compression : {"zstd", "snappy", "gzip", "brotli", "lz4"} or None, default="zstd"
            Compression of the files.

        Returns
        -------
        pathlib.Path
            The folder. Its files have the columns of `keep` and those of
            :meth:`get_feature_names_out`. The vectors are float32 and equal those of
            :meth:`transform`, bit by bit.

        Raises
        ------
        InvalidDataError
            If rows cannot be encoded, as in :meth:`transform`; if columns are missing, or differ
            between parts of the source (the message names the part); or if the folder has files of
            other rows.
        InvalidFileError
            If a file of the source cannot be read; or if the folder has files of another model or
            with other columns, or files that this method has not written.
        InvalidParameterError
            If a parameter is not as described above, or the columns of fit had no names.
        UnsupportedDataError
            If `source` is something else.
        OSError
            If a file cannot be written. The files that are complete stay.

        See Also
        --------
        transform : Encode rows that are in memory.
        fit_transform_batches : Encode the training rows, without leakage.

        Examples
        --------
        >>> import tempfile
        >>> import pandas as pd
        >>> from sk_entity_embed import EntityEmbeddingEncoder
        >>> X = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 40})
        >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0)
        >>> encoder = encoder.fit(X, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20)
        >>> new = pd.DataFrame({"id": range(3), "city": ["Oslo", "Rome", "Oslo"]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = encoder.transform_batches([new], f"{folder}/vectors", keep="id")
        ...     vectors = pd.read_parquet(written)
        >>> vectors.round(1)
           id  city_0  city_1
        0   0     1.1    -0.3
        1   1    -1.0    -0.4
        2   2     1.1    -0.3
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
