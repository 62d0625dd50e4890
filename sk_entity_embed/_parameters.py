"""Parameters: how they are checked and set, and the documentation that the estimators share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, validate_params

_Class = TypeVar("_Class", bound=type)
_Function = TypeVar("_Function", bound=Callable[..., Any])


Callback: TypeAlias = Callable[[int, dict[str, float]], object]
"""A function that is told the losses of each epoch, as `callbacks` takes it."""


class Transformer(Protocol):
    """An encoder of another library, as `init` takes it."""

    @property
    def fit(self) -> Callable[..., Any]: ...

    @property
    def transform(self) -> Callable[..., Any]: ...


class ListOfFunctions(HasMethods):
    """Constraint of a parameter: a list or tuple of functions, which are not called."""

    def __init__(self, signature: str) -> None:
        super().__init__("__call__")
        self.signature = signature

    def is_satisfied_by(self, val: Any) -> bool:
        return isinstance(val, list | tuple) and all(map(callable, val))

    def __str__(self) -> str:
        return f"a list of functions {self.signature}"


def at_least(least: int | float) -> list[Any]:
    """Constraint of a parameter: a whole number if `least` is one, else any number."""
    return [Interval(Integral if isinstance(least, int) else Real, least, None, closed="left")]


def check_parameters(**allowed: list[Any]) -> Callable[[_Function], _Function]:
    """Check the arguments of a function as scikit-learn does, without hiding its types."""
    check = validate_params(allowed, prefer_skip_nested_validation=False)
    return cast(Callable[[_Function], _Function], check)


def fits(method: _Function) -> _Function:
    """Check the parameters of the estimator first, as scikit-learn does, without hiding types."""
    check = _fit_context(prefer_skip_nested_validation=True)
    return cast(_Function, check(method))


def set_parameters(arguments: Mapping[str, Any]) -> None:
    """Set the arguments of an `__init__`, given as its ``locals()``, unchanged as attributes."""
    vars(arguments["self"]).update({k: v for k, v in arguments.items() if k != "self"})


def documented(cls: _Class) -> _Class:
    """Complete the docstring of an estimator from the texts below.

    The class itself describes what differs from them. Parameters come in the order of `__init__`.
    """
    if cls.__doc__ is None:  # python -OO
        return cls
    intro, *parts = re.split(r"^(\w[\w ]*)\n-+\n", inspect.cleandoc(cls.__doc__), flags=re.M)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    parameters = _entries(_PARAMETERS) | _entries(sections["Parameters"])
    sections["Parameters"] = "\n\n".join(parameters[n] for n in inspect.signature(cls).parameters)
    attributes = _entries(_ATTRIBUTES) | _entries(sections["Attributes"])
    sections["Attributes"] = "\n".join(attributes.values())
    sections["References"] = _REFERENCES
    texts = (f"{name}\n{'-' * len(name)}\n{text.strip()}" for name, text in sections.items())
    cls.__doc__ = "\n\n".join([intro.strip(), *texts])
    return cls


def _entries(text: str) -> dict[str, str]:
    """Descriptions by name."""
    starts = re.split(r"^(?=\w+ : )", text, flags=re.M)[1:]
    return {
        entry.partition(" : ")[0]: re.sub(r"(?<=,) {2,}", " ", entry.strip()) for entry in starts
    }


_PARAMETERS = """\
categorical_features : {"auto", "all"}, array-like or callable, default="auto"
    Columns to embed: names, indices, a boolean mask, or a callable that gets `X` and returns
    one of these (such as :func:`~sklearn.compose.make_column_selector`). With "auto", text,
    declared categories, booleans and lists are categorical and numbers are context; object
    columns count as what their cells are. Where there are only numbers, those that are whole
    are categorical; where none is, nothing is embedded. There is a warning if numbers look
    like ids or embedded ones like a quantity.

dimensions : int, str, dict or callable, default="auto"
    Width of the vectors: one number; a rule, namely "fastai", ``min(600, round(1.6 n**0.56))``
    for n categories, "auto", the same but 10 at most, "fourth_root", ``ceil(n**0.25)``, or
    "half", ``min(50, ceil(n / 2))``; a mapping from column names or positions in `X` to
    widths (others follow "auto"); or a function of the number of categories.

