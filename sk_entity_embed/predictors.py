"""EntityEmbeddingRegressor and EntityEmbeddingClassifier: the network as an estimator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions

from sk_entity_embed._base import CLASS_WEIGHT, QUANTITY_LOSSES
from sk_entity_embed._transformer import EmbeddingTransformer
from sk_entity_embed.learning.problem import Learned
from sk_entity_embed.model import LINKS, MAX_EXPONENT, EmbeddingModel, Link
from sk_entity_embed.preparation import Given

__all__ = ["EntityEmbeddingClassifier", "EntityEmbeddingRegressor"]


class _Predictor(EmbeddingTransformer):
    """What regressor and classifier share: the network's answers for new rows."""

    _link: Link
    _needs_categories: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **EmbeddingTransformer._parameter_constraints,
        "handle_unknown": [StrOptions({"learned", "error"})],
    }

    def _state(
        self, model: EmbeddingModel, learned: Learned, given: Given, *found: Any
    ) -> dict[str, Any]:
        target = given.target
        link = LINKS["poisson" if target.loss == "poisson" else target.kind]
        if model.scale.bounds is not None:
            link = "bounded"
        return {**super()._state(model, learned, given, *found), "_link": link}

    def _raw(self, X: Any) -> NDArray[np.float64]:
        """The head's outputs, of shape (n_samples, n_outputs)."""
        rows = self._code(X)  # first, for it says whether there is a fit
        return self._model.raw(rows)


class EntityEmbeddingRegressor(RegressorMixin, _Predictor):
    """Predict quantities by a network with an embedding table for each categorical column.

    The network and its training are those of :class:`EntityEmbeddingEncoder`: the head learns from
    vectors that never saw the row they stand for, and new rows are looked up in the mean of the
    folds' tables. Several columns of `y` are predicted together.

    Parameters
    ----------
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

    loss : {"squared_error", "absolute_error", "huber", "poisson"}, default="squared_error"
        "huber" turns linear at one standard deviation of `y`; "poisson" is half the deviance, with
        a logarithmic link, for `y` that is never negative.

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
        Whether to use one table a fold, so that the head learns from vectors as they are for new
        rows. Without it one table learns from all rows but those set aside for early stopping.

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

    handle_unknown : {"learned", "error"}, default="learned"
        What :meth:`predict` and :meth:`transform` do with categories not seen in fit: use the
        trained unknown vector, or raise.

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
        For each categorical column, its vectors, indexed by category; those of :meth:`transform`.
        Empty without categorical columns. Frames are made when they are asked for.
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
        Fold of each training row, -1 for rows of zero weight; None without cross-fitting or
        without categorical columns.
    loss_curve_ : ndarray of float64 of shape (n_iter,)
        Mean loss of the head's pass in each epoch, in the units of `y`.
    validation_loss_curve_ : ndarray of float64 of shape (n_iter,) or None
        Mean loss of the validation rows at the end of each epoch; None without early stopping.
    best_iteration_ : int
        Epochs after which the kept state was reached.
    n_iter_ : int
        Epochs run.
    target_type_ : str
        "continuous".
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Their names, where they are all strings.

    See Also
    --------
    EntityEmbeddingClassifier : The same for classes.
    EntityEmbeddingEncoder : The same network, to put other models on its vectors.

    Notes
    -----
    `X` may be a pandas or polars data frame, a pyarrow table, a two-dimensional NumPy array or a
    list of rows; equal cells give equal results in all of them.

    :meth:`transform` gives the columns' vectors in canonical coordinates, as the encoder does; it
    has no columns where none is embedded. :meth:`fit_transform` is out of fold for training rows;
    predictions of training rows are not.

    A prediction is the mean network's: tables and parameters are averaged over folds and epochs,
    and sums run in float64. Predicting does not import torch.

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
    >>> from sk_entity_embed import EntityEmbeddingRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome", "Lima"], 600)})
    >>> y = X["city"].map({"Oslo": -4.0, "Rome": 16.0, "Lima": 19.0}) + rng.normal(size=600)
    >>> model = EntityEmbeddingRegressor(random_state=0).fit(X[:400], y[:400])
    >>> model.score(X[400:], y[400:]) > 0.9
    True
    >>> model.predict(pd.DataFrame({"city": ["Rome", "Atlantis"]})).shape
    (2,)
    >>> model.embeddings_["city"].index.tolist()
    ['Lima', 'Oslo', 'Rome']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_Predictor._parameter_constraints,
        "loss": [StrOptions(QUANTITY_LOSSES)],
        "y_range": ["array-like", None],
    }

    def __init__(
        self,
        categorical_features: str | Sequence[Any] | Callable[[Any], Any] = "auto",
        *,
        dimensions: int | str | Mapping[Any, int] | Callable[[int], int] = "auto",
        loss: str = "squared_error",
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
        self.dimensions = dimensions
        self.loss = loss
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

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the target of new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_outputs)
            In the units of `y`; never negative with ``loss="poisson"``, and within `y_range`.

        Raises
        ------
        ValueError
            As :meth:`transform`.
        """
        raw, scale = self._raw(X), self._model.scale
        if self._link == "bounded":
            predicted = scale.squash(raw)
        else:
            values = np.exp(np.minimum(raw, MAX_EXPONENT)) if self._link == "log" else raw
            predicted = scale.restore(values)
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def _reading(self) -> dict[str, Any]:
        return {"target_type": "quantities", "loss": self.loss, "class_weight": None}

    def _state(self, *found: Any) -> dict[str, Any]:
        state = super()._state(*found)
        del state["classes_"]
        return state


