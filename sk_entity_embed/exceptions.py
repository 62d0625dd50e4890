"""Every error and warning the package raises on purpose, in one tree.

Each error is also a :class:`ValueError` or a :class:`TypeError`, so code that
catches scikit-learn's built-in exceptions catches these as well.

Examples
--------
Catch all errors of the package at once:

>>> from sk_entity_embed import EntityEmbeddingEncoder
>>> from sk_entity_embed.exceptions import EntityEmbedError
>>> encoder = EntityEmbeddingEncoder(handle_unknown="error", max_iter=1)
>>> encoder = encoder.fit([["Oslo"], ["Rome"]] * 30, [-4.0, 12.0] * 30)
>>> try:
...     vectors = encoder.transform([["Atlantis"]])
... except EntityEmbedError as error:
...     print(error)
Found unknown categories in column 'x0': ...

Silence one warning:

>>> import warnings
>>> from sk_entity_embed.exceptions import UnfinishedTrainingWarning
>>> warnings.simplefilter("ignore", UnfinishedTrainingWarning)
"""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "CheckpointWarning",
    "ColumnRoleWarning",
    "EmptyColumnWarning",
    "EntityEmbedError",
    "EntityEmbedWarning",
    "FoldsReducedWarning",
    "InvalidDataError",
    "InvalidFileError",
    "InvalidParameterError",
    "LeakageWarning",
    "PartialExportWarning",
    "ProjectionWarning",
    "RareClassWarning",
    "TrainingInterruptedWarning",
    "UnfinishedTrainingWarning",
    "UnknownCategoriesWarning",
    "UnmatchedCategoriesWarning",
    "UnsupportedDataError",
]


class EntityEmbedError(Exception):
    """Base class of the package's errors.

    Examples
    --------
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.exceptions import EntityEmbedError
    >>> try:
    ...     encoder = EntityEmbeddingEncoder().fit([["Oslo"], ["Rome"]], [None, 12.0])
    ... except EntityEmbedError as error:
    ...     print(type(error).__name__)
    InvalidDataError
    """


class InvalidDataError(EntityEmbedError, ValueError):
    """`X`, `y`, `sample_weight` or `groups` hold values the estimator cannot use.

    Examples
    --------
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> EntityEmbeddingEncoder().fit([["Oslo"], ["Rome"]] * 10, [1.5, float("nan")] * 10)
    Traceback (most recent call last):
        ...
    sk_entity_embed.exceptions.InvalidDataError: Input y contains NaN (10 values missing).
    """


class InvalidFileError(EntityEmbedError, ValueError):
    """A file does not hold what it should: a saved estimator, a data set.

    Examples
    --------
    >>> import tempfile
    >>> from sk_entity_embed.export import load
    >>> with tempfile.NamedTemporaryFile() as file:  # an empty file
    ...     load(file.name)
    Traceback (most recent call last):
        ...
    sk_entity_embed.exceptions.InvalidFileError: ... it is not a safetensors file...
    """


class UnsupportedDataError(EntityEmbedError, TypeError):
    """A container or a cell type is not supported.

    Examples
    --------
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> X = [[{"city": "Oslo"}], [{"city": "Rome"}]] * 10
    >>> EntityEmbeddingEncoder().fit(X, [-4.0, 12.0] * 10)
    Traceback (most recent call last):
        ...
    sk_entity_embed.exceptions.UnsupportedDataError: Column 'x0' holds cells that cannot be ...
    """


class InvalidParameterError(EntityEmbedError, ValueError):
    """A parameter does not fit the data or another parameter.

    Examples
    --------
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> encoder = EntityEmbeddingEncoder(interactions=[("city", "month")])
    >>> encoder.fit([["Oslo"], ["Rome"]] * 10, [-4.0, 12.0] * 10)
    Traceback (most recent call last):
        ...
    sk_entity_embed.exceptions.InvalidParameterError: `interactions` has 'city' in the pair ...
    """


class EntityEmbedWarning(UserWarning):
    """Base class of the package's warnings.

    Examples
    --------
    Silence all warnings of the package, and no others:

    >>> import warnings
    >>> from sk_entity_embed.exceptions import EntityEmbedWarning
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("ignore", EntityEmbedWarning)
    ...     warnings.warn("a column is empty", EntityEmbedWarning)
    >>> len(caught)
    0
    """


class CheckpointWarning(EntityEmbedWarning):
    """A checkpoint could not be written. The fit goes on without it.

    Examples
    --------
    Stop the fit instead:

    >>> import warnings
    >>> from sk_entity_embed.exceptions import CheckpointWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", CheckpointWarning)
    ...     warnings.warn("the disk is full", CheckpointWarning)  # in place of a long fit
    Traceback (most recent call last):
        ...
    sk_entity_embed.exceptions.CheckpointWarning: the disk is full
    """


class ColumnRoleWarning(EntityEmbedWarning):
    """A column of numbers is embedded but looks like a quantity, or the other way round.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> encoder = EntityEmbeddingEncoder(max_iter=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encoder = encoder.fit([[price] for price in range(100, 220)], [0.5, 1.5] * 60)
    >>> print(caught[0].message)
    X has only numbers, ... but some look like quantities: 'x0' (hardly any value repeats, ...
    """


