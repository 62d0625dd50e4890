"""One tree of errors, which code for scikit-learn catches as well."""

from __future__ import annotations

import warnings

import pytest

from sk_entity_embed import exceptions


@pytest.mark.parametrize(
    ("name", "bases"),
    [
        ("InvalidDataError", (exceptions.EntityEmbedError, ValueError)),
        ("InvalidFileError", (exceptions.EntityEmbedError, ValueError)),
        ("InvalidParameterError", (exceptions.EntityEmbedError, ValueError)),
        ("UnsupportedDataError", (exceptions.EntityEmbedError, TypeError)),
        ("CheckpointWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("ColumnRoleWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("UnmatchedCategoriesWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("LeakageWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("EmptyColumnWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("FoldsReducedWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("RareClassWarning", (exceptions.EntityEmbedWarning, UserWarning)),
        ("TrainingInterruptedWarning", (exceptions.EntityEmbedWarning, UserWarning)),
    ],
)
def test_tree(name, bases):
    found = getattr(exceptions, name)
    assert all(issubclass(found, base) for base in bases)


def test_everything_public_is_in_the_tree():
    public = [getattr(exceptions, name) for name in exceptions.__all__]
    roots = (exceptions.EntityEmbedError, exceptions.EntityEmbedWarning)
    assert all(issubclass(c, roots) for c in public)
    own = exceptions.__name__
    defined = {n for n, c in vars(exceptions).items() if getattr(c, "__module__", None) == own}
    assert defined == set(exceptions.__all__)


def test_warnings_can_be_silenced_together():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", exceptions.EntityEmbedWarning)
        warnings.warn("folds", exceptions.FoldsReducedWarning, stacklevel=1)
    with pytest.warns(exceptions.EntityEmbedWarning, match="folds"):
        warnings.warn("folds", exceptions.FoldsReducedWarning, stacklevel=1)
