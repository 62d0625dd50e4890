"""ONNX of whole pipelines: what skl2onnx has to know of the estimators of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from sk_entity_embed._access import fitted_model
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError
from sk_entity_embed.export._onnx_graph import CategoryInput, Graph
from sk_entity_embed.export.onnx import add_answers, read_columns
from sk_entity_embed.model.fitted import EmbeddingModel

__all__ = ["register_onnx"]

_OLDEST_OPSET = 14
"""Before it, no Reshape keeps a dimension of length zero."""

_ELEMENTS = {
    "StringTensorType": "STRING",
    "Int64TensorType": "INT64",
    "Int32TensorType": "INT32",
    "BooleanTensorType": "BOOL",
    "FloatTensorType": "FLOAT",
    "DoubleTensorType": "DOUBLE",
}
"""From skl2onnx's types of inputs to those of ONNX."""

_ACCEPTED = {
    "STRING": ["STRING"],
    "INT64": ["INT64", "INT32", "BOOL"],
    "BOOL": ["BOOL", "INT64", "INT32"],
    "DOUBLE": ["DOUBLE", "INT64", "INT32"],
}
"""Which types of inputs hold the categories of a column exactly."""

_NUMBERS = ["DOUBLE", "FLOAT", "INT64", "INT32", "BOOL"]


def register_onnx() -> None:
    """Teach skl2onnx to convert pipelines that hold estimators of this package.

    Call it once in a process. Then ``skl2onnx.to_onnx`` and
    ``skl2onnx.convert_sklearn`` convert :class:`~sk_entity_embed.EntityEmbeddingEncoder`,
    :class:`~sk_entity_embed.EntityEmbeddingRegressor` and
    :class:`~sk_entity_embed.EntityEmbeddingClassifier` wherever they stand: alone, in a
    :class:`~sklearn.pipeline.Pipeline`, in a :class:`~sklearn.compose.ColumnTransformer`.
    Calling it again changes nothing.

    Give each column of `X` its own input of shape ``[None, 1]`` in `initial_types`, with a type
    that holds its cells exactly:

    ==========================  ======================================================
    column                      type of the input
    ==========================  ======================================================
    categories: text            ``StringTensorType``
    categories: integers        ``Int64TensorType``
    categories: booleans        ``BooleanTensorType`` or ``Int64TensorType``
    categories: floats          ``DoubleTensorType``; NaN is a missing cell
    context: numbers            ``DoubleTensorType``, or ``FloatTensorType`` if float32
                                is exact enough; NaN is a missing cell
    ==========================  ======================================================

    Two options of skl2onnx are added, by class, by ``id`` of the fitted estimator, or by the name
    of the step. They mean the same as in :func:`to_onnx`: ``missing_values`` names what stands for
    a missing cell of text, integers or booleans, and is needed where fit had missing cells;
    ``handle_unknown`` is needed where ``transform`` would raise. Classifiers have the options
    ``zipmap`` and ``output_class_labels`` of other classifiers. To give options to several steps,
    use keys of one kind for all, as in the last example: beside a class as a key, skl2onnx refuses
    a bare ``"zipmap": False`` with an AttributeError on ``rindex``.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : One estimator of this package, without skl2onnx. It also takes columns of lists.

    Notes
    -----
    All opsets from 14 on can be the target. The vectors are those of ``transform``. What the
    other steps compute is up to skl2onnx. Most of its converters work in float32: their results
    agree to about 1e-6, and numbers that only other steps read should be ``FloatTensorType``.
    Under protobuf 7, skl2onnx 1.20 fails to convert histogram-based gradient boosting; this
    function mends that, too.

    During the conversion, an :class:`~sk_entity_embed.exceptions.UnsupportedDataError` is raised
    where a column holds lists, which need two inputs, and where :func:`to_onnx` would raise one. An
    :class:`~sk_entity_embed.exceptions.InvalidParameterError` is raised where an input has a type
    that does not suit its column, or an option is wrong or lacking.

    References
    ----------
    skl2onnx, https://onnx.ai/sklearn-onnx/.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import pandas as pd
    >>> from skl2onnx import to_onnx
    >>> from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_entity_embed import EntityEmbeddingEncoder
    >>> from sk_entity_embed.export import register_onnx
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"city": rng.choice(["Oslo", "Rome"], 100), "day": rng.random(100)})
    >>> encoder = EntityEmbeddingEncoder(max_iter=1, random_state=0)
    >>> pipeline = make_pipeline(encoder, LogisticRegression()).fit(X, X["city"] == "Oslo")
    >>> register_onnx()
    >>> types = [("city", StringTensorType([None, 1])), ("day", DoubleTensorType([None, 1]))]
    >>> model = to_onnx(pipeline, initial_types=types, options={"zipmap": False})
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> label, p = session.run(None, {name: X[[name]].to_numpy() for name in X})
    >>> np.abs(p - pipeline.predict_proba(X)).max() < 1e-6
    np.True_

    Options of two steps together, where fit had missing cells:

    >>> X.loc[::9, "city"] = None
    >>> pipeline = pipeline.fit(X, X["city"] == "Oslo")
    >>> options = {
    ...     EntityEmbeddingEncoder: {"missing_values": {"city": ""}},
    ...     LogisticRegression: {"zipmap": False},
    ... }
    >>> model = to_onnx(pipeline, initial_types=types, options=options)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> rows = X.fillna({"city": ""})
    >>> label, p = session.run(None, {name: rows[[name]].to_numpy() for name in rows})
    >>> np.abs(p - pipeline.predict_proba(X)).max() < 1e-6
    np.True_
    """
    try:
        import skl2onnx
        from skl2onnx import _parse
    except ImportError as error:
        raise ImportError(
            "register_onnx needs skl2onnx; install it with pip install 'sk-entity-embed[onnx]'."
        ) from error
    from sk_entity_embed import (
        EntityEmbeddingClassifier,
        EntityEmbeddingEncoder,
        EntityEmbeddingRegressor,
    )

    own = {"missing_values": None, "handle_unknown": None}
    classes = {
        "zipmap": [True, False, "columns"],
        "output_class_labels": [False, True],
        "nocl": [False],
    }
    kinds: dict[type, tuple[Any, dict[str, Any]]] = {
        EntityEmbeddingEncoder: (_shape_vectors, own),
        EntityEmbeddingRegressor: (_shape_predictions, own),
        EntityEmbeddingClassifier: (_shape_classes, {**own, **classes}),
    }
    for kind, (shapes, options) in kinds.items():
        alias = f"SkEntityEmbed{kind.__name__}"
        skl2onnx.update_registered_converter(kind, alias, shapes, _convert, options=options)
    # A ColumnTransformer hands the columns on one by one to these alone. To others it gives one
    # tensor, in which numbers beside text would be text.
    if EntityEmbeddingEncoder not in _parse.do_not_merge_columns:
        _parse.do_not_merge_columns += tuple(kinds)
    _mend_boosted_trees()


