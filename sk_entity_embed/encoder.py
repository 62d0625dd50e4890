"""EntityEmbeddingEncoder: categorical columns to dense vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from sk_entity_embed._estimator import (
    CLASS_LOSSES,
    CLASS_WEIGHT,
    QUANTITY_LOSSES,
    TARGET_TYPES,
)
from sk_entity_embed._growing import GrowingEstimator
from sk_entity_embed._parameters import Callback, Transformer, documented, set_parameters

__all__ = ["EntityEmbeddingEncoder"]


@documented
class EntityEmbeddingEncoder(GrowingEstimator):
    """Replace categories by dense vectors that a small supervised network has learned.

    Every categorical column has an embedding table, numeric columns are context, and a small
    multi-layer perceptron, the head, predicts the target from both. With `cross_fit` there is one
    table a column for each fold, which learns only from rows of the other folds. Heads learn from
    rows looked up in the table that never saw them, and each fold is served by a head that never
    saw the fold. No table or head that makes up what
    a training row is given in :meth:`fit_transform` has received a gradient from its target. New
    rows are given the mean of the tables and heads.

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

    output : {"embedding", "hidden", "both", "stacking"}, default="embedding"
        The columns' vectors side by side, the head's last hidden layer for the row, both of them,
        or the vectors and the network's raw predictions (``prediction_0``, ...: log-odds,
        standardised quantities, one a class of several), as in stacking. In
        :meth:`fit_transform` all of it is out of fold: from tables and a head that never saw the
        row; under ``head="dot"`` from tables that never saw it. See the guide for which output
        suits which model.

    target_type : {"auto", "continuous", "binary", "multiclass", "multilabel-indicator"}, \
            default="auto"
        Kind of `y`; "auto" follows :func:`~sklearn.utils.multiclass.type_of_target`, but more
        than 100 distinct integers raise, since they could be classes or quantities.

    loss : {"auto", "squared_error", "absolute_error", "huber", "poisson", "log_loss"}, \
            default="auto"
        "auto" is "log_loss" for classes and "squared_error" for quantities. "huber" turns linear
        at one standard deviation of `y`; "poisson" is half the deviance, with a logarithmic link.

    cross_fit : bool, default=True
        Whether to use one table and one head a fold (one head for all under ``head="dot"``).
        Without it one of each learns from all rows but those set aside for early stopping, and
        ``fit_transform(X, y)`` equals ``fit(X, y).transform(X)``.

    handle_unknown : {"learned", "zero", "nan", "error"}, default="learned"
        What :meth:`transform` gives categories not seen in fit: the trained unknown vector, the
        center of the column, NaN, or an error. The hidden layer always uses the trained vector.
        Pairs of known categories that were not met together are unknown, but never an error.

    handle_missing : {"category", "nan", "error"}, default="category"
        What missing cells are: a category of their own (unknown if there was none in fit), an
        error, or, with "nan", a category of their own whose vectors :meth:`transform` and
        :meth:`fit_transform` give as NaN, whether fit had any or not. The hidden layer always uses
        the trained vector.

    Attributes
    ----------
    embeddings_ : mapping of DataFrame
        For each categorical column, its vectors, indexed by category; those of :meth:`transform`,
        and that of missing cells as it was trained. Those of a pair of columns, such as
        ``"carrier:dest"``, have an index of two levels. Frames are made when they are asked for.
    classes_ : ndarray of shape (n_classes,) or None
        Class labels; None for continuous targets.

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

    What is computed once from all rows (target scale, pairs, canonical coordinates), what heads
    learn from vectors that saw other rows, and heads and recurrent units that all folds share
    (``head="dot"``, "gru" `pooling`) carry a trace of every target; it is measured in the
    documentation.

    References
    ----------

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

    Log the losses of each epoch, here in a list; a line for a logger goes into the same function:

    >>> history = []
    >>> def log(epoch, losses):
    ...     history.append({"epoch": epoch, **losses})
    ...     # TensorBoard: writer.add_scalars("loss", losses, epoch)
    ...     # MLflow: mlflow.log_metrics(losses, step=epoch)
    ...     # Weights & Biases: run.log(losses, step=epoch)
    >>> encoder = EntityEmbeddingEncoder(callbacks=[log], random_state=0).fit(X, y)
    >>> list(history[0]), len(history) == encoder.n_iter_
    (['epoch', 'train', 'validation'], True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **GrowingEstimator._parameter_constraints,
        "target_type": [StrOptions(TARGET_TYPES)],
        "loss": [StrOptions({"auto", *CLASS_LOSSES, *QUANTITY_LOSSES})],
        "class_weight": CLASS_WEIGHT,
        "remainder": [StrOptions({"drop", "passthrough"})],
        "output": [StrOptions({"embedding", "hidden", "both", "stacking"})],
        "y_range": ["array-like", None],
        "handle_unknown": [StrOptions({"learned", "zero", "nan", "error"})],
        "handle_missing": [StrOptions({"category", "nan", "error"})],
    }

    def __init__(
        self,
        categorical_features: str | Sequence[Any] | Callable[[Any], Any] = "auto",
        *,
        remainder: Literal["drop", "passthrough"] = "drop",
        dimensions: int | str | Mapping[Any, int] | Callable[[int], int] = "auto",
        output: Literal["embedding", "hidden", "both", "stacking"] = "embedding",
        target_type: Literal[
            "auto", "continuous", "binary", "multiclass", "multilabel-indicator"
        ] = "auto",
        loss: Literal[
            "auto", "squared_error", "absolute_error", "huber", "poisson", "log_loss"
        ] = "auto",
        class_weight: Mapping[Any, float] | Sequence[Any] | str | None = None,
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
        handle_unknown: Literal["learned", "zero", "nan", "error"] = "learned",
        handle_missing: Literal["category", "nan", "error"] = "category",
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
