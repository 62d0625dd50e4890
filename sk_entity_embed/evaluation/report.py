"""Whether embeddings pay on your data: encoders compared by cross-validation.

This module reads what the user gives and makes the report; `comparison` fits and scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.parallel import Parallel, delayed

from sk_entity_embed._access import check_data, has_hidden_layer
from sk_entity_embed._parameters import check_parameters
from sk_entity_embed._progress import tqdm
from sk_entity_embed.encoder import EntityEmbeddingEncoder
from sk_entity_embed.evaluation.comparison import (
    Contender,
    Rows,
    Split,
    default_encoders,
    default_models,
    default_natives,
    run,
)
from sk_entity_embed.evaluation.finding import find
from sk_entity_embed.exceptions import (
    FoldsReducedWarning,
    InvalidDataError,
    InvalidParameterError,
)
from sk_entity_embed.input.context import stack_numbers
from sk_entity_embed.input.messages import warn
from sk_entity_embed.input.roles import check_roles
from sk_entity_embed.input.selection import select_categorical
from sk_entity_embed.input.table import Column
from sk_entity_embed.input.target import Target, check_target
from sk_entity_embed.input.vocabulary import learn_vocabulary
from sk_entity_embed.model.losses import resolve_loss

__all__ = ["encoding_report"]

_MEASURES = [
    *("test_score", "train_score", "leak_gap", "difference"),
    *("fit_time", "transform_time", "downstream_time", "n_features"),
]


@check_parameters(
    estimator=[EntityEmbeddingEncoder],
    encoders=[Mapping, None],
    downstream=[Mapping, HasMethods(["fit", "predict"]), None],
    cv=["cv_object"],
    scoring=[StrOptions(set(get_scorer_names())), callable, None],
    n_jobs=[Integral, None],
    random_state=["random_state"],
    return_folds=["boolean"],
    verbose=["verbose"],
)
def encoding_report(
    estimator: EntityEmbeddingEncoder,
    X: Any,
    y: ArrayLike,
    *,
    encoders: Mapping[str, Any] | None = None,
    downstream: Mapping[str, Any] | Any = None,
    cv: Any = 5,
    scoring: str | Any | None = None,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: int | RandomState | None = None,
    return_folds: bool = False,
    verbose: int | bool = 0,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Compare encoders of categorical columns by cross-validation under the same models.

    In each fold, every encoder is fitted on the training rows. It encodes them with its
    ``fit_transform``, as in a pipeline, and the test rows with ``transform``. Every downstream
    model, that is, a model that learns from the encoded columns, is fitted on the encoded training
    rows and scored on both. The *leak gap* is the training score minus the test score. A large gap
    means that the encoder leaks the target into the training rows.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder
        The embeddings to judge. One network is trained in each fold for all of its outputs:
        "embedding", "both", "stacking" and, if it is the `output` of the encoder, "hidden". Without
        hidden layers, as with ``head="dot"``, there are "embedding" and "stacking" only. The
        `categorical_features` of this encoder say which columns all encoders encode, and its
        `target_type` says what `y` is. Your estimators are not changed.
    X : array-like of shape (n_samples, n_features)
        Rows in any container that the encoder takes.
    y : array-like of shape (n_samples,)
        Target. If it has several outputs, you must give `encoders`, `downstream` and `scoring` that
        can handle them.
    encoders : mapping of str to transformer, default=None
        Encoders to compare with. None takes "TargetEncoder" and "one-hot" of scikit-learn,
        "CatBoostEncoder" and "JamesSteinEncoder" of category_encoders, and "native": models that
        take categories themselves (see Notes). An encoder gets the categorical columns, except
        lists, as a pandas DataFrame of strings, with None for missing cells. An
        :class:`~sk_entity_embed.EntityEmbeddingEncoder` gets all of `X`, and `groups`.
    downstream : estimator or mapping of str to estimator, default=None
        Models to fit on the encoded columns. None takes "linear" and "boosting". "linear" is
        logistic regression or ridge regression on imputed and standardised columns (one-hot columns
        stay 0 and 1). "boosting" is histogram gradient boosting.
    cv : int, splitter or iterable, default=5
        Folds of the comparison. An integer gives shuffled folds that are stratified by class and
        keep `groups` together. If there are too few rows, members of a class or groups, there are
        fewer folds, and you get a warning.
    scoring : str or callable, default=None
        Name of a scorer, or ``scorer(model, X, y)``. None takes "roc_auc" for two classes,
        "roc_auc_ovr" for more classes and "r2" for quantities.
    groups : array-like of shape (n_samples,), default=None
        Group of each row. The folds of an integer `cv` keep groups together. So do the inner folds
        of embeddings and of a TargetEncoder with an integer `cv`, also in pipelines.
    n_jobs : int, default=None
        Number of processes that share the fits, one for each fold and encoder. Scores do not depend
        on it, but times do.
    random_state : int, RandomState instance or None, default=None
        Controls the folds of an integer `cv` and the inner folds of a TargetEncoder with an integer
        `cv`. It is also used for every `random_state` that is None in `estimator`, `encoders` and
        `downstream`.
    return_folds : bool, default=False
        True if the scores of each fold should be returned as well.
    verbose : int, default=0
        1 shows a progress bar and prints the finding.

    Returns
    -------
    report : DataFrame
        One row for each encoder and downstream model, the best test score of each model first, with
        the columns:

        - ``encoder``, ``downstream``, ``scoring``: names.
        - ``mean_test_score``, ``std_test_score``, ``mean_train_score``: over the folds, with
          ``ddof=0`` for the standard deviation, as in scikit-learn's searches.
        - ``leak_gap``: mean training score minus mean test score.
        - ``difference``, ``std_difference``: test score minus that of the first of `encoders` under
          the same model, as mean and standard deviation over the folds. The first one is
          TargetEncoder by default, and "embedding" if `encoders` is empty. NaN if it has no score.
        - ``fit_time``, ``transform_time``, ``downstream_time``: mean seconds of the encoder's
          ``fit_transform``, of its ``transform`` of the test rows, and of the model's ``fit``. The
          outputs of `estimator` share one network, so each has the whole time of this network. The
          first network in a process also waits for the import of torch.
        - ``n_features``: mean number of columns that the model gets.
        - ``n_splits``: number of folds.

        ``report.attrs["finding"]`` is a sentence with the result. It recommends an output with a
        model, or says what is better than all outputs. One score is called better than another if
        their mean difference over the folds is more than two standard errors.
    folds : DataFrame
        Only with ``return_folds=True``. One row for each fold, with the columns ``encoder``,
        ``downstream``, ``fold``, ``test_score``, ``train_score``, ``leak_gap``, ``difference``, the
        times, ``n_features`` and ``error`` (the message if something failed, else None).

    Raises
    ------
    ValueError
        If a parameter or the data do not fit, or no score could be computed in any fold.
    TypeError
        If a container or the type of a column is not supported.

    Warns
    -----
    FitFailedWarning
        If an encoder or a model fails in a fold. Its scores in this fold, and their means, are NaN.

    See Also
    --------
    sklearn.model_selection.cross_validate : Cross-validation of one estimator.

    Notes
    -----
    Numeric context columns are appended unchanged to the output of every encoder, for any
    `remainder`, so all models have them. Missing numbers stay NaN.

    The rows "native" are models with their default parameters, in one thread. One is scikit-learn's
    histogram gradient boosting. It is called "boosting", or "HistGradientBoosting" if you give a
    `downstream` of your own. It gets columns of more than 255 categories from a TargetEncoder. If
    they are installed, there are also "LightGBM" and "CatBoost". CatBoost can take minutes for many
    rows. If you give `encoders` of your own, there are no such rows.

    Columns of lists are encoded by embedding encoders only, since other encoders take single
    values. The score of "embedding" then includes the value of the lists. To compare encoders
    of the other columns, pass `X` without the lists.

    CatBoostEncoder encodes a training row from the rows before it, in random order.
    JamesSteinEncoder uses all training rows, and with them the row's own target. It therefore has
    the larger leak gap. With more than two classes, both have a column for each class. GLMMEncoder
    is not among the defaults, because it takes minutes for a thousand categories. You can pass it
    in `encoders`.

    For models that take sparse input, the default one-hot columns are sparse and complete. For
    other models, such as gradient boosting, they are dense, and each column keeps its 63 most
    frequent levels and one for the rest. Sparse output of your own encoders is made dense for such
    models. If numbers are missing, only pipelines get sparse columns, since they may fill them in.

    Compare the leak gap between encoders under the same model. Between models it says little,
    because boosting memorises its training rows with any features. If an encoder is cross-fitted,
    ``fit_transform(X, y)`` differs from ``fit(X, y).transform(X)``, as scikit-learn notes for
    TargetEncoder. An encoder without ``fit_transform`` is used in the second way. Test scores equal
    those of :func:`~sklearn.model_selection.cross_validate` with a pipeline. Its training scores
    cannot be compared, since it scores training rows encoded by ``transform``.

    With scikit-learn before 1.9 a TargetEncoder draws its inner folds itself, and these may divide
    groups.

    References
    ----------
    .. [1] F. Pargent et al., "Regularized target encoding outperforms traditional methods in
       supervised machine learning with high cardinality features", Computational Statistics 37,
       2022.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.preprocessing import OrdinalEncoder
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.evaluation import encoding_report
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 300)})
    >>> y = X["city"].map({"Lima": 0.3, "Oslo": 0.0, "Rome": 1.1}) + rng.normal(0, 0.25, 300)
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=20)
    >>> encoders = {"ordinal": OrdinalEncoder()}
    >>> report = encoding_report(
    ...     encoder, X, y, encoders=encoders, downstream=Ridge(), cv=3, random_state=0
    ... )
    >>> scores = report.set_index("encoder")["mean_test_score"].round(1)
    >>> scores[["embedding", "ordinal"]]
    encoder
    embedding    0.8
    ordinal      0.5
    Name: mean_test_score, dtype: float64
    >>> print(report.attrs["finding"])
    Use output=... under 'Ridge', the best of the outputs ...: it is ahead of all others, ...
    """
    rows, target = _read(estimator, X, y, groups)
    n_outputs = target.values.shape[1]
    if n_outputs > 1 and any(given is None for given in (encoders, downstream, scoring)):
        raise InvalidParameterError(
            f"y has {n_outputs} outputs, for which there are no defaults: give `encoders`, "
            "`downstream` and `scoring`, or report one column of y at a time."
        )
    models = _read_models(downstream, target)
    outputs = ["embedding", "stacking"]
    if has_hidden_layer(estimator):
        outputs = list(dict.fromkeys(["embedding", "both", "stacking", estimator.output]))
    if encoders is None:
        contenders = default_encoders(models, rows, target)
        boosting = "boosting" if downstream is None else "HistGradientBoosting"
        if rows.texts.shape[1]:
            contenders += default_natives(rows, target, boosting)
    else:
        contenders = _read_encoders(encoders, outputs, models)
    contenders.append(Contender(estimator, {output: output for output in outputs}, models))
    only_lists = bool(rows.lists) and not rows.texts.shape[1]
    if only_lists and not all(isinstance(c.encoder, EntityEmbeddingEncoder) for c in contenders):
        raise InvalidParameterError(
            f"All categorical columns of X hold lists, {list(rows.lists)}, which only an "
            "EntityEmbeddingEncoder can encode; give only such encoders in `encoders`, or none: "
            "encoders={}."
        )
    random = check_random_state(random_state)
    splits = _splits(cv, rows, random)
    if scoring is None:
        if target.is_classification:
            _check_classes(splits, rows.y)
        scoring = resolve_loss("auto", target).metrics[0]
    seeds = random.randint(np.iinfo(np.int32).max, size=len(splits)).tolist()
    tasks = [
        delayed(run)(contender, rows, get_scorer(scoring), fold, splits[fold], seed)
        for fold, seed in enumerate(seeds)
        for contender in contenders
    ]
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
    bar = tqdm(done, total=len(tasks), desc="encoders", unit="fit", disable=not verbose)
    records = [record for found in bar for record in found]
    names = list(dict.fromkeys(name for c in contenders for name in c.rows))
    folds = _fold_table(
        records, names, list(dict.fromkeys(m for c in contenders for m in c.models))
    )
    _report_failures(folds)
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "callable")
    report = _summarise(folds, name)
    report.attrs["finding"] = find(folds, outputs, name)
    if verbose:
        print(report.attrs["finding"])
    return (report, folds) if return_folds else report