@cache
def _mend_boosted_trees() -> None:
    """Let skl2onnx convert histogram-based boosting under protobuf 7.

    Its converters (as of 1.20) give truth values where nodes of trees have integers, and protobuf 7
    refuses these.
    """
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, register_converter

    for kind in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        alias = sklearn_operator_name_map[kind]
        known = get_converter(alias)
        options = known.get_allowed_options()
        register_converter(alias, _with_integers(known), overwrite=True, options=options)


def _with_integers(convert: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """Return a converter whose nodes have no truth values in their attributes."""

    def converted(scope: Any, operator: Any, container: Any) -> None:
        convert(scope, operator, _Integers(container))

    return converted


class _Integers:
    """A container of skl2onnx that takes truth values in lists for integers."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *args: Any, **attributes: Any) -> None:
        for name, value in attributes.items():
            if isinstance(value, list) and any(isinstance(v, bool) for v in value):
                attributes[name] = [int(v) for v in value]
        self._container.add_node(*args, **attributes)


def _shape_vectors(operator: Any) -> None:
    """Set type and shape of what ``transform`` gives."""
    from skl2onnx.common.data_types import FloatTensorType

    model = _checked(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([n_rows, len(model.output_names())])


def _shape_predictions(operator: Any) -> None:
    """Set type and shape of a regressor's predictions."""
    from skl2onnx.common.data_types import DoubleTensorType

    model = _checked(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = DoubleTensorType([n_rows, model.head.n_outputs])


def _shape_classes(operator: Any) -> None:
    """Set type and shape of a classifier's labels and probabilities."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    _checked(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    classes = operator.raw_operator.classes_
    several = operator.raw_operator.target_type_ == "multilabel-indicator"
    is_text = not several and isinstance(classes.tolist()[0], str)
    kind = StringTensorType if is_text else Int64TensorType
    operator.outputs[0].type = kind([n_rows, len(classes)] if several else [n_rows])
    operator.outputs[1].type = FloatTensorType([n_rows, len(classes)])


def _checked(operator: Any) -> EmbeddingModel:
    """Return the model of an operator's estimator; refuse columns of lists."""
    model = fitted_model(operator.raw_operator)
    if lists := [v.name for v in model.vocabularies if v.is_list]:
        raise UnsupportedDataError(
            f"Column {lists[0]!r} holds lists, which need two inputs of an ONNX model, but "
            "skl2onnx has one for each column. Export the step alone with "
            "sk_entity_embed.export.to_onnx, which takes lists."
        )
    return model


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator to those of the pipeline."""
    opset = container.target_opset_any_domain("")
    if opset < _OLDEST_OPSET:
        raise InvalidParameterError(
            f"`target_opset` is {opset}, but the estimators of sk_entity_embed need "
            f"{_OLDEST_OPSET} or a newer one."
        )
    estimator = operator.raw_operator
    options = container.get_options(estimator, {"missing_values": None, "handle_unknown": None})
    model = fitted_model(estimator)
    tensors: dict[str, str] = {}
    graph = Graph([*scope.onnx_variable_names, *model.names], tensors, opset)
    model, columns = read_columns(
        graph, estimator, options["missing_values"], options["handle_unknown"]
    )
    _read_inputs(graph, operator.inputs, model, columns, tensors)
    answers, _ = add_answers(graph, estimator, model, columns)
    for (name, _, _), output in zip(answers, operator.outputs, strict=True):
        shape = [-1, *output.type.shape[1:]]
        value = graph.cast(name, _ELEMENTS[type(output.type).__name__])
        graph.node("Reshape", value, graph.constant(shape), output=output.full_name)
    _hand_over(graph, scope, container)


def _read_inputs(
    graph: Graph,
    inputs: Sequence[Any],
    model: EmbeddingModel,
    columns: Sequence[CategoryInput],
    tensors: dict[str, str],
) -> None:
    """Fill in the tensor of each column, in the type that the column has in the graph."""
    cells = [cell for variable in inputs for cell in _columns_of(graph, variable, model)]
    if len(cells) != len(model.names):
        raise InvalidParameterError(
            f"The estimator was fitted with {len(model.names)} columns, but the inputs of the ONNX "
            f"model have {len(cells)}. Give each column an input of shape [None, 1]: "
            f"{list(model.names)}."
        )
    named = {variable.raw_name: cell for variable, cell in zip(inputs, cells, strict=False)}
    if set(named) == set(model.names):
        cells = [named[name] for name in model.names]
    wanted = {entry.name: entry.kind for entry in columns}
    for name, (tensor, given) in zip(model.names, cells, strict=True):
        kind = wanted.get(name, "DOUBLE")
        accepted = _ACCEPTED[kind] if name in wanted else _NUMBERS
        if given not in accepted:
            types = [t for t, element in _ELEMENTS.items() if element in accepted]
            raise InvalidParameterError(
                f"The input of column {name!r} is a {_type_name(given)}, which does not hold its "
                f"cells as fit had them. Give it one of {types} in `initial_types`."
            )
        tensors[name] = tensor if given == kind else graph.cast(tensor, kind)


def _columns_of(graph: Graph, variable: Any, model: EmbeddingModel) -> list[tuple[str, str]]:
    """Return tensor and type of each column that an input holds."""
    kind = _ELEMENTS.get(type(variable.type).__name__, type(variable.type).__name__)
    width = variable.type.shape[1] if len(variable.type.shape) > 1 else 1
    width = len(model.names) if width is None else width
    if width == 1:
        return [(variable.full_name, kind)]
    parts = [
        graph.node("Gather", variable.full_name, graph.constant([j]), axis=1) for j in range(width)
    ]
    return [(part, kind) for part in parts]


def _type_name(element: str) -> str:
    return next((t for t, known in _ELEMENTS.items() if known == element), element)


def _hand_over(graph: Graph, scope: Any, container: Any) -> None:
    """Give nodes and constants to skl2onnx, and claim their names."""
    from onnx import helper

    container.initializers.extend(graph.constants)
    scope.onnx_variable_names.update(constant.name for constant in graph.constants)
    for node in graph.nodes:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        container.add_node(
            node.op_type,
            list(node.input),
            list(node.output),
            op_domain=node.domain,
            op_version=2 if node.domain else None,  # of LabelEncoder; version 4 is often too new
            name=scope.get_unique_operator_name(node.name),
            **attributes,
        )
        scope.onnx_variable_names.update(node.output)
