"""Save an estimator in one file that is safe to load, and load it.

A file is a safetensors file, which other programs can open. All arrays are tensors, and all else is
in its metadata, as "sk_entity_embed": a checksum over everything in the file (sha256), a space, and
a JSON document with the versions of the format and of the package. Nothing in it is code, and
loading calls nothing that it names: values and classes are looked up in closed tables, those of
`_values` and `_fitted`.

What a file declares is checked before memory is taken for it: the library checks the sizes of
tensors against the file's, lists and objects in JSON are counted before they are made, and types,
shapes and ranges are checked before anything is looked up in them.

**When the version of the format has to rise.** `FORMAT_VERSION` rises by one, in the first change
of a release after which

- a file written before would be read wrongly, or not at all, by the new reader, or
- a file written after would be read wrongly by the reader before; that it is refused is enough
  only where the error says to upgrade, as it does for parameters and estimators not known.

So a parameter that is added needs no new version, as long as its default is what was done before;
one that is removed, renamed or means something else does, and so does any change of a fitted
attribute, of a field of a class in `_fitted`, of a tag in `_values` or of the layout. Then

1. raise `FORMAT_VERSION`, and add to `UPGRADES`, under the number before, a function that brings
   the old document into the new form;
2. leave the old golden files in ``tests/export/golden`` as they are, and write new ones with
   ``python -m tests.export.make_golden``: the tests load every one of them, for ever;
3. say so in the changelog.

A check that becomes stricter has to be stricter for all versions: a file may claim any.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save as serialize
from sklearn.utils.metadata_routing import MetadataRequest

from sk_entity_embed._access import exported_step
from sk_entity_embed._estimator import EmbeddingEstimator
from sk_entity_embed._state import attributes_of
from sk_entity_embed._steps import holds_step
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.export import _fitted
from sk_entity_embed.export._fitted import classes, require
from sk_entity_embed.export._values import (
    CATEGORIES,
    NUMBERS,
    Arrays,
    Packer,
    Unpacker,
    UnrepresentableError,
    dump_json,
    parse_json,
)
from sk_entity_embed.input.messages import shown

__all__ = ["load", "save"]

FORMAT_VERSION = 4
"""The version that :func:`save` writes."""


def _to_version_2(document: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return a document of version 1 as one of version 2.

    Models had no pairs of columns, one perceptron for all folds, and one number for each context
    column.
    """
    document = {**document, "parameters": {**document["parameters"], "interactions": None}}
    if document["fitted"] is None:
        return document
    for name, array in arrays.items():
        if name.startswith(("model.head.weights.", "model.head.biases.")):
            arrays[name] = array[None]
        elif name.startswith("model.scaling.scores."):
            arrays[name] = array[:, None]
    model = document["fitted"]["_model"]["EmbeddingModel"]
    none: dict[str, Any] = {"crosses": {"tuple": []}, "gains": {"tuple": []}}
    if "MLPHead" in model["head"]:
        none["head"] = {"MLPHead": {**model["head"]["MLPHead"], "shift": None}}
    output = {"Output": {**model["output"]["Output"], "predictions": False}}
    none["output"] = output
    fitted = {**document["fitted"], "_model": {"EmbeddingModel": {**model, **none}}}
    return {**document, "fitted": fitted}