class EmptyColumnWarning(EntityEmbedWarning):
    """Columns have only missing values in fit, so nothing is learned from them.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> encoder = EntityEmbeddingEncoder(max_iter=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encoder = encoder.fit([["Oslo", None], ["Rome", None]] * 30, [-4.0, 12.0] * 30)
    >>> print(caught[0].message)
    Columns ['x1'] have only missing values ...
    """


class FoldsReducedWarning(EntityEmbedWarning):
    """There are too few rows or groups for the folds asked for.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> encoder = EntityEmbeddingEncoder(max_iter=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encoder = encoder.fit([["Oslo"], ["Rome"]] * 2, [-4.5, 12.5, -3.5, 11.5])
    >>> print(caught[0].message)
    cv=5 folds need as many samples, but there are 4; using 4 folds.
    """


class LeakageWarning(EntityEmbedWarning):
    """Training rows may get vectors that have seen their own target.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 20, [22.0, -4.0, 12.0] * 20
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, warm_start=True).fit(X, y)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encoder = encoder.fit(X[:50], y[:50])
    >>> print(caught[0].message)
    warm_start continues with other rows, ...
    """


class PartialExportWarning(EntityEmbedWarning):
    """One step of a pipeline is exported, and the steps around it are not.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import to_torch
    >>> pipeline = make_pipeline(EntityEmbeddingEncoder(max_iter=1), Ridge())
    >>> pipeline = pipeline.fit([["Oslo"], ["Rome"]] * 30, [-4.0, 12.0] * 30)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     module = to_torch(pipeline)
    >>> print(caught[0].message)
    Of the Pipeline only the embedding step 'entityembeddingencoder' is exported, not ['ridge']...
    """


class ProjectionWarning(EntityEmbedWarning):
    """Vectors are drawn by another method than the one asked for.

    Examples
    --------
    >>> import warnings
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import project
    >>> vectors = pd.DataFrame([[1.3, 0.1], [-0.5, 0.4]], index=["Oslo", "Rome"])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     coordinates = project(vectors, method="tsne")
    >>> print(caught[0].message)
    Column 'category' has only 2 different vectors, too few for method='tsne'; ...
    """


class RareClassWarning(EntityEmbedWarning):
    """Classes of the target have fewer members than there are folds.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingClassifier
    >>> model = EntityEmbeddingClassifier(max_iter=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = model.fit([["Lima"], ["Oslo"]] * 20, ["sun"] * 38 + ["snow"] * 2)
    >>> print(caught[0].message)
    Classes with fewer members than the 5 folds: 'snow' (2 members). ...
    """


class TrainingInterruptedWarning(EntityEmbedWarning):
    """Training was interrupted from the keyboard. Its best state, or the earlier fit, was kept.

    Examples
    --------
    Stop a script at Ctrl-C instead of going on with what was kept:

    >>> import warnings
    >>> from sk_entity_embed.exceptions import TrainingInterruptedWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", TrainingInterruptedWarning)
    ...     warnings.warn("interrupted", TrainingInterruptedWarning)  # in place of a long fit
    Traceback (most recent call last):
        ...
    sk_entity_embed.exceptions.TrainingInterruptedWarning: interrupted
    """


class UnfinishedTrainingWarning(EntityEmbedWarning, ConvergenceWarning):
    """Training reached `max_iter` while the validation loss was still falling.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> encoder = EntityEmbeddingEncoder(max_iter=5, random_state=0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encoder = encoder.fit([["Oslo"], ["Rome"]] * 60, [-4.0, 12.0] * 60)
    >>> print(caught[0].message)
    Training ended after 5 iterations, and the validation loss was still falling: ...
    """


class UnknownCategoriesWarning(EntityEmbedWarning):
    """A column has hardly any category of fit, perhaps because its type has changed.

    Examples
    --------
    >>> import warnings
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> encoder = EntityEmbeddingEncoder(max_iter=1)
    >>> encoder = encoder.fit([["Oslo"], ["Rome"]] * 30, [-4.0, 12.0] * 30)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     vectors = encoder.transform([["oslo"], ["rome"]] * 10)
    >>> print(caught[0].message)
    Column 'x0' has hardly any category of fit: all 20 values are unknown, such as 'oslo'; ...
    """


class UnmatchedCategoriesWarning(EntityEmbedWarning):
    """Few of the categories given, or none of those learned before, are in the data.

    Examples
    --------
    >>> import warnings
    >>> import pandas as pd
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 20, [22.0, -4.0, 12.0] * 20
    >>> vectors = pd.DataFrame([[-0.8], [1.3], [-0.5]], index=["Lima", "oslo", "rome"])
    >>> encoder = EntityEmbeddingEncoder(init={"x0": vectors}, dimensions=1, max_iter=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     encoder = encoder.fit(X, y)
    >>> print(caught[0].message)
    `init['x0']` has vectors for only 33% of the cells of column 'x0', ...
    """
