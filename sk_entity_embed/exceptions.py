"""Every error and warning the package raises on purpose, in one tree.

Each error is also a :class:`ValueError` or a :class:`TypeError`, so code that
catches scikit-learn's built-in exceptions catches these as well.
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
    """Base class of the package's errors."""


class InvalidDataError(EntityEmbedError, ValueError):
    """`X`, `y`, `sample_weight` or `groups` hold values the estimator cannot use."""


class InvalidFileError(EntityEmbedError, ValueError):
    """A file does not hold what it should: a saved estimator, a data set."""


class UnsupportedDataError(EntityEmbedError, TypeError):
    """A container or a cell type is not supported."""


class InvalidParameterError(EntityEmbedError, ValueError):
    """A parameter does not fit the data or another parameter."""


class EntityEmbedWarning(UserWarning):
    """Base class of the package's warnings."""


class CheckpointWarning(EntityEmbedWarning):
    """A checkpoint could not be written; the fit goes on without it."""


class ColumnRoleWarning(EntityEmbedWarning):
    """A column of numbers is embedded but looks like a quantity, or the other way round."""


class EmptyColumnWarning(EntityEmbedWarning):
    """Columns have only missing values in fit, so that nothing is learned from them."""


class FoldsReducedWarning(EntityEmbedWarning):
    """There are too few rows or groups for the folds asked for."""


class LeakageWarning(EntityEmbedWarning):
    """Training rows may get vectors that have seen their own target."""


class PartialExportWarning(EntityEmbedWarning):
    """One step of a pipeline is exported, and the steps around it are not."""


class ProjectionWarning(EntityEmbedWarning):
    """Vectors are drawn by another method than the one asked for."""


class RareClassWarning(EntityEmbedWarning):
    """Classes of the target have fewer members than there are folds."""


class TrainingInterruptedWarning(EntityEmbedWarning):
    """Training was interrupted from the keyboard; its best state or the earlier fit was kept."""


class UnfinishedTrainingWarning(EntityEmbedWarning, ConvergenceWarning):
    """Training came to the end of `max_iter` while the validation loss was still falling."""


class UnknownCategoriesWarning(EntityEmbedWarning):
    """A column has hardly any category of fit, perhaps because its type has changed."""


class UnmatchedCategoriesWarning(EntityEmbedWarning):
    """Few of the categories given, or none of those learned before, are in the data."""
