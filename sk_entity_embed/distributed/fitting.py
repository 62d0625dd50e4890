"""A fit on a cluster: counts, codes and trains where the data are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sk_entity_embed import __version__
from sk_entity_embed._batch_fitting import Streamed
from sk_entity_embed._estimator import EmbeddingEstimator
from sk_entity_embed.distributed import coding
from sk_entity_embed.distributed.cluster import check_machines, get, import_ray, merged
from sk_entity_embed.distributed.pieces import PIECE_ROWS, Pieces, find_pieces
from sk_entity_embed.distributed.training import Cluster, Job, Shards, check, divide, train
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.fitting.building import SCALE_ROWS
from sk_entity_embed.fitting.preparation import EncodedColumns
from sk_entity_embed.fitting.streaming import Drawing, Surveyed, refuse_few_groups
from sk_entity_embed.fitting.survey import Survey
from sk_entity_embed.input.blocks import BlockRows, Roles
from sk_entity_embed.input.crosses import AnyVocabulary, PairCounter
from sk_entity_embed.input.vocabulary import Vocabulary
from sk_entity_embed.learning.problem import Floats, StartingPoint, TrainingConfig, TrainingResult

Estimator = TypeVar("Estimator")


def fit(
    estimator: Estimator,
    dataset: Any,
    *,
    y: str | Sequence[str],
    sample_weight: str | None = None,
    groups: str | None = None,
    features: Sequence[str] | None = None,
    num_workers: int = 2,
    use_gpu: bool = False,
    resources_per_worker: Mapping[str, float] | None = None,
    storage_path: str | os.PathLike[str] | None = None,
    max_failures: int = 3,
    checkpoint_interval: float = 60.0,
) -> Estimator:
    """Fit an encoder or a predictor on a Ray cluster, from rows anywhere on the cluster.

    The data set is read twice, first to count categories, then to code the rows. Each worker then
    holds its share of the coded rows in memory, and a copy of all vectors and of the network. In
    each step a worker computes the gradients of its rows, and all workers take the same step along
    the gradients of all rows. The result is an ordinary fitted estimator, which needs no Ray.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder, EntityEmbeddingClassifier or EntityEmbeddingRegressor
        The estimator to fit. Its parameters have the same meaning as in ``fit``. `batch_size`
        counts the rows of all workers together.
    dataset : path, list of paths, ray.data.Dataset, or frame of Dask, Spark, pandas or pyarrow
        Training rows. Give paths of Parquet files or folders that all machines can read. They are
        read piece by piece. Everything else is first loaded into Ray's memory, which spills to
        disks.
    y : str or sequence of str
        Name of the column of targets, or names of several.
    sample_weight, groups : str, default=None
        Names of columns; see the estimator's ``fit``.
    features : sequence of str, default=None
        Names of the columns to learn from. None takes all except those named above.
    num_workers : int, default=2
        Number of workers that train. They share the rows of each step.
    use_gpu : bool, default=False
        True if each worker should have a GPU of its own.
    resources_per_worker : dict, default=None
        Resources that Ray reserves for each worker. None reserves one CPU, or one GPU.
    storage_path : path, default=None
        Folder for checkpoints and the result. All machines must be able to use it. It can be an
        address such as ``"s3://bucket/folder"``. A cluster of one machine needs none. After a
        successful fit, its files are removed.
    max_failures : int, default=3
        How often workers may fail, because they are killed, lose their machine or run out of
        memory. Training then continues from the last checkpoint. With the same number of workers,
        on machines of the same kind, the result is the same, bit by bit.
    checkpoint_interval : float, default=60.0
        Shortest time between two checkpoints, in seconds of training. A failure costs at most this
        time and the start of the workers. Checkpoints are written between iterations.

    Returns
    -------
    object
        The `estimator`, fitted. If there is an error, it stays as it was before.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        As ``fit``. Also if the data set is empty or lacks a column, a parameter needs all rows in
        one memory, there are fewer rows than workers, a cluster of several machines gets no
        `storage_path`, or a machine has another version of this package or lacks it.
    TypeError
        If the estimator is not one of this package, or the data set has a type that cannot be read
        on a cluster.
    OSError
        If a file cannot be read.
    ray.train.TrainingFailedError
        If workers fail more often than `max_failures`.

    See Also
    --------
    transform : Encode a data set on a cluster.

    Notes
    -----
    Folds are drawn for each row, or by a hash of its group, and ``fold_`` is None. At most 100,000
    rows decide when to stop. A sample of 300,000 rows is used for everything that is not counted:
    ranks of context numbers, pairs of columns, roles of columns, copies of rows. ``warm_start``,
    several members, an encoder as `init` and a `cv` that is not a number need ``fit``.

    Examples
    --------
    Cities and temperatures in memory; in practice, give the path of a folder of Parquet files:

    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingRegressor
    >>> from sk_entity_embed.distributed import fit
    >>> rows = pd.DataFrame({"city": ["Lima", "Oslo", "Rome"] * 100})
    >>> rows["temperature"] = rows["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0})
    >>> rows["temperature"] += [1.0, -1.0] * 150
    >>> model = EntityEmbeddingRegressor(max_iter=30, random_state=0)
    >>> model = fit(model, rows, y="temperature", num_workers=2)  # doctest: +SKIP
    >>> model.predict(pd.DataFrame({"city": ["Oslo", "Rome"]})).round()  # doctest: +SKIP
    array([-4., 12.])
    """
    storage = None if storage_path is None else _address(storage_path)
    cluster = Cluster(
        num_workers, use_gpu, resources_per_worker, storage, max_failures, checkpoint_interval
    )
    if not isinstance(estimator, EmbeddingEstimator):
        raise UnsupportedDataError(
            "Only encoders and predictors of this package can be fitted on a cluster, not "
            f"{type(estimator).__name__}. For a pipeline, fit the encoder on the cluster, then "
            "the next step on its vectors."
        )
    fitted: Any = estimator
    fitted._validate_params()
    if fitted.checkpoint is not None:
        raise InvalidParameterError(
            f"`checkpoint`={str(fitted.checkpoint)!r} is for fits in one process. On a cluster, "
            "checkpoints are written to `storage_path`; leave `checkpoint` at None."
        )
    if fitted.callbacks:
        raise InvalidParameterError(
            "`callbacks` are for fits in one process. On a cluster the workers are processes of "
            "their own, from which nothing is called here; leave `callbacks` at None, and look at "
            "`loss_curve_` and `validation_loss_curve_` after the fit."
        )
    targets = y if isinstance(y, str) or len(y) > 1 else y[0]
    roles = Roles(targets, sample_weight, groups, features)
    ray = import_ray("distributed.fit")
    device = check(cluster, check_machines(ray, __version__), fitted.device)
    pieces = find_pieces(ray, dataset)
    roles.check(pieces.names)
    _Clustered(ray, fitted, pieces, roles, cluster, device).fit([], iter(()), None)
    return estimator


def _address(path: str | os.PathLike[str]) -> str:
    """Return a path as all workers understand it."""
    text = os.fspath(path)
    return text if "://" in text else os.path.abspath(text)


class _CodedPieces:
    """References to coded rows, what they add up to, and how many rows each has."""

    def __init__(self, owner: _Clustered) -> None:
        self.owner = owner

    def code(self, plan: coding.Plan) -> None:
        """Read all pieces once more and code them."""
        ray, parts = self.owner.ray, self.owner.pieces.parts
        self.plan = ray.put(plan)
        task = ray.remote(num_returns=3)(coding.code_piece)
        coded = [task.remote(part, i, [self.plan]) for i, part in enumerate(parts)]
        self.totals: coding.Totals = merged(
            ray, coding.merge_totals, [told for _, told, _ in coded]
        )
        sizes = get(ray, [n for _, _, n in coded])
        # Some have rows of zero weight only.
        some = [(rows, n) for (rows, _, _), n in zip(coded, sizes, strict=True) if n]
        self.references, self.sizes = [rows for rows, _ in some], [n for _, n in some]

    def finish(
        self,
        columns: EncodedColumns,
        found: Surveyed,
        *,
        min_frequency: float | int | None,
        max_categories: int | None,
        n_tables: int,
        withholds: bool,
        window_rows: int,
        judges: bool,
    ) -> tuple[Shards, EncodedColumns]:
        """Return the workers' rows, and the columns with crosses and target means of all rows."""
        totals, cluster = self.totals, self.owner.cluster
        judged = totals.n_judged if judges else None
        refuse_few_groups(len(totals.folds_met), n_tables, judged)
        if totals.n_samples < cluster.num_workers:
            raise InvalidParameterError(
                f"The data set has {totals.n_samples} rows, fewer than "
                f"num_workers={cluster.num_workers}."
            )
        parents: Any = columns.vocabularies[: len(columns.categorical)]
        means = [sums.means for sums in totals.sums]
        vocabularies: list[AnyVocabulary] = list(parents)
        codes = list(columns.codes[: len(parents)])
        if columns.crosses:
            crosses = self._crosses(columns, parents, min_frequency, max_categories)
            for pair, (cross, of_all) in zip(columns.crosses, crosses, strict=True):
                vocabularies.append(cross)
                means.append(of_all)
                codes.append(cross.encode(*(codes[j] for j in pair)))
        columns = replace(
            columns, vocabularies=tuple(vocabularies), codes=codes, target_means=means
        )
        shards = Shards(
            divide(self.references, self.sizes, cluster.num_workers),
            totals.n_samples,
            n_tables,
            [v.n_rows for v in vocabularies],
            totals.weight / totals.n_samples,
            withholds,
        )
        return shards, columns

    def _crosses(
        self,
        columns: EncodedColumns,
        parents: Sequence[Vocabulary],
        min_frequency: float | int | None,
        max_categories: int | None,
    ) -> list[tuple[Any, Any]]:
        """Learn crosses from all rows and add their codes; return them and their target means."""
        ray, plans = self.owner.ray, [self.plan]
        counters = [
            PairCounter([parents[j] for j in pair], coding.MOST_PAIRS) for pair in columns.crosses
        ]
        task = ray.remote(coding.count_crosses)
        for reference in [task.remote(coded, plans) for coded in self.references]:
            for counter, counted in zip(counters, get(ray, reference), strict=True):
                counter.take(*counted)
        crosses = [
            counter.vocabulary(min_frequency=min_frequency, max_categories=max_categories)
            for counter in counters
        ]
        given, coder = ray.put(crosses), ray.remote(num_returns=2)(coding.code_crosses)
        found = [coder.remote(coded, plans, given) for coded in self.references]
        self.references = [coded for coded, _ in found]
        sums = merged(ray, coding.merge_sums, [both for _, both in found])
        return [(cross, one.means) for cross, one in zip(crosses, sums, strict=True)]


class _Clustered(Streamed):
    """A fit whose rows are spread over a cluster."""

    def __init__(
        self,
        ray: Any,
        estimator: Any,
        pieces: Pieces,
        roles: Roles,
        cluster: Cluster,
        device: str,
    ) -> None:
        nothing: Any = None
        self.ray, self.pieces, self.roles = ray, pieces, roles
        self.cluster, self.device = cluster, device
        super().__init__(estimator, nothing, 0, Path())

    def _why_not(self, name: str) -> str:
        return f"those of a cluster are spread over machines; leave `{name}` at its default."

    def _survey(
        self,
        held: list[tuple[BlockRows, str]],
        following: Iterator[tuple[BlockRows, str]],
        seed: int,
    ) -> Survey:
        ray, parts = self.ray, self.pieces.parts
        first = ray.remote(coding.first_rows).remote(parts[0], self.roles, PIECE_ROWS)
        rows, place = get(ray, first)
        empty = self._empty_survey(rows, place, seed)
        empty.sample.expect(self.pieces.n_rows)
        given, task = ray.put(empty), ray.remote(coding.survey_piece)
        found = [task.remote(part, i, self.roles, given) for i, part in enumerate(parts)]
        survey: Survey = merged(ray, coding.merge_surveys, found)
        return survey

    @contextmanager
    def _spilled(self, columns: EncodedColumns, found: Surveyed) -> Iterator[Any]:
        yield _CodedPieces(self)

    def _write(
        self, spilled: Any, found: Surveyed, columns: EncodedColumns, drawing: Drawing
    ) -> None:
        y_range = getattr(self.estimator, "y_range", None)
        spilled.code(coding.Plan.of(self.roles, found, columns, drawing, y_range))

    def _learn(
        self,
        tables: list[Floats],
        rows: Any,
        start: StartingPoint,
        config: TrainingConfig,
        keeper: Any,
    ) -> tuple[TrainingResult, Any]:
        config = replace(config, device=self.device)
        job = Job(tables, start, config, rows, self.cluster.checkpoint_interval, SCALE_ROWS)
        outcome = train(self.ray, job, self.cluster)
        if outcome.error is not None:
            raise outcome.error
        assert outcome.tables is not None
        assert outcome.result is not None
        tables[:] = outcome.tables
        return outcome.result, outcome.told
