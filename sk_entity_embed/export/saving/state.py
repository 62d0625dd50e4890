"""An estimator to a document and arrays, and back; both ways it is checked to hold together.

Public attributes that repeat the model are not stored, but made of it again.
"""

from __future__ import annotations

import dataclasses
import re
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.utils.metadata_routing import MetadataRequest

from sk_entity_embed._estimator import BaseEntityEmbedding
from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.export.saving.checks import check_fitted, need
from sk_entity_embed.export.saving.container import Arrays, Document
from sk_entity_embed.export.saving.plain import UnrepresentableError
from sk_entity_embed.export.saving.scalars import CATEGORIES
from sk_entity_embed.export.saving.values import Packer, Structures, Unpacker
from sk_entity_embed.fitting.preparation import Roles
from sk_entity_embed.fitting.warm_start import Memory
from sk_entity_embed.input.context import ContextScaling
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.target import Scale
from sk_entity_embed.input.vocabulary import Vocabulary, arrow_keys
from sk_entity_embed.model.fitted import EmbeddingModel
from sk_entity_embed.model.heads import DotHead, MLPHead
from sk_entity_embed.model.poolings import GRU
from sk_entity_embed.model.tables import EmbeddingTable

REGISTRY = {
    "EntityEmbeddingClassifier": "sk_entity_embed.predictors",
    "EntityEmbeddingEncoder": "sk_entity_embed.encoder",
    "EntityEmbeddingRegressor": "sk_entity_embed.predictors",
}
"""The estimators that can be saved, and the modules they are in."""

TRANSFORMERS = tuple(REGISTRY)
"""Those of them that have policies and vectors for unknown categories."""

PREDICTORS = ("EntityEmbeddingClassifier", "EntityEmbeddingRegressor")
"""Those of them that have a link between the network's outputs and the target."""

_STORED = {
    "_memory",
    "_model",
    "best_iteration_",
    "category_target_means_",
    "classes_",
    "fold_",
    "loss_curve_",
    "n_features_in_",
    "n_iter_",
    "target_type_",
    "validation_loss_curve_",
}
_OF_TRANSFORMERS = {"_policies", "_unknown"}
_SETTINGS = {"_metadata_request", "_sklearn_output_config"}
_CONTAINERS = ("default", "pandas", "polars")
_KEY_TYPES = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.bool_(), pa.float64(), pa.large_string(), pa.null()),
    )
}
_REMEDIES = {
    "categorical_features": ("categorical_features=estimator.categorical_features_", "names"),
    "cv": ("cv=5", "an integer, one of scikit-learn's k-fold splitters or a list of splits"),
    "dimensions": ("dimensions=estimator.dimensions_", "a number, the name of a rule or a dict"),
    "init": ("init='normal'", "'normal' or a dict of data frames of numbers"),
}
"""What to set after fit in place of a parameter that cannot be saved, and what before it."""

_LONGEST = 500
"""Characters of an error about what a file says."""

_IMPOSSIBLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,  # of a time zone whose name is that of a folder
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading and checking raise where a file says something that cannot be."""


def describe(estimator: Any) -> tuple[Document, Arrays]:
    """What a file has to hold of an estimator.

    Parameters
    ----------
    estimator : estimator
        Of this package, fitted or not.

    Returns
    -------
    document : dict
        Of what JSON can hold.
    arrays : dict of ndarray
        The arrays that the document names.

    Raises
    ------
    InvalidParameterError
        If it is another estimator, or has a parameter or a category that a file cannot hold.
    """
    name = _class_name(estimator)
    packer = Packer(_STRUCTURES)
    params = estimator.get_params(deep=False)
    parameters = {p: _pack_parameter(packer, estimator, p, params[p]) for p in params}
    return {
        "class": name,
        "package_version": _version(),
        "parameters": parameters,
        "settings": _settings(estimator),
        "fitted": _pack_fitted(packer, estimator, name, set(params)),
    }, packer.arrays


def restore(document: Document, arrays: Arrays, *, version: int = 3) -> Any:
    """The estimator that a file holds.

    Parameters
    ----------
    document, arrays
        What :func:`describe` gave.
    version : int, default=3
        The version of the format that they are in.

    Returns
    -------
    estimator

    Raises
    ------
    InvalidFileError
        If the document describes none.
    """
    try:
        with np.errstate(all="ignore"):
            return _restore(document, Unpacker(arrays, _STRUCTURES_OF[version]))
    except InvalidFileError:
        raise
    except _IMPOSSIBLE as error:
        raise InvalidFileError(
            "what it says of the estimator cannot be: "
            f"{str(error)[:_LONGEST] or type(error).__name__}"
        ) from error


def _restore(document: Document, unpacker: Unpacker) -> Any:
    need(
        set(document) == {"class", "package_version", "parameters", "settings", "fitted"},
        f"its entries are {shown(sorted(document))}",
    )
    estimator = _make(document, unpacker)
    _apply_settings(estimator, document["settings"])
    if document["fitted"] is not None:
        state = {name: unpacker.unpack(packed) for name, packed in document["fitted"].items()}
        names = _stored_names(document["class"])
        need(
            set(state) - {"feature_names_in_"} == names,
            f"its attributes are {shown(sorted(state))}",
        )
        check_fitted(state)
        vars(estimator).update(state, **_derived(state["_model"]))
    need(not unpacker.arrays, f"it has tensors without a use: {shown(sorted(unpacker.arrays))}")
    return estimator


def _make(document: Document, unpacker: Unpacker) -> Any:
    """The estimator with the parameters of the file; later ones keep their defaults."""
    name, written = document["class"], shown(document["package_version"]).strip("'")
    if name not in REGISTRY:
        raise InvalidFileError(
            f"it holds the estimator {shown(name)}, written by sk_entity_embed {written}; this "
            f"version, {_version()}, knows {sorted(REGISTRY)}"
        )
    estimator = _class(name)()
    unknown = set(document["parameters"]) - set(estimator.get_params(deep=False))
    if unknown:
        raise InvalidFileError(
            f"it sets {shown(sorted(unknown))}, written by sk_entity_embed {written}; this "
            f"version, {_version()}, knows no such parameters of {name}: pip install --upgrade "
            "sk-entity-embed"
        )
    values = {p: unpacker.unpack(packed) for p, packed in document["parameters"].items()}
    return type(estimator)(**values)


def _version() -> str:
    """Version of the package, whose ``__init__`` no module of it imports by name."""
    return str(import_module("sk_entity_embed").__version__)


def _class(name: str) -> type:
    found: type = getattr(import_module(REGISTRY[name]), name)
    return found


def _class_name(estimator: Any) -> str:
    """The registered name of an estimator's own class."""
    name = type(estimator).__name__
    if name in REGISTRY and type(estimator) is _class(name):
        return name
    shown = f"the class {estimator.__name__}" if isinstance(estimator, type) else name
    if isinstance(estimator, BaseEntityEmbedding):
        shown = f"{name}, a subclass, which a file cannot name"
    raise InvalidParameterError(
        f"`estimator` must be one of {sorted(REGISTRY)}, or a pipeline with one inside, got "
        f"{shown}. Other estimators are joblib's or skops.io's to save."
    )


def _pack_parameter(packer: Packer, estimator: Any, name: str, value: Any) -> Any:
    try:
        return packer.pack(value, f"parameters.{name}")
    except UnrepresentableError as error:
        after, before = _REMEDIES.get(name, (None, "numbers, strings, arrays, lists or dicts"))
        if after is None:
            default = type(estimator)().get_params(deep=False)[name]
            after = f"{name}={default!r}"
        reason = str(error).replace(f"parameters.{name}", f"`{name}`", 1)
        advice = f"give {before} instead"
        if hasattr(estimator, "_model"):
            advice = (
                f"the fitted state does not need it: estimator.set_params({after}), then save it"
            )
        raise InvalidParameterError(
            f"`{name}` cannot be saved, since files hold no code: {reason}; {advice}."
        ) from error


def _settings(estimator: Any) -> dict[str, Any]:
    """What ``set_output`` and ``set_fit_request`` were told; all of it is JSON."""
    config = dict(vars(estimator).get("_sklearn_output_config", {}))
    request = vars(estimator).get("_metadata_request")
    methods = [] if request is None else _methods(request)
    return {
        "set_output": config,
        "requests": {m: dict(getattr(request, m).requests) for m in methods},
    }


def _methods(request: MetadataRequest) -> list[str]:
    """Methods whose metadata can be asked for."""
    return [name for name, value in vars(request).items() if hasattr(value, "requests")]


def _apply_settings(estimator: Any, settings: dict[str, Any]) -> None:
    config, requests = settings["set_output"], settings["requests"]
    need(set(config) <= {"transform"}, "set_output is not known")
    need(all(value in _CONTAINERS for value in config.values()), "set_output is not known")
    if config:
        estimator._sklearn_output_config = dict(config)
    if not requests:
        return
    request = estimator._get_metadata_request()
    for method, asked in requests.items():
        need(method in _methods(request), f"requests of {shown(method)} are not known")
        for param, alias in asked.items():
            need(param in getattr(request, method).requests, f"{shown(param)} cannot be requested")
            getattr(request, method).add_request(param=param, alias=alias)
    estimator._metadata_request = request