def _read(estimator: EntityEmbeddingEncoder, X: Any, y: Any, groups: Any) -> tuple[Rows, Target]:
    """Check the estimator and the data, and tell categorical columns from context."""
    _check_settings("estimator", estimator)
    given = check_data(estimator, X, y, groups)
    columns, n = given.table.columns, given.table.n_rows
    chosen = estimator.categorical_features
    categorical, context = select_categorical(chosen, given.table, X)
    single = [columns[j] for j in categorical if not columns[j].is_list]
    texts = {column.name: pd.Series(_texts(column), dtype=object) for column in single}
    codes = [pd.factorize(text)[0] + 1 for text in texts.values()]
    check_roles(chosen, given.table, categorical, context, codes, given.target)
    rows = Rows(
        X=X,
        categorical=[j in set(categorical) for j in range(len(columns))],
        texts=pd.DataFrame(texts, index=pd.RangeIndex(n)),
        lists=tuple(columns[j].name for j in categorical if columns[j].is_list),
        numbers=stack_numbers([columns[j] for j in context], n),
        y=check_target(y, n),
        strata=given.target.strata,
        groups=given.groups,
    )
    return rows, given.target


def _texts(column: Column) -> NDArray[np.object_]:
    """Cells as strings that differ where the cells do, None where missing."""
    vocabulary = learn_vocabulary(column)
    categories = vocabulary.categories.tolist()
    texts: list[str | None] = [str(c) for c in categories]
    if len(set(texts)) < len(texts):  # such as 1 and "1"
        texts = [repr(c) for c in categories]
    cells: NDArray[np.object_] = np.array([*texts, None], dtype=object)[vocabulary.locate(column)]
    return cells


