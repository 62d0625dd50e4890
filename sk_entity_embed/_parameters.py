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
    Columns to embed: names, positions, a boolean mask, or a callable that gets `X` and returns
    one of these (such as :func:`~sklearn.compose.make_column_selector`). With "auto", columns of
    text, categories, booleans and lists are embedded. Columns of numbers become context: the
    network reads them beside the vectors. An object column is judged by its cells. If all columns
    are numeric, those with whole numbers only are embedded; if there are none, nothing is
    embedded. You get a warning if context numbers look like ids, or embedded numbers like a
    quantity.

dimensions : int, str, dict or callable, default="auto"
    Width of the vectors, that is, their number of coordinates: one number for all columns, a rule,
    a mapping from column names or positions in `X` to widths (other columns follow "auto"), or a
    function from the number of categories to a width. For n categories the rule "fastai" is
    ``min(600, round(1.6 n**0.56))``, "auto" is the same but at most 10, "fourth_root" is
    ``ceil(n**0.25)`` and "half" is ``min(50, ceil(n / 2))``.

class_weight : dict, list of dict, "balanced" or None, default=None
    Weights of the classes, as in scikit-learn's classifiers.

pooling : {"mean", "sum", "max", "gru"} or dict, default="mean"
    For columns whose cells are lists: how the vectors of a list's items become one vector.
    "mean", "sum" and "max" take the mean, the sum or the largest value of each coordinate. "gru"
    reads the items in order with a gated recurrent unit (GRU) and takes its last state. A mapping
    from column names or positions in `X` gives each column its own pooling (other columns use
    "mean"). A missing list counts as a list of one missing item. The empty list has a vector of
    its own. Text is never split; make lists of it with
    ``frame["words"] = frame["text"].str.split()``.

max_length : int, dict or None, default=None
    Number of items of a list that are used, counted from its end: one number for all columns of
    lists, or a mapping by column. None uses all items.

interactions : "auto", int, list of pairs or None, default="auto"
    Pairs of categorical columns that get an embedding table of their own: one vector for each pair
    of categories that occurs together in fit. All other pairs of categories are unknown. A list
    names the pairs by column names or positions in `X`. A number takes that many pairs: those that
    explain most of the target in addition to the single columns, judged out of fold on at most
    30,000 rows. "auto" takes only pairs that clearly help, at most six. If there are more than 40
    categorical columns, only the 40 that explain most on their own are paired. `min_frequency` and
    `max_categories` apply to pairs, too. A pair is called ``"a:b"``, and its output columns
    ``a_x_b_0``, ... "auto" and numbers leave out pairs whose names a column of `X` has already. The
    width of a pair follows the rule of the columns, but is at most 3 unless `dimensions` names the
    pair. Lists cannot be paired. ``head="dot"`` multiplies all pairs anyway and takes none.
    :meth:`partial_fit` chooses the pairs in its first call.

head : {"mlp", "dot"}, default="mlp"
    The part of the network above the tables. "mlp" is a multi-layer perceptron. "dot" adds up the
    dot products of all pairs of vectors, a bias for each category and one bias for all: a
    factorization machine, for two or more columns. It needs equal `dimensions` (with "auto", half
    the second largest number of categories, at most 50), a single output, and lists pooled by mean
    or sum. Context numbers then enter as a sum, and `hidden_layer_sizes` is not used. Each vector
    ends with the category's bias, in an output column named like ``dest_bias``.

y_range : tuple of two floats or None, default=None
    Lowest and highest prediction. A sigmoid squashes the output between them, and `y` must lie
    within. For quantities, with any loss except "poisson".

hidden_layer_sizes : int or sequence of int, default=(128, 64)
    Widths of the head's hidden layers. ``()`` makes the head linear; it then has no hidden layer,
    which an encoder's ``output="hidden"`` and "both" need.

dropout : float, default=0.1
    Share of the hidden units that are dropped at random in training, rounded to 1/256. With
    ``head="dot"``, the share of the vectors' coordinates.

cross_fit : bool, default=True
    True if training rows should get vectors learned from other rows only. The rows are then
    divided into folds. Each fold has an embedding table of its own, which learns from the other
    folds, and is served by a head that never saw the fold. Below 50,000 rows there is one head for
    each fold, from 50,000 rows on there are three, and from 200,000 on two (``head="dot"`` always
    has one head for all folds). If False, one table and one head learn from all rows except those
    set aside for early stopping.

