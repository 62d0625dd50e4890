"""EntityEmbeddingEncoder: categorical columns to dense vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from sk_entity_embed._base import CLASS_WEIGHT, QUANTITY_LOSSES, TARGET_TYPES
from sk_entity_embed._transformer import EmbeddingTransformer

__all__ = ["EntityEmbeddingEncoder"]


class EntityEmbeddingEncoder(EmbeddingTransformer):
    """Replace categories by dense vectors that a small supervised network has learned.

    Every categorical column has an embedding table, numeric columns are context, and a small
    multi-layer perceptron, the head, predicts the target from both. With `cross_fit` each column
    has one table a fold, a table learns only from rows of the other folds, and the head learns
    from rows looked up in the table that never saw them. No training row's vector in
    :meth:`fit_transform` has received a gradient from its own target.

    ``fit(X, y).transform(X)`` does not equal ``fit_transform(X, y)`` when `cross_fit` is True:
    encode training rows with :meth:`fit_transform` (a pipeline does) and new rows with
    :meth:`transform`.

    Parameters
    ----------
    categorical_features : {"auto", "all"}, array-like or callable, default="auto"
        Columns to embed: names, indices, a boolean mask, or a callable that gets `X` and returns
        one of these (such as :func:`~sklearn.compose.make_column_selector`). With "auto", text,
        declared categories, booleans and lists are categorical and numbers are context; object
        columns count as what their cells are. Where there are only numbers, those that are whole
        are categorical (and all of them, with a warning, where none is). There is a warning, too,
        if numbers look like ids or embedded ones like a quantity.

    remainder : {"drop", "passthrough"}, default="drop"
        Whether context columns are appended to the output: unchanged but for the rounding to
        float32, which keeps whole numbers exact up to 2**24.

    dimensions : int, str, dict or callable, default="auto"
        Width of the vectors: one number; a rule, namely "fastai", ``min(600, round(1.6 n**0.56))``
        for n categories, "auto", the same but 10 at most, "fourth_root", ``ceil(n**0.25)``, or
        "half", ``min(50, ceil(n / 2))``; a mapping from column names or positions in `X` to
        widths (others follow "auto"); or a function of the number of categories.

    output : {"embedding", "hidden", "both"}, default="embedding"
        The columns' vectors side by side, the head's last hidden layer for the row, or both. The
        hidden layer of training rows is out of fold for the tables, not for the head.

    target_type : {"auto", "continuous", "binary", "multiclass", "multilabel-indicator"}, \
            default="auto"
        Kind of `y`; "auto" follows :func:`~sklearn.utils.multiclass.type_of_target`, but more
        than 100 distinct integers raise, since they could be classes or quantities.

    loss : {"auto", "squared_error", "absolute_error", "huber", "poisson", "log_loss"}, \
            default="auto"
        "auto" is "log_loss" for classes and "squared_error" for quantities. "huber" turns linear
        at one standard deviation of `y`; "poisson" is half the deviance, with a logarithmic link.

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

    head : {"mlp", "dot"}, default="mlp"
        What stands above the tables: a multi-layer perceptron, or, for two columns or more, the
        dot products of all pairs of vectors, a bias for each category and one for all (a
        factorisation machine). "dot" wants equal `dimensions` ("auto" is then half the second
        largest number of categories, 50 at most), a single output, and lists pooled by mean or
        sum; numbers enter it linearly, and `hidden_layer_sizes` has no part in it. Its vectors end
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
        Whether to use one table a fold. Without it one table learns from all rows but those set
        aside for early stopping, and ``fit_transform(X, y)`` equals ``fit(X, y).transform(X)``.

    cv : int, splitter or iterable, default=5
        Folds. An integer shuffles, stratifies by class and respects `groups`. Too few rows or
        groups reduce it with a warning. A class with fewer members than folds warns, too, and is
        in as many folds as it has members. The test sets of a splitter or an iterable must cover
        each row exactly once; their training sets are not used.

    min_frequency : int or float, default=None
        Categories with fewer rows, or a smaller share of the rows, share one vector.

    max_categories : int, default=None
        Upper limit on the vectors of a column, the one of infrequent categories included, those
        of missing and unknown cells not.

    unknown_rate : float, default=0.02
        Share of the cells treated as unknown in training, so that the unknown vector is trained.

    handle_unknown : {"learned", "zero", "nan", "error"}, default="learned"
        What :meth:`transform` gives categories not seen in fit: the trained unknown vector, the
        centre of the column, NaN, or an error. The hidden layer always uses the trained vector.

    handle_missing : {"category", "nan", "error"}, default="category"
        What missing cells are: a category of their own (unknown if there was none in fit), an
        error, or, with "nan", a category of their own whose vectors :meth:`transform` and
        :meth:`fit_transform` give as NaN, whether fit had any or not. The hidden layer always uses
        the trained vector.

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
        Epochs at most. The step size falls along a half cosine over them. "auto" is 40 up to
        100,000 rows and falls to 20 at 200,000 and more; under ``head="dot"`` or "gru" `pooling`,
        which start slowly, at least 3,000 steps.

    batch_size : int or "auto", default="auto"
        Rows a step; "auto" makes about 100 steps an epoch, within 64 to 1024 rows.

    learning_rate_init : float, default=0.004
        First step size of Adam for the head; that of the tables is one and a half times as large.
        Under ``head="dot"`` both are 0.35 times as large.

    alpha : float, default=0.3
        Decoupled weight decay of the head's weights (AdamW).

    early_stopping : bool, default=True
        Whether to stop when the validation loss no longer falls, and go back to its best epoch.

    validation_fraction : float, default=0.1
        Share of the rows, or groups, that never teach the head and decide when to stop. With
        `cross_fit` they still teach tables of other folds.

    n_iter_no_change : int, default=5
        Epochs in a row without improvement that end the training; under ``head="dot"`` or "gru"
        `pooling` not before 750 steps.

    tol : float, default=1e-4
        Smallest improvement that counts, relative to the best loss.

    warm_start : bool, default=False
        Whether :meth:`fit` goes on from the fit before: for the same rows with the same folds and
        tables, for others from the mean table, with a warning, since rows that the earlier fit
        has seen are then no longer encoded out of fold. Set it before the first fit.

    device : str, default="auto"
        A torch device; "auto" takes a GPU where there is one. The fitted state is NumPy anyway.

    random_state : int, RandomState instance or None, default=None
        Decides folds, validation rows, first vectors and batches. Two fits with the same integer
        are identical on one machine's CPU; a GPU may sum in another order.

    verbose : int, default=0
        1 shows a progress bar with the validation loss.

    Attributes
    ----------
    embeddings_ : mapping of DataFrame
        For each categorical column, its vectors, indexed by category; those of :meth:`transform`,
        and that of missing cells as it was trained. Frames are made when they are asked for.
    biases_ : dict of Series
        Under ``head="dot"``, for each categorical column the biases of its categories.
    categories_ : dict of ndarray
        Categories of each column, ordered by type and value; NaN comes last where missing is one.
    category_counts_ : dict of ndarray of int64
        Cells, or items of lists, that held each category.
    category_target_means_ : dict of ndarray of float64
        Weighted mean target of each category, of shape (n_categories,) or, with several outputs
        or classes, (n_categories, n_outputs).
    infrequent_categories_ : dict of ndarray or None
        Categories that share the infrequent vector; None where there are none.
    categorical_features_ : list of str
        Names of the embedded columns.
    dimensions_ : dict of int
        Width of each column's vectors.
    fold_ : ndarray of int64 of shape (n_samples,) or None
        Fold of each training row, -1 for rows of zero weight; None without cross-fitting.
    loss_curve_ : ndarray of float64 of shape (n_iter,)
        Mean loss of the head's pass in each epoch, in the units of `y`.
    validation_loss_curve_ : ndarray of float64 of shape (n_iter,) or None
        Mean loss of the validation rows at the end of each epoch; None without early stopping.
    best_iteration_ : int
        Epochs after which the kept state was reached.
    n_iter_ : int
        Epochs run.
    target_type_ : str
        Kind of the target.
    classes_ : ndarray of shape (n_classes,) or None
        Class labels; None for continuous targets.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Their names, where they are all strings.

    See Also
    --------
    sklearn.preprocessing.TargetEncoder : One cross-fitted number a category.
    sklearn.preprocessing.OneHotEncoder : One column a category.

    Notes
    -----
    `X` may be a pandas or polars data frame, a pyarrow table, a two-dimensional NumPy array or a
    list of rows; equal cells give equal results in all of them.

    Vectors are given in canonical coordinates: Euclidean distance says how differently the head
    treats two categories, axes are uncorrelated and ordered by variance, and columns keep their
    relative importance. Standardising them discards that.

    The shared head and what is computed once from all rows (target scale, canonical coordinates)
    carry a trace of every target; it is measured in the documentation.

    References
    ----------
    .. [1] C. Guo and F. Berkhahn, "Entity embeddings of categorical variables", 2016,
       arXiv:1604.06737.
    .. [2] F. Pargent et al., "Regularized target encoding outperforms traditional methods in
       supervised machine learning with high cardinality features", Computational Statistics 37,
       2022.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome", "Lima"], 300)})
    >>> y = X["city"].map({"Oslo": -4.0, "Rome": 16.0, "Lima": 19.0}) + rng.normal(size=300)
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, random_state=0).set_output(
    ...     transform="pandas"
    ... )
    >>> encoder.fit_transform(X, y).shape
    (300, 2)
    >>> encoder.get_feature_names_out().tolist()
    ['city_0', 'city_1']
    >>> vectors = encoder.embeddings_["city"]
    >>> distance = lambda a, b: float(np.linalg.norm(vectors.loc[a] - vectors.loc[b]))
    >>> distance("Rome", "Lima") < distance("Rome", "Oslo")
    True
    >>> encoder.transform(pd.DataFrame({"city": ["Atlantis"]})).shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **EmbeddingTransformer._parameter_constraints,
        "target_type": [StrOptions(TARGET_TYPES)],
        "loss": [StrOptions({"auto", "log_loss", *QUANTITY_LOSSES})],
        "class_weight": CLASS_WEIGHT,
        "remainder": [StrOptions({"drop", "passthrough"})],
        "output": [StrOptions({"embedding", "hidden", "both"})],
        "y_range": ["array-like", None],
        "handle_unknown": [StrOptions({"learned", "zero", "nan", "error"})],
        "handle_missing": [StrOptions({"category", "nan", "error"})],
    }

    def __init__(
        self,
        categorical_features: str | Sequence[Any] | Callable[[Any], Any] = "auto",
        *,
        remainder: str = "drop",
        dimensions: int | str | Mapping[Any, int] | Callable[[int], int] = "auto",
        output: str = "embedding",
        target_type: str = "auto",
        loss: str = "auto",
        class_weight: Mapping[Any, float] | Sequence[Any] | str | None = None,
        pooling: str | Mapping[Any, str] = "mean",
        max_length: int | Mapping[Any, int | None] | None = None,
        head: str = "mlp",
        y_range: tuple[float, float] | None = None,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        dropout: float = 0.1,
        cross_fit: bool = True,
        cv: Any = 5,
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
        unknown_rate: float = 0.02,
        handle_unknown: str = "learned",
        handle_missing: str = "category",
        init: Any = "normal",
        freeze: bool | Collection[str] = False,
        max_iter: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate_init: float = 4e-3,
        alpha: float = 0.3,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-4,
        warm_start: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
    ) -> None:
        self.categorical_features = categorical_features
        self.remainder = remainder
        self.dimensions = dimensions
        self.output = output
        self.target_type = target_type
        self.loss = loss
        self.class_weight = class_weight
        self.pooling = pooling
        self.max_length = max_length
        self.head = head
        self.y_range = y_range
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.cross_fit = cross_fit
        self.cv = cv
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.unknown_rate = unknown_rate
        self.handle_unknown = handle_unknown
        self.handle_missing = handle_missing
        self.init = init
        self.freeze = freeze
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