class_weight : dict, list of dict, "balanced" or None, default=None
    Weights of classes, as in scikit-learn's classifiers.

pooling : {"mean", "sum", "max", "gru"} or dict, default="mean"
    How the vectors of a list's items become one, for columns whose cells are lists: their
    mean, sum or largest entries, or the last state of a gated recurrent unit that reads them
    in order; or a mapping from column names or positions in `X` to one of these (others
    follow "mean"). A missing list is a list of one missing item, and the empty list has a
    vector of its own. Text is never split: ``frame["words"] = frame["text"].str.split()``
    makes lists of it.

max_length : int, dict or None, default=None
    How many of the last items of a list are used, for all columns of lists or by column; None
    keeps them all.

interactions : "auto", int, list of pairs or None, default="auto"
    Pairs of categorical columns that get a table of their own, with a vector for each pair of
    categories met together in fit; other pairs are unknown. A list names them by names or positions
    in `X`; a number takes as many, those that explain most beside single columns, by out-of-fold
    statistics of at most 30,000 rows; "auto" takes those that clearly do, six at most. Of more
    than 40 columns the 40 that explain most alone are paired. `min_frequency` and
    `max_categories` apply to pairs, too. A pair is called ``"a:b"``; its width is that of columns,
    3 at most unless `dimensions` names it. Lists cannot be paired, and ``head="dot"``, which
    multiplies all pairs, takes none. In :meth:`partial_fit` the first call chooses them.

head : {"mlp", "dot"}, default="mlp"
    What stands above the tables: a multi-layer perceptron, or, for two columns or more, the
    dot products of all pairs of vectors, a bias for each category and one for all (a
    factorisation machine). "dot" wants equal `dimensions` ("auto" is then half the second
    largest number of categories, 50 at most), a single output, and lists pooled by mean or
    sum; numbers enter it additively, and `hidden_layer_sizes` has no part in it. Its vectors end
    with the category's bias, in the output named like ``dest_bias``.

y_range : tuple of two floats or None, default=None
    Lowest and highest prediction, between which a sigmoid squashes the output; `y` must lie
    within. For quantities, under any loss but "poisson".

hidden_layer_sizes : int or sequence of int, default=(128, 64)
    Widths of the head's hidden layers; ``()`` makes it linear.

dropout : float, default=0.1
    Share of hidden units dropped in training, rounded to 1/256; under ``head="dot"``, of the
    vectors' coordinates.

cross_fit : bool, default=True
    Whether to use one table for each fold and several heads, each for some folds (one head for all
    under ``head="dot"``), so that heads learn from vectors as they are for new rows, and training
    rows are given what a table and a head make of them that never saw them. There is one head for
    each fold; from 50,000 rows on there are three, and from 200,000 on two. Without it one table
    and one head learn from all rows but those set aside for early stopping.

cv : int, splitter or iterable, default=5
    Folds. An integer shuffles, stratifies by class and respects `groups`. Too few rows or
    groups reduce it with a warning. A class with fewer members than folds warns, too, and is
    in as many folds as it has members. The test sets of a splitter or an iterable must cover
    each row exactly once; their training sets are not used. :meth:`partial_fit` draws folds by a
    hash of each row and takes an integer only.

n_members : int, default=1
    Trainings with other folds, validation rows and batches, brought into one space and averaged:
    neighbours then depend less on chance, for as many times the cost. Take 4 to look at vectors;
    the network's own predictions gain nothing, and may lose. A training row gets the mean of the
    vectors that its own folds' tables give, none of which saw it. A splitter or iterable `cv`
    gives all members the same folds. Several members have no ``warm_start`` and no
    :meth:`partial_fit`, and lists no `pooling` by "gru".

min_frequency : int or float, default=None
    Categories with fewer rows, or a smaller share of the rows, share one vector.

max_categories : int, default=None
    Upper limit on the vectors of a column, the one of infrequent categories included, those
    of missing and unknown cells not.

unknown_rate : float, default=0.02
    Share of the cells treated as unknown in training, so that the unknown vector is trained.

handle_unknown : {"learned", "error"}, default="learned"
    What :meth:`predict` and :meth:`transform` do with categories not seen in fit: use the
    trained unknown vector, or raise. Pairs of known categories that were not met together are
    never refused.