def _stored_names(name: str) -> set[str]:
    """Fitted attributes that a file holds."""
    names = _STORED | (_OF_TRANSFORMERS if name in TRANSFORMERS else set())
    names |= {"_link"} if name in PREDICTORS else set()
    return names - ({"classes_"} if name == "EntityEmbeddingRegressor" else set())


def _pack_fitted(packer: Packer, estimator: Any, name: str, params: set[str]) -> Any:
    state = {a: v for a, v in vars(estimator).items() if a not in params | _SETTINGS}
    fitted = "_model" in state
    known = _stored_names(name) | {"feature_names_in_"} if fitted else set()
    known |= set(_derived(state["_model"])) if fitted else set()
    if set(state) - known:
        raise InvalidParameterError(
            f"`estimator` has attributes that a file has no place for: "
            f"{sorted(set(state) - known)}; delete them before you save it."
        )
    if not fitted:
        return None
    derived = _derived(state["_model"])
    stored = {a: v for a, v in state.items() if a not in derived}
    try:
        check_fitted(stored)
    except _IMPOSSIBLE as error:
        raise InvalidParameterError(
            f"`estimator` was changed after fit and no longer holds together: {error}."
        ) from error
    try:
        return {a: packer.pack(v, a.strip("_")) for a, v in stored.items()}
    except UnrepresentableError as error:
        names = list(derived["categories_"])
        reason = re.sub(
            r"model\.tables\.(\d+)\.vocabulary\.categories, position (\d+)",
            lambda found: f"category {found[2]} of column {names[int(found[1])]!r}",
            str(error),
        )
        raise InvalidParameterError(
            f"`estimator` cannot be saved: {reason}. Categories can be {CATEGORIES}."
        ) from error


def _derived(model: EmbeddingModel) -> dict[str, Any]:
    """The public attributes that repeat the model."""
    by_name = {t.vocabulary.name: t for t in model.tables}
    return {
        "categorical_features_": list(by_name),
        "dimensions_": {n: t.n_axes for n, t in by_name.items()},
        "categories_": {n: t.vocabulary.labels for n, t in by_name.items()},
        "category_counts_": {n: t.vocabulary.label_counts for n, t in by_name.items()},
        "infrequent_categories_": {n: t.vocabulary.infrequent for n, t in by_name.items()},
    }


def _describe_fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


def _describe_vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    keys = vocabulary.keys
    if keys is not None and str(keys.type) not in _KEY_TYPES:
        raise UnrepresentableError(
            f"column {vocabulary.name!r} has categories of Arrow's type {keys.type}"
        )
    return _describe_fields(vocabulary) | {"keys": None if keys is None else str(keys.type)}


def _make_vocabulary(fields: dict[str, Any]) -> Vocabulary:
    """The vocabulary with Arrow's keys, which are its categories and a null."""
    categories, name = fields["categories"], fields["keys"]
    if name is None:
        return Vocabulary(**fields)
    kind = _KEY_TYPES[name]
    as_objects = pa.types.is_large_string(kind) or pa.types.is_null(kind)
    natural = object if as_objects else kind.to_pandas_dtype()
    need(
        type(categories) is np.ndarray and categories.ndim == 1 and categories.dtype == natural,
        f"categories are not of type {name}",
    )
    return Vocabulary(**{**fields, "keys": arrow_keys(categories, kind)})


def _model_of_1(fields: dict[str, Any]) -> EmbeddingModel:
    """The model of a file without lists."""
    nothing = (None,) * len(fields["tables"])
    return EmbeddingModel(**fields, pooling=nothing, max_lengths=nothing)


def _memory_of_1(fields: dict[str, Any]) -> Memory:
    """The memory of a file without heads of another kind, lists and bounds."""
    layers = fields["layers"]
    need(type(layers) is tuple and len(layers) == 4, "layers remembered are not described")
    return Memory(**{**fields, "layers": (*layers, "mlp", repr("mean"), repr(None), None)})


_PLAIN = (
    ContextScaling,
    DotHead,
    EmbeddingModel,
    EmbeddingTable,
    GRU,
    Memory,
    MLPHead,
    Roles,
    Scale,
)
_STRUCTURES: Structures = {
    cls.__name__: (cls, _describe_fields, lambda fields, cls=cls: cls(**fields)) for cls in _PLAIN
} | {"Vocabulary": (Vocabulary, _describe_vocabulary, _make_vocabulary)}
_STRUCTURES_OF: dict[int, Structures] = {
    # Tables without biases, single values and no bounds are the defaults of the other types.
    1: {
        **_STRUCTURES,
        "EmbeddingModel": (EmbeddingModel, _describe_fields, _model_of_1),
        "Memory": (Memory, _describe_fields, _memory_of_1),
    },
    2: _STRUCTURES,
    3: _STRUCTURES,
}