def _to_version_3(document: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return a document of version 2 as one of version 3: each fold had a perceptron of its own."""
    if document["fitted"] is not None:
        head = document["fitted"]["_model"]["EmbeddingModel"]["head"]
        if "MLPHead" in head:
            head["MLPHead"]["folds"] = None
    return document


def _to_version_4(document: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return a document of version 3 as one of version 4: fits left no record of themselves."""
    return document


UPGRADES: dict[int, Callable[[dict[str, Any], Arrays], dict[str, Any]]] = {
    1: _to_version_2,
    2: _to_version_3,
    3: _to_version_4,
}
"""For each earlier version of the format, what makes a document of the next one of its document."""

REGISTRY = {
    "EntityEmbeddingClassifier": "sk_entity_embed.predictors",
    "EntityEmbeddingEncoder": "sk_entity_embed.encoder",
    "EntityEmbeddingRegressor": "sk_entity_embed.predictors",
}
"""The estimators that can be saved, and the modules they are in."""

_KEY = "sk_entity_embed"
_MAX_HEADER = 100_000_000  # bytes of JSON in front of the tensors; the library reads no more
_LONGEST = 500  # characters of an error about what a file says
_UNSAVED = {"callbacks"}
"""Parameters that files leave out: functions that only watch a fit."""
_ENTRIES = {"format_version", "package_version", "class", "parameters", "settings", "fitted"}
_REPEATED = {
    *("categorical_features_", "dimensions_", "categories_", "category_counts_"),
    "infrequent_categories_",
}  # the attributes that are made of the model again
_SETTINGS = {"_metadata_request", "_sklearn_output_config"}
_CONTAINERS = ("default", "pandas", "polars")
_REMEDIES = {
    "categorical_features": ("categorical_features=estimator.categorical_features_", "names"),
    "cv": ("cv=5", "an integer, one of scikit-learn's k-fold splitters or a list of splits"),
    "dimensions": ("dimensions=estimator.dimensions_", "a number, the name of a rule or a dict"),
    "init": ("init='normal'", "'normal' or a dict of data frames of numbers"),
}
"""What to set after fit in place of a parameter that cannot be saved, and what before it."""


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator in one file that is safe to load.

    The file is in the safetensors format, with a JSON document in it. It holds no pickle and no
    code. An existing file is replaced atomically; a failed save never damages it.

    Parameters
    ----------
    estimator : EntityEmbeddingEncoder, EntityEmbeddingRegressor or EntityEmbeddingClassifier
        Fitted or not. If it is not fitted, its parameters are saved. You can also give a fitted
        pipeline that holds one such step. Then only the step is saved, and :func:`load` returns the
        step. Save whole pipelines with joblib or skops.io.
    path : str or path-like
        File to write. An existing file is replaced.

    Raises
    ------
    InvalidParameterError
        If `estimator` is something else, or has values that a file cannot hold: functions, encoders
        in `init`, iterators in `cv`, categories of types of your own, millions of numbers in lists.
        Then nothing is written.
    sklearn.exceptions.NotFittedError
        If it is a pipeline that is not fitted.
    OSError
        If the file cannot be written.

    Warns
    -----
    PartialExportWarning
        If you give a pipeline with other steps, which are not saved.

    See Also
    --------
    load : Read such a file.

    Notes
    -----
    Parameters and fitted state come back equal in value and type, so results are equal, bit by bit.
    Categories can be strings, bytes, numbers, booleans, dates, times, durations, pandas' periods
    and intervals, time zones, decimals, fractions, UUIDs, IP addresses, paths, and tuples and
    frozen sets of these.

    Members of StrEnum, IntEnum and other enumerations whose members equal a plain value come back
    as that value, and are found as before. Members of other enumerations raise an error, because
    their class is code. Use their ``.name`` or ``.value`` before fit.

    References
    ----------
    https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import load, save
    >>> X, y = [["Lima"], ["Oslo"], ["Rome"]] * 40, [21.0, -5.0, 12.0, 23.0, -3.0, 14.0] * 20
    >>> encoder = EntityEmbeddingEncoder(dimensions=2, max_iter=30, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(encoder, Path(folder) / "cities.safetensors")
    ...     loaded = load(Path(folder) / "cities.safetensors")
    >>> loaded.transform([["Oslo"], ["Rome"]]).round(1)
    array([[ 1.1, -0.3],
           [-1. , -0.4]], dtype=float32)
    """
    if holds_step(estimator):
        estimator = exported_step(estimator)
    document, arrays = describe(estimator)
    _write(path, document, arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """Load an estimator from a file that ``save`` has written.

    Loading runs no code from the file and checks all of its content. You can load files that you
    do not trust: you get an estimator or an error.

    Parameters
    ----------
    path : str or path-like
        The file, in this version of the format or an older one.

    Returns
    -------
    estimator
        The estimator as it was saved.

    Raises
    ------
    InvalidFileError
        If the file is something else, was cut off, changed or damaged, or is in a newer version of
        the format.
    FileNotFoundError
        If the file does not exist.

    See Also
    --------
    save : Write such a file.

    Notes
    -----
    The checksum in the file finds damage. It does not find changes made on purpose: whoever can
    change the file can change its checksum.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(EntityEmbeddingEncoder(max_iter=7), Path(folder) / "plan.safetensors")
    ...     load(Path(folder) / "plan.safetensors")
    EntityEmbeddingEncoder(max_iter=7)
    """
    try:
        return restore(*_read(path))
    except InvalidFileError as error:
        raise InvalidFileError(f"{str(Path(path))!r} cannot be loaded: {error}.") from error


def _write(path: str | os.PathLike[str], document: dict[str, Any], arrays: Arrays) -> None:
    """Write a file in one piece: after any failure the old one is there, or none."""
    stored = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    try:
        text = dump_json(document)
    except UnrepresentableError as error:
        raise InvalidParameterError(f"`estimator` cannot be saved: it {error}.") from error
    # One entry, since the library writes several in any order, and files of equal content be equal.
    raw = serialize(stored, {_KEY: f"{_digest(text, stored)} {text}"})
    if int.from_bytes(raw[:8], "little") > _MAX_HEADER:
        raise InvalidParameterError(
            f"The parameters and columns take {len(text)} bytes of text besides arrays, and a file "
            f"has room for {_MAX_HEADER}. Give long lists, such as the splits in `cv`, as NumPy "
            "arrays, or use joblib."
        )
    write_whole(path, lambda file: file.write(raw))


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """Return the document and the arrays of a file; an InvalidFileError if it is none of ours."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        _refuse("it is not a file")
    try:
        with safe_open(os.fspath(path), framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") == _KEY:
                _refuse("a development version before 0.1 wrote it; save the estimator again")
            digest, _, text = metadata.get(_KEY, "").partition(" ")
            if not re.fullmatch("[0-9a-f]{64}", digest):
                _refuse("it is a safetensors file, but not one of sk_entity_embed")
            document = _parse(text)
            arrays = {}
            for name in file.keys():
                # An empty tensor has no bytes to hold its shape against.
                if math.prod(max(n, 1) for n in file.get_slice(name).get_shape()) > status.st_size:
                    _refuse(f"tensor {shown(name)} is larger than the file")
                arrays[name] = file.get_tensor(name)
    except InvalidFileError:
        raise
    except Exception as error:  # the library's own, and NumPy's of what it does not know
        reason = str(error)[:_LONGEST]
        raise InvalidFileError(
            f"it is not a safetensors file, or was cut off ({reason})"
        ) from error
    for name, array in arrays.items():
        if array.dtype.name not in NUMBERS:
            _refuse(f"tensor {shown(name)} has the unknown dtype {array.dtype}")
        if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
            _refuse(f"tensor {shown(name)} has bytes that are neither true nor false")
    if _digest(text, arrays) != digest:
        _refuse("its checksum does not fit: the file was changed or damaged")
    return document, arrays


def _parse(text: str) -> dict[str, Any]:
    """Return a document of a version that can be read."""
    try:
        document = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"its document is not valid JSON: {error}") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        _refuse(f"its format version {shown(version)} is not a positive integer")
    if version > FORMAT_VERSION:
        _refuse(
            f"it has format version {version}, and this version of sk_entity_embed reads up to "
            f"{FORMAT_VERSION}: pip install --upgrade sk-entity-embed"
        )
    return document


def _digest(text: str, arrays: Arrays) -> str:
    """Return the checksum of a document and of the names, types, shapes and bytes of arrays."""
    names = sorted(arrays)
    told = [text, [(name, arrays[name].dtype.name, arrays[name].shape) for name in names]]
    digest = hashlib.sha256(json.dumps(told).encode())
    for name in names:
        digest.update(arrays[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _refuse(reason: str) -> NoReturn:
    raise InvalidFileError(reason)


def describe(estimator: Any) -> tuple[dict[str, Any], Arrays]:
    """Return the document and the arrays that a file has to hold of an estimator."""
    name = _class_name(estimator)
    packer = Packer(classes(), _fitted.dismantle)
    params = estimator.get_params(deep=False)
    return {
        "format_version": FORMAT_VERSION,
        "package_version": _version(),
        "class": name,
        "parameters": {
            p: _pack_parameter(packer, estimator, p, params[p]) for p in params if p not in _UNSAVED
        },
        "settings": _settings(estimator),
        "fitted": _pack_fitted(packer, estimator, name, set(params)),
    }, packer.arrays


def restore(document: dict[str, Any], arrays: Arrays) -> Any:
    """Return the estimator that a document and its arrays describe."""
    try:
        with np.errstate(all="ignore"):
            return _restore(document, Unpacker(arrays, classes(), _fitted.build))
    except InvalidFileError:
        raise
    except Exception as error:  # of many kinds, where a file says what cannot be
        raise InvalidFileError(
            "its description of the estimator is not valid: "
            f"{str(error)[:_LONGEST] or type(error).__name__}"
        ) from error


def _restore(document: dict[str, Any], unpacker: Unpacker) -> Any:
    for version in range(document["format_version"], FORMAT_VERSION):
        document = UPGRADES[version](document, unpacker.arrays)
    require(set(document) == _ENTRIES, f"its entries are {shown(sorted(document))}")
    estimator = _make(document, unpacker)
    _apply_settings(estimator, document["settings"])
    if document["fitted"] is not None:
        state = {name: unpacker.unpack(packed) for name, packed in document["fitted"].items()}
        expected = _fitted.names_for(document["class"])
        found = set(state) - _fitted.OPTIONAL
        require(found == expected, f"its attributes are {shown(sorted(state))}")
        _fitted.check_fitted(state)
        vars(estimator).update(state, **attributes_of(state["_model"]))
    unused = sorted(unpacker.arrays)
    require(not unused, f"it has tensors without a use: {shown(unused)}")
    return estimator


def _make(document: dict[str, Any], unpacker: Unpacker) -> Any:
    """Return the estimator with the parameters of the file; later ones keep their defaults."""
    name, written = document["class"], shown(document["package_version"]).strip("'")
    if name not in REGISTRY:
        _refuse(
            f"it holds the estimator {shown(name)}, written by sk_entity_embed {written}; this "
            f"version, {_version()}, knows {sorted(REGISTRY)}"
        )
    estimator = _class(name)()
    unknown = set(document["parameters"]) - set(estimator.get_params(deep=False))
    if unknown:
        _refuse(
            f"it sets {shown(sorted(unknown))}, written by sk_entity_embed {written}; this "
            f"version, {_version()}, knows no such parameters of {name}: pip install --upgrade "
            "sk-entity-embed"
        )
    values = {p: unpacker.unpack(packed) for p, packed in document["parameters"].items()}
    return type(estimator)(**values)


def _version() -> str:
    """Return the version of the package, whose ``__init__`` no module of it imports by name."""
    return str(import_module("sk_entity_embed").__version__)


def _class(name: str) -> type:
    found: type = getattr(import_module(REGISTRY[name]), name)
    return found


def _class_name(estimator: Any) -> str:
    """Return the registered name of an estimator's own class."""
    name = type(estimator).__name__
    if name in REGISTRY and type(estimator) is _class(name):
        return name
    shown = f"the class {estimator.__name__}" if isinstance(estimator, type) else name
    if isinstance(estimator, EmbeddingEstimator):
        shown = f"{name}, a subclass, which a file cannot name"
    raise InvalidParameterError(
        f"`estimator` must be one of {sorted(REGISTRY)}, or a pipeline with one inside, got "
        f"{shown}. Save other estimators with joblib or skops.io."
    )


def _pack_parameter(packer: Packer, estimator: Any, name: str, value: Any) -> Any:
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
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
    """Return what ``set_output`` and ``set_fit_request`` were told; all of it is JSON."""
    config = dict(vars(estimator).get("_sklearn_output_config", {}))
    request = vars(estimator).get("_metadata_request")
    methods = [] if request is None else _methods(request)
    return {
        "set_output": config,
        "requests": {m: dict(getattr(request, m).requests) for m in methods},
    }


def _methods(request: MetadataRequest) -> list[str]:
    """Return the methods whose metadata can be asked for."""
    return [name for name, value in vars(request).items() if hasattr(value, "requests")]


def _apply_settings(estimator: Any, settings: dict[str, Any]) -> None:
    config, requests = settings["set_output"], settings["requests"]
    require(set(config) <= {"transform"}, "set_output is not known")
    require(all(value in _CONTAINERS for value in config.values()), "set_output is not known")
    if config:
        estimator._sklearn_output_config = dict(config)
    if not requests:
        return
    request = estimator._get_metadata_request()
    for method, asked in requests.items():
        require(method in _methods(request), f"requests of {shown(method)} are not known")
        for param, alias in asked.items():
            require(
                param in getattr(request, method).requests, f"{shown(param)} cannot be requested"
            )
            getattr(request, method).add_request(param=param, alias=alias)
    estimator._metadata_request = request


def _pack_fitted(packer: Packer, estimator: Any, name: str, params: set[str]) -> Any:
    state = {a: v for a, v in vars(estimator).items() if a not in params | _SETTINGS}
    fitted, repeated = "_model" in state, _REPEATED
    known = _fitted.names_for(name) | repeated | _fitted.OPTIONAL if fitted else set()
    if set(state) - known:
        raise InvalidParameterError(
            f"`estimator` has attributes that cannot be saved: {sorted(set(state) - known)}; "
            "delete them before you save it."
        )
    if not fitted:
        return None
    stored = {a: v for a, v in state.items() if a not in repeated}
    try:
        _fitted.check_fitted(stored)
        return {a: packer.pack(v, a.strip("_")) for a, v in stored.items()}
    except UnrepresentableError as error:
        names = [table.vocabulary.name for table in state["_model"].tables]
        reason = re.sub(
            r"model\.tables\.(\d+)\.vocabulary\.categories, position (\d+)",
            lambda found: f"category {found[2]} of column {names[int(found[1])]!r}",
            str(error),
        )
        raise InvalidParameterError(
            f"`estimator` cannot be saved: {reason}. Categories can be {CATEGORIES}."
        ) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"`estimator` was changed after fit and no longer holds together: {error}."
        ) from error
