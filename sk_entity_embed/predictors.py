"""EntityEmbeddingRegressor and EntityEmbeddingClassifier: the network as an estimator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions

from sk_entity_embed._checks import CLASS_LOSSES, CLASS_WEIGHT, QUANTITY_LOSSES
from sk_entity_embed._growing import GrowingEstimator
from sk_entity_embed._parameters import Callback, Transformer, documented, set_parameters

__all__ = ["EntityEmbeddingClassifier", "EntityEmbeddingRegressor"]


class _Predictor(GrowingEstimator):
    """The base of regressor and classifier."""

    _needs_categories: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **GrowingEstimator._parameter_constraints,
        "handle_unknown": [StrOptions({"learned", "error"})],
    }


@documented
class EntityEmbeddingRegressor(RegressorMixin, _Predictor):
    """Predict quantities with a network that has an embedding table for each categorical column.

    The network and its training are those of :class:`EntityEmbeddingEncoder`. Its heads learn from
    vectors that never saw the row they stand for. A new row is looked up in the mean of the folds'
    tables and predicted by the mean of the folds' heads. `y` may have several columns; they are
    predicted together.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson"}, default="squared_error"
        What training minimises. "huber" becomes linear at one standard deviation of `y`. "poisson"
        is half the deviance, with a logarithmic link, for a `y` that is never negative.

    Attributes
    ----------
    target_type_ : str
        "continuous".

    See Also
    --------
    EntityEmbeddingClassifier : The same for classes.
    EntityEmbeddingEncoder : The same network, to train other models on its vectors.
    sk_entity_embed.inspection.CategoryPredictionDisplay : Check predictions category by category.

    Notes
    -----
    `X` can be a pandas or polars data frame, a pyarrow table, a two-dimensional NumPy array or a
    list of rows. Equal cells give equal results in all of them.

    :meth:`transform` gives the columns' vectors in canonical coordinates, as the encoder does. If
    no column is embedded, its output has no columns. The vectors of :meth:`fit_transform` are out
    of fold. Predictions of training rows are not.

    The prediction is that of one mean network: tables and parameters are averaged over folds and
    epochs, and sums are computed in float64. Predicting does not import torch.

    References
    ----------

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 300)})
    >>> y = X["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0}) + rng.normal(size=300)
    >>> model = EntityEmbeddingRegressor(max_iter=30, random_state=0).fit(X[:200], y[:200])
    >>> new = pd.DataFrame({"city": ["Oslo", "Rome", "Lima"]})
    >>> model.predict(new).round().tolist()
    [-4.0, 12.0, 22.0]
    >>> round(model.score(X[200:], y[200:]), 2)
    0.99
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
        loss: Literal["squared_error", "absolute_error", "huber", "poisson"] = "squared_error",
        pooling: Literal["mean", "sum", "max", "gru"] | Mapping[Any, str] = "mean",
        max_length: int | Mapping[Any, int | None] | None = None,
        interactions: Literal["auto"] | int | Sequence[tuple[Any, Any]] | None = "auto",
        head: Literal["mlp", "dot"] = "mlp",
        y_range: tuple[float, float] | None = None,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        dropout: float = 0.1,
        cross_fit: bool = True,
        cv: Any = 5,
        n_members: int = 1,
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
        unknown_rate: float = 0.02,
        handle_unknown: Literal["learned", "error"] = "learned",
        handle_missing: Literal["category", "error"] = "category",
        init: Literal["normal"] | Transformer | Mapping[str, pd.DataFrame] = "normal",
        freeze: bool | Collection[str] = False,
        max_iter: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 8e-3,
        alpha: float = 0.1,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-4,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: float = 60.0,
        callbacks: Sequence[Callback] | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
    ) -> None:
        set_parameters(locals())

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the target of new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_outputs)
            Predictions in the units of `y`. They are never negative with ``loss="poisson"``, and
            lie within `y_range` if you give one.

        Raises
        ------
        ValueError
            As :meth:`transform`.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingRegressor
        >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
        >>> model = EntityEmbeddingRegressor(max_iter=30, random_state=0).fit(X, y)
        >>> model.predict([["Oslo"], ["Lima"]]).round().tolist()
        [-4.0, 22.0]
        """
        rows = self._code(X)  # first, for it says whether there is a fit
        predicted = self._model.predict(rows)
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def _target_options(self) -> dict[str, Any]:
        return {"target_type": "quantities", "loss": self.loss, "class_weight": None}

    def _attributes(self, *found: Any) -> dict[str, Any]:
        attributes = super()._attributes(*found)
        del attributes["classes_"]
        return attributes


@documented
class EntityEmbeddingClassifier(ClassifierMixin, _Predictor):
    """Predict classes with a network that has an embedding table for each categorical column.

    The network and its training are those of :class:`EntityEmbeddingEncoder`. Its heads learn from
    vectors that never saw the row they stand for. A new row is looked up in the mean of the folds'
    tables and predicted by the mean of the folds' heads. `y` holds two classes, several classes, or
    an indicator matrix of labels (one column of 0 and 1 for each label).

    Parameters
    ----------
    loss : {"log_loss"}, default="log_loss"
        What training minimises.

    Attributes
    ----------
    target_type_ : str
        "binary", "multiclass" or "multilabel-indicator".
    classes_ : ndarray of shape (n_classes,)
        Class labels. For an indicator matrix, the numbers of its columns.

    See Also
    --------
    EntityEmbeddingRegressor : The same for quantities.
    EntityEmbeddingEncoder : The same network, to train other models on its vectors.
    sk_entity_embed.inspection.CategoryPredictionDisplay : Check predictions category by category.

    Notes
    -----
    `X` can be a pandas or polars data frame, a pyarrow table, a two-dimensional NumPy array or a
    list of rows. Equal cells give equal results in all of them.

    :meth:`transform` gives the columns' vectors in canonical coordinates, as the encoder does. If
    no column is embedded, its output has no columns. The vectors of :meth:`fit_transform` are out
    of fold. Predictions of training rows are not.

    The prediction is that of one mean network: tables and parameters are averaged over folds and
    epochs, and sums are computed in float64. Predicting does not import torch.

    References
    ----------

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 200)})
    >>> y = np.where((X["city"] == "Oslo") ^ (rng.random(200) < 0.1), "snow", "sun")
    >>> model = EntityEmbeddingClassifier(random_state=0).fit(X, y)
    >>> new = pd.DataFrame({"city": ["Oslo", "Lima"]})
    >>> model.predict(new).tolist()
    ['snow', 'sun']
    >>> model.classes_.tolist()
    ['snow', 'sun']
    >>> model.predict_proba(new).round(1)
    array([[0.9, 0.1],
           [0.1, 0.9]])
    """

    classes_: NDArray[Any]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_Predictor._parameter_constraints,
        "loss": [StrOptions(CLASS_LOSSES)],
        "class_weight": CLASS_WEIGHT,
    }

    def __init__(
        self,
        categorical_features: str | Sequence[Any] | Callable[[Any], Any] = "auto",
        *,
        dimensions: int | str | Mapping[Any, int] | Callable[[int], int] = "auto",
        loss: Literal["log_loss"] = "log_loss",
        class_weight: Mapping[Any, float] | Sequence[Any] | str | None = None,
        pooling: Literal["mean", "sum", "max", "gru"] | Mapping[Any, str] = "mean",
        max_length: int | Mapping[Any, int | None] | None = None,
        interactions: Literal["auto"] | int | Sequence[tuple[Any, Any]] | None = "auto",
        head: Literal["mlp", "dot"] = "mlp",
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        dropout: float = 0.1,
        cross_fit: bool = True,
        cv: Any = 5,
        n_members: int = 1,
        min_frequency: int | float | None = None,
        max_categories: int | None = None,
        unknown_rate: float = 0.02,
        handle_unknown: Literal["learned", "error"] = "learned",
        handle_missing: Literal["category", "error"] = "category",
        init: Literal["normal"] | Transformer | Mapping[str, pd.DataFrame] = "normal",
        freeze: bool | Collection[str] = False,
        max_iter: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 8e-3,
        alpha: float = 0.1,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-4,
        warm_start: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_interval: float = 60.0,
        callbacks: Sequence[Callback] | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int | bool = 0,
    ) -> None:
        set_parameters(locals())

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the classes of new rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The most probable class. For an indicator matrix, 1 for each label that is more probable
            than not, and 0 for the others.

        Raises
        ------
        ValueError
            As :meth:`transform`.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingClassifier
        >>> X = [["Lima"], ["Oslo"], ["Rome"]] * 40
        >>> y = ["sun", "snow", "rain"] * 39 + ["rain", "sun", "sun"]
        >>> model = EntityEmbeddingClassifier(max_iter=30, random_state=0).fit(X, y)
        >>> model.predict([["Oslo"], ["Lima"]]).tolist()
        ['snow', 'sun']
        """
        rows = self._code(X)
        raw = self._model.raw(rows)
        if self.target_type_ == "multilabel-indicator":
            return (raw > 0).astype(np.int64)
        is_binary = raw.shape[1] == 1
        best = (raw[:, 0] > 0).astype(np.intp) if is_binary else raw.argmax(axis=1)
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
            Probabilities in the order of ``classes_``. Each row sums to one. For an indicator
            matrix, each column is the probability of one label, and rows need not sum to one.

        Raises
        ------
        ValueError
            As :meth:`transform`.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingClassifier
        >>> X, y = [["Lima"], ["Oslo"]] * 60, ["sun", "snow", "sun", "snow", "sun", "sun"] * 20
        >>> model = EntityEmbeddingClassifier(max_iter=20, random_state=0).fit(X, y)
        >>> model.classes_.tolist()
        ['snow', 'sun']
        >>> model.predict_proba([["Lima"], ["Oslo"]]).round(1)
        array([[0. , 1. ],
               [0.6, 0.4]])
        """
        rows = self._code(X)
        return self._model.predict(rows)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the network's outputs before they become probabilities, as log-odds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of fit, in any supported container.

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_classes)
            One number for each row if there are two classes; it is positive if the second of
            ``classes_`` is more probable. Otherwise one number for each class or label.

        Raises
        ------
        ValueError
            As :meth:`transform`.

        Examples
        --------
        >>> from sk_entity_embed import EntityEmbeddingClassifier
        >>> X, y = [["Lima"], ["Oslo"]] * 60, ["sun", "snow", "sun", "snow", "sun", "sun"] * 20
        >>> model = EntityEmbeddingClassifier(max_iter=20, random_state=0).fit(X, y)
        >>> model.classes_.tolist()
        ['snow', 'sun']
        >>> odds = model.decision_function([["Lima"], ["Oslo"]])
        >>> (odds > 0).tolist()  # Lima has a positive number: the second class, "sun"
        [True, False]
        """
        rows = self._code(X)
        raw = self._model.raw(rows)
        return raw[:, 0] if self.target_type_ == "binary" else raw

    def _target_options(self) -> dict[str, Any]:
        return {"target_type": "classes", "loss": self.loss, "class_weight": self.class_weight}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