class EntityEmbeddingClassifier(ClassifierMixin, _Predictor):
    """Predict classes by a network with an embedding table for each categorical column.

    The network and its training are those of :class:`EntityEmbeddingEncoder`: the head learns from
    vectors that never saw the row they stand for, and new rows are looked up in the mean of the
    folds' tables. `y` holds two classes, several, or an indicator matrix of labels.

    Parameters
    ----------
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

    loss : {"log_loss"}, default="log_loss"
        What is minimised.

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

    hidden_layer_sizes : int or sequence of int, default=(128, 64)
        Widths of the head's hidden layers; ``()`` makes it linear.

    dropout : float, default=0.1
        Share of hidden units dropped in training, rounded to 1/256; under ``head="dot"``, of the
        vectors' coordinates.

    cross_fit : bool, default=True
        Whether to use one table a fold, so that the head learns from vectors as they are for new
        rows. Without it one table learns from all rows but those set aside for early stopping.

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

    handle_unknown : {"learned", "error"}, default="learned"
        What :meth:`predict` and :meth:`transform` do with categories not seen in fit: use the
        trained unknown vector, or raise.

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
        For each categorical column, its vectors, indexed by category; those of :meth:`transform`.
        Empty without categorical columns. Frames are made when they are asked for.
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
        Fold of each training row, -1 for rows of zero weight; None without cross-fitting or
        without categorical columns.
    loss_curve_ : ndarray of float64 of shape (n_iter,)
        Mean loss of the head's pass in each epoch, in the units of `y`.
    validation_loss_curve_ : ndarray of float64 of shape (n_iter,) or None
        Mean loss of the validation rows at the end of each epoch; None without early stopping.
    best_iteration_ : int
        Epochs after which the kept state was reached.
    n_iter_ : int
        Epochs run.
    target_type_ : str
        "binary", "multiclass" or "multilabel-indicator".
    classes_ : ndarray of shape (n_classes,)
        Class labels; for an indicator matrix the numbers of its columns.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Their names, where they are all strings.

    See Also
    --------
    EntityEmbeddingRegressor : The same for quantities.
    EntityEmbeddingEncoder : The same network, to put other models on its vectors.

    Notes
    -----
    `X` may be a pandas or polars data frame, a pyarrow table, a two-dimensional NumPy array or a
    list of rows; equal cells give equal results in all of them.

    :meth:`transform` gives the columns' vectors in canonical coordinates, as the encoder does; it
    has no columns where none is embedded. :meth:`fit_transform` is out of fold for training rows;
    predictions of training rows are not.

    A prediction is the mean network's: tables and parameters are averaged over folds and epochs,
    and sums run in float64. Predicting does not import torch.

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
    >>> from sk_entity_embed import EntityEmbeddingClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome", "Lima"], 600)})
    >>> y = np.where((X["city"] == "Oslo") ^ (rng.random(600) < 0.1), "snow", "sun")
    >>> model = EntityEmbeddingClassifier(random_state=0).fit(X[:400], y[:400])
    >>> model.predict(pd.DataFrame({"city": ["Oslo", "Lima"]})).tolist()
    ['snow', 'sun']
    >>> model.predict_proba(X[:2]).shape
    (2, 2)
    """

    classes_: NDArray[Any]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_Predictor._parameter_constraints,
        "loss": [StrOptions({"log_loss"})],
        "class_weight": CLASS_WEIGHT,
    }

    def __init__(
        self,
        categorical_features: str | Sequence[Any] | Callable[[Any], Any] = "auto",
        *,
        dimensions: int | str | Mapping[Any, int] | Callable[[int], int] = "auto",
        loss: str = "log_loss",
        class_weight: Mapping[Any, float] | Sequence[Any] | str | None = None,
        pooling: str | Mapping[Any, str] = "mean",
        max_length: int | Mapping[Any, int | None] | None = None,
        head: str = "mlp",
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
        self.dimensions = dimensions
        self.loss = loss
        self.class_weight = class_weight
        self.pooling = pooling
        self.max_length = max_length
        self.head = head
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

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the classes of new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The most probable class, or whether each label is more probable than not.

        Raises
        ------
        ValueError
            As :meth:`transform`.
        """
        raw = self._raw(X)
        if self.target_type_ == "multilabel-indicator":
            return (raw > 0).astype(np.int64)
        best = raw.argmax(axis=1) if self._link == "softmax" else (raw[:, 0] > 0).astype(np.intp)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probabilities of the classes of new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            In the order of ``classes_``. Rows sum to one, but for an indicator matrix: there
            every column is the probability of a label of its own.
        """
        raw = self._raw(X)
        if self._link == "softmax":
            return np.asarray(softmax(raw, axis=1))
        if self.target_type_ == "binary":
            return np.asarray(expit(raw * np.array([-1.0, 1.0])))
        return np.asarray(expit(raw))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """The network's outputs before they become probabilities: log odds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_classes)
            One number a row for two classes, positive for the second of ``classes_``.
        """
        raw = self._raw(X)
        return raw[:, 0] if self.target_type_ == "binary" else raw

    def _reading(self) -> dict[str, Any]:
        return {
            "target_type": "classes",
            "loss": self.loss,
            "class_weight": self.class_weight,
        }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