handle_missing : {"category", "error"}, default="category"
    Whether missing cells are a category of their own (unknown if there was none in fit) or an
    error.

init : "normal", encoder or dict of DataFrame, default="normal"
    First vectors: small normal numbers; an unfitted encoder of category_encoders,
    scikit-learn or skrub, which gets each column as strings and, if it needs `y`, is fitted
    for each table on the rows that teach it; or vectors of your own, a data frame indexed by
    category for each column. It is an error if no label of a frame is a category (``"1"`` is
    not ``1``), and there is a warning if most labels are none and most cells get no vector.

freeze : bool or sequence of str, default=False
    Columns (True: all) whose first vectors stay as they are and come out unchanged. Vectors
    that `init` does not give, such as the unknown one, are trained all the same. Under
    ``head="dot"`` biases are, too, and vectors and biases of all columns stay in the network's
    own units.

max_iter : int or "auto", default="auto"
    Iterations at most. An iteration is an epoch, a pass over the rows; a pass over more than
    500,000 rows is divided into several. Over the first tenth of them, six at most, the step size
    grows, then it falls in a straight line to a fifth of the largest. "auto" gives fewer passes the
    more rows there are: ``4500 / sqrt(n_samples)``, which is 30 for 22,500 rows and 9 for 250,000,
    but 100 at most, and 16 at least where a column has a category for each four rows or more.
    Under ``head="dot"`` or "gru" `pooling`, which start slowly, there are at least 3,000 steps.
    In :meth:`partial_fit` it is the number of one call; "auto" halves it from the second call on.

batch_size : int or "auto", default="auto"
    Rows a step; "auto" makes 27 to 54 steps a pass, in powers of two from 32 to 2048 rows (more
    steps where there are very many rows). From 2048 rows on the hidden layers take the steps of
    Muon, which are orthogonal matrices.

learning_rate_init : float, default=0.008
    Largest step size of Adam for the heads with 256 rows a step; that of the tables is one and a
    half times as large. Both grow with the square root of the rows a step, that of the heads up to
    512 rows. Under ``head="dot"`` both are a quarter as large, however many rows a step has.
    If the loss explodes, training with `early_stopping` goes back to its best state, once, and on
    with a quarter of the step size.

alpha : float, default=0.1
    Decoupled weight decay (AdamW) of the heads' weights; their offsets do not decay.

early_stopping : bool, default=True
    Whether to stop when the validation loss no longer falls, and go back to its best iteration.
    From there training takes a few iterations more, with ever smaller steps, if it stops early.

validation_fraction : float, default=0.1
    Share of the rows, or groups, whose loss decides when to stop. With heads for some folds none
    is withheld: each row is judged by a table and a head that never saw it, and at least 10,000
    rows, or all of smaller data, decide. Under ``head="dot"`` or "gru" `pooling` these rows never
    teach what all folds share, but tables of other folds; without `cross_fit` they teach nothing.

n_iter_no_change : int, default=5
    Iterations in a row without improvement that end the training; under ``head="dot"`` or "gru"
    `pooling` not before 750 steps.

tol : float, default=1e-4
    Smallest improvement that counts, relative to the best loss.

warm_start : bool, default=False
    Whether :meth:`fit` goes on from the fit before: for the same rows with the same folds and
    tables, for others from the mean table, with a warning, since rows that the earlier fit
    has seen are then no longer encoded out of fold. Set it before the first fit.

checkpoint : str, path or None, default=None
    Folder for checkpoints, made where it is missing. The whole state of the training is written
    there every now and then, and removed at the end of the fit. A fit that was killed and is run
    again, with the same rows, parameters and folder, goes on from there, and ends in the same bits
    as without a stop, on the same machine. It is an error if the folder holds a checkpoint of
    another fit, or if another fit uses it: clones, such as those of a grid search, share theirs. If
    the file cannot be written, the fit goes on, with a warning. It is about three times as large as
    the tables of all folds, and needs twice that while it is replaced.

checkpoint_interval : float, default=60.0
    Seconds between checkpoints, at least: they are written at the end of an iteration. 0 writes one
    after each.

