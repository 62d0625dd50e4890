"""What stands in the way before a fit on a cluster begins."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.distributed import fit, transform
from sk_entity_embed.distributed.cluster import check_machines
from sk_entity_embed.distributed.training import Cluster, check, divide
from sk_entity_embed.exceptions import InvalidParameterError, UnsupportedDataError


def test_without_ray_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-entity-embed\[distributed\]'"):
        fit(EntityEmbeddingEncoder(), "rows.parquet", y="price")


def test_a_machine_with_another_version_is_refused(ray):
    assert check_machines(ray, sys.modules["sk_entity_embed"].__version__) == 1
    with pytest.raises(InvalidParameterError, match=r"has sk_entity_embed 99\.0, but machine .* v"):
        check_machines(ray, "99.0")


def test_rows_are_dealt_to_workers_in_their_order():
    sizes = [5, 0, 1, 4]
    for n_workers in (1, 2, 3, 10):
        shards = divide("abcd", sizes, n_workers)
        spans = [span for shard in shards for span in shard]
        rows = [(ref, i) for ref, start, stop in spans for i in range(start, stop)]
        assert rows == [(ref, i) for ref, n in zip("abcd", sizes, strict=True) for i in range(n)]
        lengths = [sum(stop - start for _, start, stop in shard) for shard in shards]
        assert max(lengths) - min(lengths) <= 1


def test_what_does_not_go_together_is_refused():
    cluster = Cluster(2, False, None, None, 3, 60.0)
    assert check(cluster, 1, "auto") == "cpu"
    assert check(replace(cluster, use_gpu=True), 1, "cuda") == "cuda"
    with pytest.raises(InvalidParameterError, match=r"has 3 machines\. Give `storage_path`"):
        check(cluster, 3, "auto")
    with pytest.raises(InvalidParameterError, match=r"use_gpu=True, but .* device='cpu'"):
        check(replace(cluster, use_gpu=True), 1, "cpu")


def test_what_cannot_be_read_or_is_not_fitted_is_refused(ray):
    with pytest.raises(UnsupportedDataError, match="type int cannot be read on a cluster; give"):
        fit(EntityEmbeddingEncoder(), 3, y="price")
    with pytest.raises(UnsupportedDataError, match="can be fitted on a cluster, not Pipeline"):
        fit(make_pipeline(EntityEmbeddingEncoder()), "rows.parquet", y="price")
    with pytest.raises(NotFittedError):
        transform(EntityEmbeddingEncoder(), "rows.parquet")