cv : int, splitter or iterable, default=5
    Folds for cross-fitting. An integer gives shuffled folds that are stratified by class and keep
    `groups` together. With too few rows or groups there are fewer folds, and you get a warning. You
    also get a warning if a class has fewer members than folds; it is then in as many folds as it
    has members. If you give a splitter or an iterable, its test sets must cover each row exactly
    once; its training sets are not used. :meth:`partial_fit` draws folds by a hash of each row and
    takes an integer only.

n_members : int, default=1
    Number of trainings, each with other folds, validation rows and batches. Their vectors are
    rotated into one space and averaged. Neighbours then depend less on chance, and the fit takes
    `n_members` times as long. Use 4 if you want to look at the vectors. The network's own
    predictions do not improve, and may get worse. A training row gets the mean of its vectors in
    all trainings; each comes from a table that never saw the row. If `cv` is a splitter or an
    iterable, all trainings use the same folds. More than one training excludes ``warm_start``,
    :meth:`partial_fit` and the `pooling` "gru".

min_frequency : int or float, default=None
    Categories with fewer rows, or with a smaller share of the rows, share one vector. They are
    called infrequent.

max_categories : int, default=None
    Largest number of vectors of a column. The vector of infrequent categories counts; those of
    missing and unknown cells do not.

unknown_rate : float, default=0.02
    Share of the cells that are treated as unknown in training. This trains the unknown vector.

handle_unknown : {"learned", "error"}, default="learned"
    What :meth:`predict` and :meth:`transform` do with categories that did not occur in fit.
    "learned" uses the trained unknown vector, "error" raises an error. Pairs of known categories
    that did not occur together never raise one.

handle_missing : {"category", "error"}, default="category"
    "category" makes missing cells a category of their own, or unknown if fit had no missing cells.
    "error" raises an error.

init : "normal", encoder or dict of DataFrame, default="normal"
    First vectors, before training. "normal" draws small random numbers. An unfitted encoder of
    category_encoders, scikit-learn or skrub gets each column as strings; if it needs `y`, it is
    fitted once for each table, on the rows that this table learns from. You can also give vectors
    of your own: for each column, a data frame indexed by category. If no label of a frame is a
    category, it is an error (``"1"`` is not ``1``). If most labels are not categories and most
    cells get no vector, you get a warning.

freeze : bool or sequence of str, default=False
    Columns whose first vectors are kept as they are, in training and in the output; True means all
    columns. Vectors that `init` does not give, such as the unknown one, are trained all the same.
    With ``head="dot"`` biases are trained, too, and the vectors and biases of all columns stay in
    the network's own units.

max_iter : int or "auto", default="auto"
    Largest number of iterations. An iteration is an epoch, that is, one pass over the rows. A pass
    over more than 500,000 rows is divided into several iterations. The step size grows over the
    first tenth of the iterations, at most six. Then it falls in a straight line to a fifth of its
    largest value. With "auto", more rows get fewer passes: ``4500 / sqrt(n_samples)``, which is 30
    for 22,500 rows and 9 for 250,000. The most is 100. The least is 16 where a column has a
    category for every four rows or more. ``head="dot"`` and the `pooling` "gru" start slowly, so
    "auto" gives them at least 3,000 steps. In :meth:`partial_fit`, `max_iter` counts for one call,
    and "auto" halves it from the second call on.

batch_size : int or "auto", default="auto"
    Rows in one step of training. "auto" makes 27 to 54 steps a pass with a power of two from 32 to
    2048 rows (more steps if there are very many rows). From 2048 rows on, the hidden layers are
    trained by the optimizer Muon, whose steps are orthogonal matrices.

learning_rate_init : float, default=0.008
    Largest step size of the optimizer Adam for the heads, with 256 rows a step. That of the tables
    is one and a half times as large. Both grow with the square root of the rows a step; for the
    heads only up to 512 rows. With ``head="dot"`` both are a quarter as large, and do not depend on
    the rows a step. If the loss explodes and `early_stopping` is True, training returns to its
    best state, once, and continues with a quarter of the step size.

alpha : float, default=0.1
    Decoupled weight decay (AdamW) of the heads' weights. Their biases do not decay.

early_stopping : bool, default=True
    True if training should stop once the validation loss no longer falls, and return to its best
    iteration. After an early stop, a few more iterations with ever smaller steps follow from there.

validation_fraction : float, default=0.1
    Share of the rows, or groups, whose loss decides when to stop. With one head for each of several
    folds no row is withheld from training: a table and a head that never saw a row judge it. At
    least 10,000 rows decide then, or all rows if there are fewer. With ``head="dot"`` or the
    `pooling` "gru", these rows train only the tables of other folds, never what all folds share.
    Without `cross_fit` they train nothing.