callbacks : list of callables or None, default=None
    Functions that are called at the end of each iteration as ``fn(epoch, losses)``. `epoch` is an
    int that counts iterations from 1, and `losses` a dict of floats: ``"train"``, as in
    ``loss_curve_``, and, with `early_stopping`, ``"validation"``, as in
    ``validation_loss_curve_``. What they return is ignored. What they raise ends the fit and
    reaches you unchanged, Ctrl-C included; the estimator is then as it was before. So an Optuna
    trial can be pruned. Loggers take the losses as they are, MLflow for one::

        def log(epoch, losses):
            mlflow.log_metrics(losses, step=epoch)

    With `n_members` the epochs of one member follow those of the one before. A fit that goes on
    from a `checkpoint` goes on counting, too, and reports epochs again that came after the
    checkpoint; each call of :meth:`partial_fit` begins at 1. Callbacks are not saved with a fitted
    estimator: not in files, nor in pickles and copies. On a cluster there are none.

device : str, default="auto"
    A torch device; "auto" takes a GPU where there is one. The fitted state is NumPy anyway.

random_state : int, RandomState instance or None, default=None
    Decides folds, validation rows, first vectors and batches. Two fits with the same integer
    are identical on one machine's CPU; a GPU may sum in another order.

verbose : int, default=0
    1 shows a progress line: share done, rows a second, the time left if no iteration is spared, the
    iteration and its validation loss (its training loss without early stopping). 0 is silent.
"""

_ATTRIBUTES = """\
embeddings_ : mapping of DataFrame
    For each categorical column, its vectors, indexed by category; those of :meth:`transform`.
    Those of a pair of columns, such as ``"carrier:dest"``, have an index of two levels. Empty
    without categorical columns. Frames are made when they are asked for.
biases_ : dict of Series
    Under ``head="dot"``, for each categorical column the biases of its categories.
categories_ : dict of ndarray
    Categories of each column, ordered by type and value; NaN comes last where missing is one.
    Those of a pair are tuples, in which a side may be NaN, or "infrequent_sklearn". Made when
    they are first asked for.
category_counts_ : dict of ndarray of int64
    Cells, or items of lists, that held each category, in all calls of :meth:`partial_fit`.
category_target_means_ : dict of ndarray of float64
    Weighted mean target of each category, of shape (n_categories,) or, with several outputs
    or classes, (n_categories, n_outputs).
interactions_ : dict of float
    The pairs of columns that have a table, in the order in which they were taken, each with its
    gain: the share of the target's variance that it explains, out of fold, beside the columns
    and the pairs before it.
infrequent_categories_ : dict of ndarray or None
    Categories that share the infrequent vector; None where there are none.
categorical_features_ : list of str
    Names of the embedded columns.
dimensions_ : dict of int
    Width of each column's vectors.
fold_ : ndarray of int64 of shape (n_samples,) or (n_samples, n_members), or None
    Fold of each training row, or of those of the last :meth:`partial_fit`, -1 for rows of zero
    weight; None without cross-fitting or without categorical columns. Several members have a
    column each, and their folds are counted through.
loss_curve_ : ndarray of float64 of shape (n_iter,)
    Mean loss of the heads' pass in each iteration, in the units of `y`. Heads learn from these
    rows, so that it flatters. Of several members this curve, and what follows of the training, are
    those of the first.
validation_loss_curve_ : ndarray of float64 of shape (n_iter,) or None
    Mean loss of the validation rows at the end of each iteration, by tables and heads that never
    saw them; None without early stopping.
best_iteration_ : int
    Iterations after which the kept state was reached; 0 if no iteration was better than the fit
    before.
n_iter_ : int
    Iterations run. An iteration is a pass over the rows, or over a part of more than 500,000.
n_features_in_ : int
    Number of columns seen in fit.
feature_names_in_ : ndarray of str of shape (n_features,)
    Their names, where they are all strings.
target_type_ : str
    Kind of the target.
"""

_REFERENCES = """\
.. [1] C. Guo and F. Berkhahn, "Entity embeddings of categorical variables", 2016,
   arXiv:1604.06737.
.. [2] F. Pargent et al., "Regularized target encoding outperforms traditional methods in
   supervised machine learning with high cardinality features", Computational Statistics 37,
   2022.
"""
