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

from sk_entity_embed._estimator import (
    CLASS_LOSSES,
    CLASS_WEIGHT,
    QUANTITY_LOSSES,
)
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
    """Predict quantities by a network with an embedding table for each categorical column.

    The network and its training are those of :class:`EntityEmbeddingEncoder`: heads learn from
    vectors that never saw the row they stand for, and new rows are looked up in the mean of the
    folds' tables and predicted by the mean of the folds' heads. Several columns of `y` are
    predicted together.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson"}, default="squared_error"
        "huber" turns linear at one standard deviation of `y`; "poisson" is half the deviance, with
        a logarithmic link, for `y` that is never negative.

    Attributes
    ----------
    target_type_ : str
        "continuous".

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
            In the units of `y`; never negative with ``loss="poisson"``, and within `y_range`.

        Raises
        ------
        ValueError
            As :meth:`transform`.
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
    """Predict classes by a network with an embedding table for each categorical column.

    The network and its training are those of :class:`EntityEmbeddingEncoder`: heads learn from
    vectors that never saw the row they stand for, and new rows are looked up in the mean of the
    folds' tables and predicted by the mean of the folds' heads. `y` holds two classes, several, or
    an indicator matrix of labels.

    Parameters
    ----------
    loss : {"log_loss"}, default="log_loss"
        What is minimised.

    Attributes
    ----------
    target_type_ : str
        "binary", "multiclass" or "multilabel-indicator".
    classes_ : ndarray of shape (n_classes,)
        Class labels; for an indicator matrix the numbers of its columns.

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
            The most probable class, or whether each label is more probable than not.

        Raises
        ------
        ValueError
            As :meth:`transform`.
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
            In the order of ``classes_``. Rows sum to one, but for an indicator matrix: there
            every column is the probability of a label of its own.
        """
        rows = self._code(X)
        return self._model.predict(rows)

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
        rows = self._code(X)
        raw = self._model.raw(rows)
        return raw[:, 0] if self.target_type_ == "binary" else raw

    def _target_options(self) -> dict[str, Any]:
        return {"target_type": "classes", "loss": self.loss, "class_weight": self.class_weight}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