def _read_models(downstream: Any, target: Target) -> Mapping[str, Any]:
    """Downstream models by name."""
    if downstream is None:
        return default_models(target)
    if not isinstance(downstream, Mapping):
        downstream = {type(downstream).__name__: downstream}
    _check_members("downstream", downstream, ("fit", "predict"))
    if not downstream:
        raise InvalidParameterError("`downstream` is empty; give at least one model.")
    return downstream


def _read_encoders(
    encoders: Mapping[str, Any], outputs: list[str], models: Mapping[str, Any]
) -> list[Contender]:
    """The user's encoders."""
    _check_members("encoders", encoders, ("fit", "transform"))
    if taken := sorted(set(encoders) & set(outputs)):
        raise InvalidParameterError(
            f"`encoders` has {taken}, which are names of outputs of `estimator`; choose other "
            "names."
        )
    return [Contender(e, {n: getattr(e, "output", None)}, models) for n, e in encoders.items()]


def _check_settings(parameter: str, encoder: Any) -> None:
    """Refuse an embedding encoder's settings under the name of the report's parameter."""
    if isinstance(encoder, EntityEmbeddingEncoder):
        try:
            encoder._validate_params()
        except ValueError as error:
            raise InvalidParameterError(f"`{parameter}` cannot be fitted: {error}") from error


