"""Inventories of other projects' names, so that links to them work in a build without a network.

Sphinx asks for a project's own inventory first. Where it cannot be had, the files made here stand
in: for each project the pattern of its addresses and the names that this documentation uses.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple


class Project(NamedTuple):
    """Another project's documentation: where it is, and the page of a name, by its kind."""

    url: str
    page: str
    names: dict[str, str]


def _classes(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "class")


def _functions(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "function")


PROJECTS = {
    "python": Project(
        "https://docs.python.org/3/",
        "library/exceptions.html#{name}",
        dict.fromkeys(
            (
                "Exception FileExistsError FileNotFoundError ImportError KeyboardInterrupt KeyError"
                " MemoryError OSError RuntimeError TypeError UserWarning ValueError"
            ).split(),
            "exception",
        ),
    ),
    "numpy": Project(
        "https://numpy.org/doc/stable/",
        "reference/generated/{name}.html#{name}",
        _classes("numpy.ndarray numpy.random.Generator numpy.random.RandomState")
        | _functions("numpy.quantile numpy.save"),
    ),
    "pandas": Project(
        "https://pandas.pydata.org/docs/",
        "reference/api/{name}.html#{name}",
        _classes("pandas.DataFrame pandas.Series pandas.Index pandas.Timestamp")
        | _functions("pandas.cut pandas.qcut pandas.read_csv pandas.read_parquet"),
    ),
    "sklearn": Project(
        "https://scikit-learn.org/stable/",
        "modules/generated/{name}.html#{name}",
        _classes(
            "sklearn.base.BaseEstimator sklearn.base.TransformerMixin"
            " sklearn.calibration.CalibratedClassifierCV sklearn.compose.ColumnTransformer"
            " sklearn.compose.TransformedTargetRegressor"
            " sklearn.ensemble.HistGradientBoostingClassifier"
            " sklearn.ensemble.HistGradientBoostingRegressor sklearn.ensemble.RandomForestRegressor"
            " sklearn.ensemble.StackingClassifier sklearn.ensemble.StackingRegressor"
            " sklearn.ensemble.VotingClassifier sklearn.impute.SimpleImputer"
            " sklearn.linear_model.LogisticRegression"
            " sklearn.linear_model.Ridge sklearn.model_selection.GridSearchCV"
            " sklearn.model_selection.GroupKFold sklearn.model_selection.HalvingGridSearchCV"
            " sklearn.model_selection.RandomizedSearchCV sklearn.model_selection.TimeSeriesSplit"
            " sklearn.neighbors.KNeighborsClassifier sklearn.neighbors.KNeighborsRegressor"
            " sklearn.neighbors.NearestNeighbors sklearn.pipeline.FeatureUnion"
            " sklearn.pipeline.Pipeline sklearn.preprocessing.OneHotEncoder"
            " sklearn.preprocessing.OrdinalEncoder sklearn.preprocessing.StandardScaler"
            " sklearn.preprocessing.TargetEncoder"
        )
        | _functions(
            "sklearn.compose.make_column_selector sklearn.compose.make_column_transformer"
            " sklearn.inspection.partial_dependence sklearn.inspection.permutation_importance"
            " sklearn.model_selection.cross_val_predict sklearn.model_selection.cross_val_score"
            " sklearn.model_selection.learning_curve sklearn.model_selection.train_test_split"
            " sklearn.pipeline.make_pipeline sklearn.set_config"
            " sklearn.utils.multiclass.type_of_target"
        ),
    ),
}


def mapping(folder: Path) -> dict[str, tuple[str, tuple[str | None, str]]]:
    """Return Sphinx's ``intersphinx_mapping``, after writing the local inventories to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, tuple[str, tuple[str | None, str]]] = {}
    for key, project in PROJECTS.items():
        path = folder / f"{key}.inv"
        lines = [
            f"{name} py:{kind} 1 {project.page.format(name=name)} -"
            for name, kind in project.names.items()
        ]
        header = f"# Sphinx inventory version 2\n# Project: {key}\n# Version: \n"
        header += "# The remainder of this file is compressed using zlib.\n"
        body = ("\n".join(lines) + "\n").encode()
        path.write_bytes(header.encode() + zlib.compress(body))
        found[key] = (project.url, (None, str(path)))
    return found
