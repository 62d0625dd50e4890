"""Contributions to a prediction, by column of the input instead of by output column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed._origins import OutputColumn, output_columns
from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.table import Table

_ALL = "all columns"
"""Name of the column for outputs that all columns go into."""


def group_by_column(values: Any, encoder: Any, X: Any = None, *, share_pairs: bool = True) -> Any:
    """Sum contributions of output columns, such as SHAP values, by column of the input.

    A model that follows an encoder is explained by the axes of vectors: ``city_0``, ``city_1``.
    This adds up what belongs to one column of the table, so that there is one number for ``city``.
    Sums over all columns stay as they are.

    Parameters
    ----------
    values : array-like of shape (n_samples, n_features[, n_outputs]) or shap.Explanation
        A contribution of each output column of `encoder` to each row's prediction. Leave out the
        last column of what LightGBM and XGBoost give for ``pred_contrib``, the expected value.
    encoder : estimator
        Fitted; or a fitted pipeline, column transformer or the like that holds such steps. Of a
        pipeline that ends with a predictor, `values` are for what the predictor is given.
    X : array-like of shape (n_samples, n_columns), default=None
        The rows as they were given to `encoder`, which plots of an explanation show beside the
        names of columns. Only for a ``shap.Explanation``.
    share_pairs : bool, default=True
        Whether the contribution of a pair of columns is shared equally between the two, as
        Shapley values share what two have earned together; else it has a column of its own,
        such as ``"carrier:dest"``.

    Returns
    -------
    DataFrame of float64 or shap.Explanation
        A column for each column of the input that has a part in the output. ``"all columns"``, the
        last one, is the sum of the hidden layer and of the network's predictions
        (``output="hidden"``, "both" and "stacking"), to which all columns contribute. With
        several outputs the frame's columns have two levels, output and column. An explanation
        has the frame's columns as features; its base values and names of outputs stay.

    Raises
    ------
    InvalidDataError
        If `values` have another shape, or `X` has other rows.
    InvalidParameterError
        If a step after the embedding step makes other columns of its output, as a PCA does, or a
        column of the input is called ``"all columns"``.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    sklearn.inspection.permutation_importance : Of a whole pipeline, it is by column already.

    Notes
    -----
    Numbers that pass through keep their own column. Columns that another transformer made belong to
    the column of the input after which they are named, such as ``onehotencoder__color_red`` to
    ``color``; those that are named after none keep their names. Products, as of
    ``PolynomialFeatures``, are shared equally between the columns that they are made of.

    Any contributions that may be added up will do: SHAP values, the products of a linear model's
    coefficients and its input, or importances such as the gain of trees, as
    ``importances[None]``. SHAP values of interactions of output columns are not for this.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.inspection import group_by_column
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Lima", "Oslo"], 99), "size": rng.random(99)})
    >>> encoder = EntityEmbeddingEncoder(remainder="passthrough", max_iter=1, random_state=0)
    >>> vectors = encoder.fit_transform(X, X["size"])
    >>> model = Ridge().fit(vectors, X["size"])
    >>> parts = model.coef_ * (vectors - vectors.mean(axis=0))  # of a linear model
    >>> group_by_column(parts, encoder).columns.tolist()
    ['city', 'size']
    """
    columns = output_columns(encoder)
    is_explanation = hasattr(values, "base_values")
    array = np.asarray(values.values if is_explanation else values, dtype=np.float64)
    _check_shape(array, len(columns))
    names, shares = _shares(columns, share_pairs)
    sums = np.einsum("if...,fg->ig...", array, shares)
    if is_explanation:
        table = None if X is None else read_table(X)
        if table is not None and table.n_rows != len(array):
            raise InvalidDataError(
                f"`X` has {table.n_rows} rows, but `values` explain {len(array)}."
            )
        return _explanation(values, sums, names, table)
    if X is not None:
        raise InvalidParameterError("`X` is for a shap.Explanation; leave it out for an array.")
    index = values.index if isinstance(values, pd.DataFrame) else None
    if sums.ndim == 2:
        return pd.DataFrame(sums, index=index, columns=names)
    levels = pd.MultiIndex.from_product([range(sums.shape[2]), names], names=["output", "column"])
    wide = np.moveaxis(sums, 2, 1).reshape(len(sums), -1)
    return pd.DataFrame(wide, index=index, columns=levels)


def _check_shape(array: NDArray[np.float64], n_columns: int) -> None:
    if array.ndim in (2, 3) and array.shape[1] == n_columns:
        return
    advice = ""
    if array.ndim == 2 and array.shape[1] == n_columns + 1:
        advice = " If the last column is the expected value, pass values[:, :-1]."
    raise InvalidDataError(
        f"`values` must have shape (n_samples, {n_columns}[, n_outputs]), a column for each output "
        f"column of the encoder, got {array.shape}.{advice}"
    )


def _shares(
    columns: list[OutputColumn], share_pairs: bool
) -> tuple[list[str], NDArray[np.float64]]:
    """Return names of groups, and the share that each has in each output column."""
    parts = []
    for column in columns:
        origin = column.origin
        paired = len(origin.columns) > 1 and not share_pairs
        parts.append((origin.name,) if paired else origin.columns)
    names = [*dict.fromkeys(name for part in parts for name in part)]
    if () in parts:
        if _ALL in names:
            raise InvalidParameterError(
                f"A column of X is called {_ALL!r}, which is the name of the sum of the hidden "
                "layer and predictions; rename it."
            )
        names.append(_ALL)
    shares = np.zeros((len(columns), len(names)))
    for row, part in zip(shares, parts, strict=True):
        for name in part or (_ALL,):
            row[names.index(name)] += 1 / max(1, len(part))
    return names, shares


def _explanation(values: Any, sums: NDArray[np.float64], names: list[str], X: Table | None) -> Any:
    """Return an explanation like `values` of grouped columns, with the cells of `X` to show."""
    cells = None
    if X is not None:
        by_name = {column.name: column for column in X.columns}
        cells = np.full((X.n_rows, len(names)), "", dtype=object)
        for k, name in enumerate(names):
            if column := by_name.get(name):
                numeric = column.holds_numbers
                cells[:, k] = column.to_numbers() if numeric else column.to_objects()
    return type(values)(
        sums,
        base_values=values.base_values,
        data=cells,
        feature_names=names,
        output_names=values.output_names,
    )