def _check_members(parameter: str, members: Mapping[Any, Any], methods: tuple[str, str]) -> None:
    """Refuse names that are not strings, classes, and objects without the methods needed."""
    for name, member in members.items():
        if not isinstance(name, str):
            raise InvalidParameterError(f"`{parameter}` must be named by strings, got {name!r}.")
        if isinstance(member, type) or not all(hasattr(member, m) for m in methods):
            raise InvalidParameterError(
                f"`{parameter}[{name!r}]` must be an instance with the methods {methods[0]} and "
                f"{methods[1]}, got {member!r}."
            )
        _check_settings(f"{parameter}[{name!r}]", member)


def _splits(cv: Any, rows: Rows, random: RandomState) -> list[Split]:
    """Training and test rows of each fold."""
    n = len(rows.y)
    try:
        if cv is None or isinstance(cv, Integral):
            return rows.split(_n_folds(5 if cv is None else int(cv), rows), random)
        given = check_cv(cv).split(np.zeros((n, 1)), rows.y, rows.groups)
        splits = [(np.arange(n)[np.asarray(a)], np.arange(n)[np.asarray(b)]) for a, b in given]
    except InvalidDataError as error:  # whose advice is for folds inside an encoder
        raise InvalidDataError(
            f"An integer `cv` needs two rows and two groups at least; the {n} rows of X have "
            "fewer. Give more data or pass a splitter."
        ) from error
    except (IndexError, TypeError, ValueError) as error:
        raise InvalidParameterError(f"`cv` does not split the {n} rows of X: {error}") from error
    if not splits or not all(len(part) for split in splits for part in split):
        raise InvalidParameterError("`cv` must give training and test rows in every split.")
    return splits


