"""What stands in the way before a fit on a cluster begins."""

from __future__ import annotations

import sys

import pytest

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.distributed import fit
from sk_entity_embed.distributed.cluster import check_machines
from sk_entity_embed.exceptions import InvalidParameterError


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[distributed\]'"):
        fit(EntityEmbeddingEncoder(), "rows.parquet", y="price")


def test_a_machine_with_another_version_is_refused(ray):
    assert check_machines(ray, sys.modules["sk_entity_embed"].__version__) == 1
    with pytest.raises(InvalidParameterError, match=r"has sk_entity_embed 99\.0, but machine .* v"):
        check_machines(ray, "99.0")