n_iter_no_change : int, default=5
    Number of iterations in a row without improvement after which training stops. With
    ``head="dot"`` or the `pooling` "gru" it does not stop before 750 steps.

tol : float, default=1e-4
    Smallest improvement of the loss that counts, relative to the best loss so far.

warm_start : bool, default=False
    True if :meth:`fit` should continue from the previous fit. The same rows keep their folds and
    tables. With other rows, all tables start from the mean table; you get a warning, since rows of
    the previous fit are then no longer encoded out of fold. Set it before the first fit.

checkpoint : str, path or None, default=None
    Folder for checkpoints; it is created if it does not exist. The whole state of the training is
    saved there at intervals, and removed at the end of the fit. If a fit was killed, run it again
    with the same rows, parameters and folder. It continues from the checkpoint, and on the same
    machine it gives the same result, bit by bit, as without the stop. Give each fit a folder of its
    own: it is an error if the folder holds a checkpoint of another fit, or if another fit is using
    it. Clones, such as those of a grid search, share the folder. If the file cannot be written, you
    get a warning and the fit goes on. The file is about three times as large as the tables of all
    folds, and needs twice that space while it is replaced.

checkpoint_interval : float, default=60.0
    Shortest time between two checkpoints, in seconds. Checkpoints are written at the end of an
    iteration; 0 writes one after each.

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
    Torch device to train on. "auto" uses a GPU if there is one. The fitted estimator holds NumPy
    arrays in any case.

random_state : int, RandomState instance or None, default=None
    Controls folds, validation rows, first vectors and batches. Pass an integer to get the same
    result every time on one machine's CPU. A GPU may add numbers in a different order.

verbose : int, default=0
    1 shows a progress line: share done, rows a second, the time left if no iteration is spared, the
    iteration and its validation loss (its training loss without early stopping). 0 is silent.
"""

_ATTRIBUTES = """\
embeddings_ : mapping of DataFrame
    Vectors of each categorical column, indexed by category, as :meth:`transform` gives them. A pair
    of columns, such as ``"carrier:dest"``, has an index of two levels. The mapping is empty if
    there are no categorical columns. Frames are created when you ask for them.
biases_ : dict of Series
    With ``head="dot"``, the biases of the categories of each column.
categories_ : dict of ndarray
    Categories of each column, ordered by type and value. NaN comes last if missing is a category.
    Those of a pair are tuples, in which a side may be NaN or "infrequent_sklearn". Created when you
    first ask for them.
category_counts_ : dict of ndarray of int64
    Number of cells, or items of lists, with each category, over all calls of :meth:`partial_fit`.
category_target_means_ : dict of ndarray of float64
    Weighted mean target of each category. The shape is (n_categories,) or, with several outputs
    or classes, (n_categories, n_outputs).
interactions_ : dict of float
    Pairs of columns that have a table, in the order in which they were chosen, each with its gain:
    the share of the target's variance that the pair explains, out of fold, in addition to the
    columns and the pairs before it.
infrequent_categories_ : dict of ndarray or None
    Categories that share the infrequent vector; None if there are none.
categorical_features_ : list of str
    Names of the embedded columns.
dimensions_ : dict of int
    Width of each column's vectors.
fold_ : ndarray of int64 of shape (n_samples,) or (n_samples, n_members), or None
    Fold of each training row, or of each row of the last :meth:`partial_fit`; -1 for rows of zero
    weight. None without cross-fitting or without categorical columns. With several members each
    has a column, and folds are numbered across members.
loss_curve_ : ndarray of float64 of shape (n_iter,)
    Mean training loss in each iteration, in the units of `y`. Heads learn from these rows, so this
    loss is too optimistic. With several members, this attribute and the next three describe the
    first member.
validation_loss_curve_ : ndarray of float64 of shape (n_iter,) or None
    Mean loss of the validation rows at the end of each iteration, computed by tables and heads that
    never saw them. None without early stopping.
best_iteration_ : int
    Number of iterations until the state that was kept; 0 if none improved on the fit before.
n_iter_ : int
    Number of iterations run. An iteration is a pass over the rows, or over a part of them if there
    are more than 500,000.
n_features_in_ : int
    Number of columns seen in fit.
feature_names_in_ : ndarray of str of shape (n_features,)
    Names of the columns seen in fit, if all of them are strings.
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