def _n_folds(n_folds: int, rows: Rows) -> int:
    """So few folds that each can test a member of every class of two or more."""
    if rows.strata is None:
        return n_folds
    rarest = int(np.unique(rows.strata, return_counts=True)[1].min())
    if rarest >= n_folds or rarest < 2:
        return n_folds
    warn(
        f"cv={n_folds} test sets need as many members of each class, but the rarest class has "
        f"{rarest}; using {rarest} folds.",
        FoldsReducedWarning,
    )
    return rarest


def _check_classes(splits: Sequence[Split], y: NDArray[Any]) -> None:
    """The default scores of classes need all of them among training and test rows."""
    for fold, (train, test) in enumerate(splits):
        for part, where in ((train, "training"), (test, "test")):
            lacking = np.setdiff1d(y, y[part]).tolist()
            if lacking:
                raise InvalidParameterError(
                    f"The {where} rows of fold {fold} lack the classes {lacking}, which the "
                    "default `scoring` needs: use fewer folds (`cv`), merge rare classes, or "
                    "choose a `scoring` such as 'accuracy'."
                )


def _fold_table(records: list[dict[str, Any]], names: list[str], models: list[str]) -> pd.DataFrame:
    """Records by model, encoder and fold, with leak gap and difference to the first encoder."""
    records.sort(
        key=lambda r: (models.index(r["downstream"]), names.index(r["encoder"]), r["fold"])
    )
    folds = pd.DataFrame(records, columns=["encoder", "downstream", "fold", *_MEASURES, "error"])
    folds["error"] = pd.Series([record.get("error") for record in records], dtype=object)
    folds["leak_gap"] = folds["train_score"] - folds["test_score"]
    first = folds[folds["encoder"] == names[0]].set_index(["downstream", "fold"])["test_score"]
    places = pd.MultiIndex.from_frame(folds[["downstream", "fold"]])
    folds["difference"] = folds["test_score"] - first.reindex(places).to_numpy()
    return folds


def _summarise(folds: pd.DataFrame, scoring: str) -> pd.DataFrame:
    """Means and standard deviations over the folds, best test scores of each model first."""
    n = folds["fold"].nunique()
    report = folds[["encoder", "downstream"]].iloc[::n].assign(scoring=scoring)
    for name in _MEASURES:
        values = folds[name].to_numpy(dtype=float).reshape(-1, n)
        report[f"mean_{name}" if name.endswith("score") else name] = values.mean(axis=1)
        if name in ("test_score", "difference"):
            report[f"std_{name}"] = values.std(axis=1)
    by_model = report.groupby("downstream", sort=False)["mean_test_score"]
    order = np.lexsort((-report["mean_test_score"], by_model.ngroup()))
    return report.assign(n_splits=n).iloc[order].reset_index(drop=True)


def _report_failures(folds: pd.DataFrame) -> None:
    """Warn of what failed; raise if that was everything."""
    failed = folds[folds["error"].notna()]
    places = zip(failed["encoder"], failed["fold"], failed["error"], strict=True)
    messages = list(dict.fromkeys(f"encoder {e!r}, fold {k}: {error}" for e, k, error in places))
    if len(failed) == len(folds):
        raise InvalidParameterError(
            "Nothing could be scored; check `encoders`, `downstream` and `scoring`. The first "
            f"failure was {messages[0]}"
        )
    if messages:
        text = "Scores are NaN where an encoder or a model failed:\n" + "\n".join(messages)
        warn(text, FitFailedWarning)
