"""EntityEmbeddingEncoder: categorical columns to dense vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from sk_entity_embed._checks import CLASS_LOSSES, CLASS_WEIGHT, QUANTITY_LOSSES, TARGET_TYPES
from sk_entity_embed._growing import GrowingEstimator
from sk_entity_embed._parameters import Callback, Transformer, documented, set_parameters

__all__ = ["EntityEmbeddingEncoder"]


@documented
class EntityEmbeddingEncoder(GrowingEstimator):
    """Replace categories with dense vectors that a small network learns from your target.

    Each categorical column has an embedding table: one vector for each category. A small network,
    the head, predicts the target from the vectors and from numeric columns, which are called
    context. The vectors and the head are trained together.

    Training rows get vectors learned from *other* rows, so your model cannot memorise its own
    targets. This is called cross-fitting. The rows are divided into folds. Each fold has a table
    that learns from the other folds only, and a head that never saw the fold. New rows get the mean
    of all tables.

    Encode your training rows with :meth:`fit_transform`, as a pipeline does, and new rows with
    :meth:`transform`. With `cross_fit`, ``fit(X, y).transform(X)`` gives other values than
    ``fit_transform(X, y)``.

    Parameters
    ----------
    categorical_features : {"auto", "all"}, array-like or callable, default="auto"
        Columns to embed: names, positions, a boolean mask, or a callable that gets `X` and returns
        one of these (such as :func:`~sklearn.compose.make_column_selector`). With "auto", columns
        of text, categories, booleans and lists are embedded. Columns of numbers become context: the
        network reads them beside the vectors. An object column is judged by its cells. If all
        columns are numeric, those with whole numbers only are embedded; if there are none, all
        columns are, with a warning. You also get a warning if context numbers look like ids, or
        embedded numbers like a quantity.

    remainder : {"drop", "passthrough"}, default="drop"
        "passthrough" appends the context columns to the output, rounded to float32. Whole numbers
        up to 2**24 stay exact.

    output : {"embedding", "hidden", "both", "stacking"}, default="embedding"
        What :meth:`transform` returns. "embedding" is the columns' vectors side by side. "hidden"
        is the head's last hidden layer for the row. "both" is the vectors and the hidden layer.
        "stacking" is the vectors and the network's raw predictions ``prediction_0``, ...: log-odds
        for two classes or labels, one number for each of several classes, and standardised values
        for quantities. "hidden" and "both" need a hidden layer, which ``hidden_layer_sizes=()`` and
        ``head="dot"`` do not have: `fit` then raises an error. In :meth:`fit_transform` all of it
        is out of fold, that is, from tables and a head that never saw the row (with ``head="dot"``,
        from tables that never saw it). The guide says which output suits which model.

    target_type : {"auto", "continuous", "binary", "multiclass", "multilabel-indicator"}, \
            default="auto"
        Kind of `y`. "auto" follows :func:`~sklearn.utils.multiclass.type_of_target`. More than 100
        distinct integers could be classes or quantities, so "auto" raises an error and you decide.

    loss : {"auto", "squared_error", "absolute_error", "huber", "poisson", "log_loss"}, \
            default="auto"
        What training minimises. "auto" is "log_loss" for classes and "squared_error" for
        quantities. "huber" becomes linear at one standard deviation of `y`. "poisson" is half the
        deviance, with a logarithmic link.

    cross_fit : bool, default=True
        True if training rows should get vectors learned from other rows only. Each fold then has
        a table that learns from the other folds, and a head that never saw the fold (with
        ``head="dot"`` there is one head for all folds). Below 50,000 rows there is one head for
        each fold, from 50,000 rows on there are three, and from 200,000 on two. If False, one table
        and one head learn from all rows except those set aside for early stopping, and
        ``fit_transform(X, y)`` equals ``fit(X, y).transform(X)``.

    handle_unknown : {"learned", "zero", "nan", "error"}, default="learned"
        What :meth:`transform` gives for categories that did not occur in fit: the trained unknown
        vector, the center of the column, NaN, or an error. The hidden layer always uses the trained
        vector. Pairs of known categories that did not occur together are unknown, but never an
        error.

    handle_missing : {"category", "nan", "error"}, default="category"
        "category" makes missing cells a category of their own, or unknown if fit had no missing
        cells. "nan" does the same, but :meth:`transform` and :meth:`fit_transform` give NaN for
        their vectors, whether fit had missing cells or not. "error" raises an error. The hidden
        layer always uses the trained vector.

    Attributes
    ----------
    embeddings_ : mapping of DataFrame
        Vectors of each categorical column, indexed by category, as :meth:`transform` gives them;
        the vector of missing cells is the trained one. A pair of columns, such as
        ``"carrier:dest"``, has an index of two levels. Frames are created when you ask for them.
    classes_ : ndarray of shape (n_classes,) or None
        Class labels; None for continuous targets.

    See Also
    --------
    EntityEmbeddingRegressor, EntityEmbeddingClassifier : The same network as a predictor.
    sk_entity_embed.inspection.nearest : Categories that are most similar to one.
    sk_entity_embed.evaluation.encoding_report : Compare encoders on your data.
    sklearn.preprocessing.TargetEncoder : One cross-fitted number for each category.
    sklearn.preprocessing.OneHotEncoder : One column for each category.

    Notes
    -----
    `X` can be a pandas or polars data frame, a pyarrow table, a two-dimensional NumPy array or a
    list of rows. Equal cells give equal results in all of them.

    Two categories are close, by Euclidean distance, if the head treats them alike. The axes of a
    column are uncorrelated and ordered by variance, and columns that matter more to the target have
    longer axes. These are called canonical coordinates. Don't standardise them: scaling makes all
    axes equally long.

    Some things carry a small trace of every target: what is computed once from all rows (the scale
    of the target, pairs, canonical coordinates), what heads learn from vectors that saw other
    rows, and what all folds share (the head of ``head="dot"``, the unit of the `pooling` "gru").
    The documentation measures it.

    References
    ----------

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo", "Rome"], 200)})
    >>> y = X["city"].map({"Lima": 22.0, "Oslo": -4.0, "Rome": 12.0}) + rng.normal(size=200)
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=20, random_state=0)
    >>> vectors = encoder.fit_transform(X, y)  # to train another model on
    >>> vectors.shape
    (200, 2)
    >>> encoder.embeddings_["city"].round(1)
            0    1
    city
    Lima -0.8  0.5
    Oslo  1.3  0.1
    Rome -0.5 -0.4

    New rows, one of them with an unknown city:

    >>> new = pd.DataFrame({"city": ["Rome", "Atlantis"]})
    >>> encoder.set_output(transform="pandas").transform(new).round(1)
       city_0  city_1
    0    -0.5    -0.4
    1    -0.2    -0.4

    Log the losses of each epoch, here in a list. A line for a logger goes into the same function:

    >>> history = []
    >>> def log(epoch, losses):
    ...     history.append({"epoch": epoch, **losses})
    ...     # TensorBoard: writer.add_scalars("loss", losses, epoch)
    ...     # MLflow: mlflow.log_metrics(losses, step=epoch)
    ...     # Weights & Biases: run.log(losses, step=epoch)
    >>> encoder = EntityEmbeddingEncoder(callbacks=[log], max_iter=20, random_state=0).fit(X, y)
    >>> list(history[0])
    ['epoch', 'train', 'validation']
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
