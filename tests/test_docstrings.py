"""numpydoc's rules for everything public."""

from __future__ import annotations

import ast
import inspect
import re
from doctest import DocTestParser
from typing import get_args, get_type_hints

import numpy as np
import pytest
from numpydoc.validate import Validator, validate
from sklearn.utils._param_validation import StrOptions

import sk_entity_embed
import sk_entity_embed.distributed
from sk_entity_embed._parameters import documented

LEFT_OUT = {
    "GL01": "summaries start on the line of the quotes",
    "GL02": "one-line docstrings end on the line of the quotes",
    "GL08": "what has no docstring is listed by the test itself",
    "ES01": "a summary is often enough",
    "SS05": "takes plural nouns ('Names of ...') for verbs in the third person",
    "SA01": "no See Also where nothing is related",
    "YD01": "generators need no Yields section",
}
"""Checks not made, and why."""


def public_objects():
    """Dotted names of public classes, their own public methods, and functions."""
    names = []
    packages = [getattr(sk_entity_embed, name) for name in sk_entity_embed.__all__]
    for found in [*packages, sk_entity_embed.distributed]:
        if inspect.ismodule(found):
            for member in found.__all__:
                names += names_of(getattr(found, member), f"{found.__name__}.{member}")
        elif not isinstance(found, str):
            names += names_of(found, f"{found.__module__}.{found.__name__}")
    return names


def names_of(found, dotted):
    """The name of a function or class, and those of the class's public methods in the package.

    Of data, such as a list of names, there is none.
    """
    if not callable(found):
        return []
    if not inspect.isclass(found):
        return [dotted]
    methods = [
        f"{dotted}.{member}"
        for owner in found.__mro__
        if owner.__module__.startswith("sk_entity_embed")
        for member, value in vars(owner).items()
        if not member.startswith("_") and (callable(value) or isinstance(value, classmethod))
    ]
    return [dotted, *methods]


def package_of(name):
    """First module of a dotted name below the package."""
    return name.split(".")[1]


def problems_of(name):
    """Violations that count, as ``code: message``."""
    found = validate(name)
    problems = [f"{code}: {text}" for code, text in found["errors"] if code not in LEFT_OUT]
    return problems if found["docstring"] else ["GL08: no docstring"]


def test_public_objects_are_found():
    names = public_objects()
    assert "sk_entity_embed.encoder.EntityEmbeddingEncoder" in names
    assert "sk_entity_embed.encoder.EntityEmbeddingEncoder.fit_transform" in names
    assert "sk_entity_embed.exceptions.InvalidDataError" in names
    assert "sk_entity_embed.evaluation.encoding_report" in names
    assert "sk_entity_embed.export.save" in names
    assert "sk_entity_embed.inspection.EmbeddingDisplay.from_estimator" in names


@pytest.mark.parametrize("package", sorted({package_of(name) for name in public_objects()}))
def test_docstrings(package):
    found = {n: problems_of(n) for n in public_objects() if package_of(n) == package}
    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.parametrize("name", ["Encoder", "Regressor", "Classifier"])
def test_parameters_and_fitted_attributes_are_documented_in_order(name):
    rng = np.random.default_rng(0)
    X = [[c, n] for c, n in zip("ab" * 20, rng.standard_normal(40), strict=True)]
    y = rng.random(40) if name != "Classifier" else np.arange(40) % 2
    estimator = getattr(sk_entity_embed, f"EntityEmbedding{name}")(max_iter=1, cv=2).fit(X, y)
    fitted = {n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")}
    text = inspect.getdoc(type(estimator))
    sections = re.split(r"^(Parameters|Attributes|See Also)\n-+$", text, flags=re.M)
    parameters, attributes = (re.findall(r"^(\w+) : ", sections[i], re.M) for i in (2, 4))
    assert parameters == list(inspect.signature(type(estimator)).parameters)
    assert fitted | {"feature_names_in_"} <= set(attributes)
    for parameter in inspect.signature(type(estimator)).parameters.values():
        default = parameter.default
        told = re.search(rf"^{parameter.name} : .*default=(.+)$", text, re.M)[1]
        assert ast.literal_eval(told) == default


@pytest.mark.parametrize("package", sorted({package_of(name) for name in public_objects()}))
def test_examples_show_what_comes_out(package):
    told = {}
    for name in public_objects():
        if package_of(name) == package:
            examples = DocTestParser().get_examples(inspect.getdoc(Validator._load_obj(name)) or "")
            told[name] = [e.want.strip() for e in examples if e.want.strip()]
    assert {name for name, wants in told.items() if not set(wants) - {"True", "False"}} == set()


def test_a_class_without_a_docstring_stays_so():
    assert documented(type("Silent", (), {})).__doc__ is None  # as under python -OO


@pytest.mark.parametrize("name", ["Encoder", "Regressor", "Classifier"])
def test_literal_types_have_the_values_that_are_allowed(name):
    cls = getattr(sk_entity_embed, f"EntityEmbedding{name}")
    checked = set()
    for parameter, hint in get_type_hints(cls.__init__).items():
        values = [arg for part in (hint, *get_args(hint)) for arg in get_args(part)]
        words = {value for value in values if isinstance(value, str)}
        for constraint in cls._parameter_constraints.get(parameter, []):
            if words and isinstance(constraint, StrOptions):
                assert words == constraint.options, parameter
                checked.add(parameter)
    assert checked >= {"head", "loss", "handle_unknown", "handle_missing", "init", "max_iter"}
