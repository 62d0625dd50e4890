"""The arithmetic of the benchmarks' reports, and the splits of the public tables."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def public_tables():
    """Folder of the public tables, where it is given."""
    folder = os.environ.get("SK_ENTITY_EMBED_DATA")
    if folder is None:
        pytest.skip("set SK_ENTITY_EMBED_DATA to the folder of public tables")
    return Path(folder)


@pytest.fixture
def benchmarks(monkeypatch):
    """Make the benchmarks' shared modules importable, as they are for the scripts."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in ("_report", "_tables", "_common", "inspection"):
        sys.modules.pop(name, None)


def make_scores():
    """Two tables, two seeds, three models; ours is ahead of one rival of two on each table."""
    means = {
        ("adult", "target encoder"): 0.80,
        ("adult", "one-hot"): 0.84,
        ("adult", '"both"'): 0.82,
        ("flights", "target encoder"): 0.70,
        ("flights", "one-hot"): 0.60,
        ("flights", '"both"'): 0.75,
    }
    rows = [
        {"table": t, "seed": seed, "encoder": e, "model": m, "score": score + d}
        for (t, e), score in means.items()
        for m in ("linear", "LightGBM", "k-NN")
        for seed, d in enumerate((-0.01, 0.01))
    ]
    return pd.DataFrame(rows)


def test_summary_has_differences_to_target_encoder_and_ranks_among_rivals(benchmarks):
    from _report import summary

    result = summary(make_scores())
    for model in ("linear", "LightGBM", "k-NN"):
        assert result.loc['"both"', (model, "main")] == pytest.approx(0.02)  # adult only
        assert result.loc['"both"', (model, "all")] == pytest.approx((0.02 + 0.05) / 2)
        assert result.loc['"both"', (model, "rank")] == pytest.approx((2 + 1) / 2)
        assert result.loc["target encoder", (model, "all")] == 0
        # a rival is ranked among rivals alone: ours does not push it down
        assert result.loc["one-hot", (model, "rank")] == pytest.approx((1 + 2) / 2)


def test_an_encoder_that_did_not_finish_on_a_table_has_no_rank_there(benchmarks):
    from _report import summary

    scores = make_scores()
    unfinished = (scores["encoder"] == "one-hot") & (scores["table"] == "adult")
    result = summary(scores[~unfinished])
    assert result.loc["one-hot", ("linear", "rank")] == pytest.approx(2)  # flights alone
    assert result.loc["target encoder", ("linear", "rank")] == pytest.approx(1)


def test_goals_missed_are_named(benchmarks, capsys):
    from _report import print_report

    scores = make_scores()
    ours = scores[scores["encoder"] == '"both"'].assign(encoder='"embedding"')
    scores = pd.concat([scores, ours]).assign(width=3, seconds=1.0, peak_mb=2.0)
    print_report(scores)
    shown = capsys.readouterr().out
    assert '  MISSED  "both", linear, main tables: +0.0200, goal +0.043' in shown
    assert '  met     "embedding", LightGBM, main tables: +0.0200, goal +0.008' in shown
    assert "  MISSED  k-NN, adult: -0.0200 to the best rival, goal -0.003" in shown
    assert "flights: " not in shown.split("Goals")[1]  # nothing lost there


def test_splits_are_reproducible_strings_without_gaps(benchmarks, public_tables):
    from _tables import load_split

    first, again = (load_split("hotel_bookings", public_tables, 1_000, seed=1) for _ in range(2))
    train, test = first.categories
    assert (len(train), len(test)) == (750, 250)
    assert not train.isna().to_numpy().any()
    assert "(missing)" in set(train["company"])
    pd.testing.assert_frame_equal(train, again.categories[0])
    np.testing.assert_array_equal(first.y[1], again.y[1])


def test_rossmann_is_split_by_date(benchmarks, public_tables):
    from _tables import load_split

    split = load_split("rossmann", public_tables, 4_000, seed=0)
    trained, tested = (
        pd.to_datetime(c[["year", "month", "day"]].astype(int)) for c in split.categories
    )
    assert trained.max() <= tested.min()


def test_the_inspection_benchmark_measures_what_it_names(benchmarks, tmp_path):
    import inspection as benchmark

    encoder = benchmark.large_encoder(2_000)
    found = benchmark.neighbours(encoder, 2_000)
    assert found["index, recall"] > 0.9
    assert {"nearest, cosine", "nearest, euclidean", "nearest, dot", "index, build"} < set(found)
    sizes = benchmark.files(encoder, tmp_path)
    assert sizes["save, MB"] > 2_000 * benchmark.WIDTH * 4 / 1e6
    loaded = benchmark.load(tmp_path / "encoder.safetensors")
    assert (loaded.embeddings_["id"] == encoder.embeddings_["id"]).all(axis=None)
