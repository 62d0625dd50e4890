"""The arithmetic of the benchmarks' reports, and the splits of the public tables."""

import ast
import os
import sys
from contextlib import nullcontext
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.learning.pretended import pretended_gpu

ROOT = Path(__file__).parents[1]
SHARED = ("_report", "_tables", "_common", "_cache", "_ours", "_rivals_models", "_rivals_report")
SPEED = ("speed", "_speed_common", "_speed_jobs", "_speed_report", "_environments")
SIZES = ("sizing", "_scale_rows", "gpu", "_gpu_jobs", "cost", "_cost_jobs", "_cost_formula")


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
    for name in (*SHARED, "inspection", "leakage", *SPEED, *SIZES):
        sys.modules.pop(name, None)


def make_scores():
    """Two tables, two seeds, three models; ours is ahead of one rival of two on each table."""
    names = [(t, e) for t in ("adult", "flights") for e in ("target encoder", "one-hot", '"both"')]
    means = dict(zip(names, (0.80, 0.84, 0.82, 0.70, 0.60, 0.75), strict=True))
    rows = [
        {"table": t, "seed": seed, "encoder": e, "model": m, "score": score + d}
        for (t, e), score in means.items()
        for m in ("linear", "LightGBM", "k-NN")
        for seed, d in enumerate((-0.01, 0.01))
    ]
    return pd.DataFrame(rows)


def test_summary_has_differences_to_target_encoder_and_ranks_among_rivals(benchmarks):
    from _report import summary

    scores = make_scores()
    result = summary(scores)
    for model in ("linear", "LightGBM", "k-NN"):
        assert result.loc['"both"', (model, "main")] == pytest.approx(0.02)  # adult only
        assert result.loc['"both"', (model, "all")] == pytest.approx((0.02 + 0.05) / 2)
        assert result.loc['"both"', (model, "worst")] == pytest.approx(0.02)
        assert result.loc["one-hot", (model, "worst table")] == "flights"
        assert result.loc['"both"', (model, "rank")] == pytest.approx((2 + 1) / 2)
        assert result.loc["target encoder", (model, "all")] == 0
        # a rival is ranked among rivals alone: ours does not push it down
        assert result.loc["one-hot", (model, "rank")] == pytest.approx((1 + 2) / 2)
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
    assert (len(train), len(test)) == (750, 10_000)
    assert not train.isna().to_numpy().any()
    assert "(missing)" in set(train["company"])
    pd.testing.assert_frame_equal(train, again.categories[0])
    np.testing.assert_array_equal(first.y[1], again.y[1])
    by_date = load_split("rossmann", public_tables, 4_000, seed=0).categories
    trained, tested = (pd.to_datetime(c[["year", "month", "day"]].astype(int)) for c in by_date)
    assert trained.max() <= tested.min()


def test_salaries_are_split_between_years(benchmarks, public_tables):
    from _tables import FURTHER_TABLES, load_split, tables

    train, test = load_split("lahman_salaries", public_tables, 4_000, seed=0).numbers
    assert train["yearID"].max() < test["yearID"].min()
    assert not set(FURTHER_TABLES) & set(tables(public_tables))
    assert tables(public_tables, ["loans", "adult"]) == ["adult", "loans"]
    with pytest.raises(SystemExit, match="no table 'loan'"):
        tables(public_tables, ["loan"])


def test_whole_models_are_ranked_where_they_finished_everywhere(benchmarks):
    from _rivals_report import summary

    scores = {
        ("adult", "LightGBM"): 0.80,
        ("adult", "CatBoost"): 0.82,
        ("adult", "our network"): 0.85,
        ("flights", "LightGBM"): 0.70,
        ("flights", "CatBoost"): 0.78,
        ("flights", "our network"): 0.75,
        ("adult", "TabM"): 0.9,  # not finished on the other
    }
    rows = [{"table": t, "model": m, "score": s, "seconds": 1.0} for (t, m), s in scores.items()]
    result = summary(pd.DataFrame(rows))
    ours = result.loc["our network"]
    assert ours["to LightGBM"] == pytest.approx(0.05)
    assert ours["worst to CatBoost"] == pytest.approx(-0.03)
    assert ours["rank"] == pytest.approx(1.5)
    assert result.loc["TabM", "to LightGBM"] == pytest.approx(0.1)
    assert np.isnan(result.loc["TabM", "rank"])


def test_rows_of_rivals_know_the_levels_of_the_training_rows_alone(benchmarks):
    from _rivals_models import Rows, hist_gradient_boosting, score

    pytest.importorskip("sklearn", "1.9", reason="benchmarks give TargetEncoder its folds")
    rng = np.random.default_rng(0)
    levels = np.array([f"level {i}" for i in range(300)])  # more than are taken as they are
    effects = rng.normal(size=300)
    codes = rng.integers(0, 300, 3_000)
    X, number = pd.DataFrame({"a": levels[codes]}), pd.DataFrame({"n": rng.normal(size=3_000)})
    X.loc[2_999, "a"] = "new"
    y = effects[codes] + number["n"].to_numpy()
    parts = (slice(0, 2_000), slice(2_000, None))
    cut = [tuple(t.iloc[p].reset_index(drop=True) for p in parts) for t in (X, number)]
    rows = Rows(False, *cut, tuple(y[p] for p in parts))
    train, test = rows.native()
    assert not train["a"].isna().any()
    assert test["a"].isna().iloc[-1]
    assert score(rows, hist_gradient_boosting(rows, 0)) > 0.7
    inner = rows.halves(0.75, seed=0)
    assert [len(part) for part in inner.y] == [1_500, 500]
    assert set(inner.numbers[0]["n"]) | set(inner.numbers[1]["n"]) == set(rows.numbers[0]["n"])


def test_finished_fits_are_kept_and_measured_again_if_asked(benchmarks, tmp_path):
    from _cache import kept, mark_of, package_mark

    path = tmp_path / "folder" / "fit.json"
    assert kept(path, lambda: {"score": 1}) == {"score": 1}
    assert kept(path, lambda: {"score": 2}) == {"score": 1}
    assert kept(path, lambda: {"score": 3}, again=True) == {"score": 3}
    assert package_mark() == package_mark() != mark_of("another")


def test_traces_are_judged_by_their_standard_errors(benchmarks):
    from leakage import once_table, trace_table

    aucs = {"hidden": [0.52, 0.54], "embedding": [0.5, 0.5], "both": [0.46, 0.5]}
    rows = [{"features": f, "AUC": auc} for f, values in aucs.items() for auc in values]
    table = trace_table(pd.DataFrame(rows), ["features"])
    assert table.loc["hidden", "SE"] == pytest.approx(0.01)
    assert table["SEs from 0.5"].tolist() == pytest.approx([3, 0, -1])  # none where all are 0.5
    rows = [{"features": "both", "real alone": 0.8, "with ids": 0.8 + c} for c in (0.01, -0.03)]
    table = once_table(pd.DataFrame(rows).eval("change = `with ids` - `real alone`"), ["features"])
    assert table.loc["both", "worst"] == pytest.approx(-0.03)
    assert table.loc["both", "SE"] == pytest.approx(0.02)


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


def make_figures():
    """Medians of a run in which embedding-encoder was left out."""
    left_out = {"failed": "left out"}
    return {
        "fit": {
            "ours": {"seconds": 30.0, "log_loss": 0.40, "peak_mb": 50.0, "limit_mb": 25.0},
            "embedding-encoder, batch 1024": left_out,
            "embedding-encoder, default": left_out,
        },
        "transform": {
            "ours, strings": {"seconds": 1.0, "one_row_ms": 1.5, "output_mb": 100, "peak_mb": 110},
            "TargetEncoder": {"seconds": 4.0},
        },
        "efficiency": {"ours": {"share": 0.5}},
        "epoch": {"10000": {"epoch_seconds": 0.1}, "100000": {"epoch_seconds": 1.0}},
        "step": {
            "1000": {"step_ms": 2.0, "peak_mb": 9.0, "limit_mb": 1.0},
            "100000": {"step_ms": 4.0, "peak_mb": 3.0, "limit_mb": 4.0},
        },
        "first fit": {"ours": {"seconds": 1.5}},
        "grid": {"n_jobs=1": {"seconds": 10.0}, "n_jobs=2": {"seconds": 6.0}},
    }


def test_every_goal_of_speed_is_met_or_not_or_says_why_it_was_not_measured(
    benchmarks, tmp_path, capsys
):
    from _speed_report import GOALS, judge, print_report, save_figure

    figures = make_figures()
    print_report(figures, judge(figures))
    printed = capsys.readouterr().out
    assert "embedding-encoder, default      failed: left out" in printed
    assert "not measured (fit, embedding-encoder, default: left out)" in printed
    save_figure(figures, "a machine", tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000
    lines = {line["goal"]: line for line in judge(figures)}
    assert len(lines) == len(GOALS)
    states = {goal: (line["state"], line["value"]) for goal, line in lines.items()}
    assert states["transform over TargetEncoder's"] == ("met", 0.25)
    assert states["first fit in a fresh process, 1,000 rows, s"] == ("met", 1.5)
    assert states["transform of one row, ms"] == ("not met", 1.5)
    assert states["fit: an epoch's share of the matrix-product peak"] == ("met", 0.5)
    assert states["growth: epoch by rows, slope"] == ("met", pytest.approx(1.0))
    assert states["growth: step, many levels over few"] == ("not met", 2.0)
    assert states["memory: fit of many levels over its limit"] == ("met", 0.75)
    for line in lines.values():
        assert (line["value"] is None) == (line["state"] == "not measured") == ("why" in line)
    assert "left out" in lines["fit: default, time over embedding-encoder's at 1024"]["why"]
    assert "not run" in lines["transform over category_encoders'"]["why"]
    # A log-loss that is never reached is a goal not met.
    rival = {"seconds": 20.0, "log_loss": 0.41}
    figures["fit"] |= {"embedding-encoder, batch 1024": rival, "embedding-encoder, default": rival}
    figures["reach"] = {"ours": {"seconds": float("inf")}}
    lines = {line["goal"]: line["state"] for line in judge(figures)}
    assert lines["fit: its best log-loss, time over embedding-encoder's at 1024"] == "not met"
    assert lines["fit: default, test log-loss less embedding-encoder's best"] == "met"


def test_speed_jobs_alternate_in_processes_and_failures_are_kept(benchmarks, tmp_path, monkeypatch):
    import speed
    from _environments import SKORCH

    (tmp_path / "jobs.py").write_text(
        "import json, sys\n"
        "name, arguments = sys.argv[1], json.loads(sys.argv[2])\n"
        "assert name == 'good', 'no such job'\n"
        "print(json.dumps({'seconds': arguments['seed'], 'curve': [1]}))\n"
    )
    monkeypatch.setattr(speed, "HERE", tmp_path)
    bench = speed.Bench(3, tmp_path, {"skorch": "left out"})
    jobs = {name: speed.Job("jobs.py", name, {}) for name in ("good", "bad")}
    found = bench.alternate(jobs | {"missing": speed.Job("jobs.py", "good", {}, SKORCH)})
    assert found["good"] == {"seconds": 1, "curve": [1]}  # the median of seeds 0, 1 and 2
    assert found["bad"] == {"failed": "exit status 1: AssertionError: no such job"}
    assert found["missing"] == {"failed": "left out"}


def test_the_gpu_benchmark_compares_fits_of_as_many_epochs_on_both_devices(benchmarks):
    from _gpu_jobs import codes, fit
    from gpu import compared, line

    case = {"table": "levels", "n_rows": 600, "n_levels": 300, "batch_size": 100, "epochs": 2}
    with nullcontext() if torch.cuda.is_available() else pretended_gpu():
        on_gpu, same, on_cpu = (
            fit({**case, **how})
            for how in (
                {"device": "cuda"},
                {"device": "cuda", "same_draws": True},
                {"device": "cpu"},
            )
        )
    assert same["losses"] == pytest.approx(on_cpu["losses"], rel=1e-4)
    assert on_gpu["epochs"] == on_cpu["epochs"] == len(on_cpu["losses"]) == 2
    assert 0 < on_gpu["training_seconds"] < on_gpu["seconds"]
    found = compared(on_gpu, same, {**on_cpu, "losses": [0.0, same["losses"][-1] - 0.002]})
    assert found["difference"] == pytest.approx(0.002)
    assert not found["close"]
    found = compared(on_gpu, on_cpu, {**on_cpu, "seconds": 3 * on_gpu["seconds"]})
    assert (found["difference"], found["close"]) == (0, True)
    assert found["times_as_fast"] == pytest.approx(3)
    assert compared(on_gpu, {"failed": "no time was left"}, on_cpu) is None
    assert "600 rows, 2 epochs" in line("some levels", "cuda", on_gpu)
    X, y = codes(1_000, (200, 70_000, 3))
    assert X["column0"].nunique() == 200
    assert X["column1"].cat.codes.dtype == np.int32  # of four bytes only where two do not do
    assert set(y) == {0, 1}


def test_the_cost_of_a_fit_is_predicted_from_what_can_be_counted(benchmarks):
    from _cost_formula import Size, counts, fitted, left_out, off, predicted
    from cost import GRID, cell, judged

    sizes = [counts(size) for size in GRID]
    of_seconds, of_megabytes = ([c[i] for c in sizes] for i in range(2))
    prices = {name: 0.5 + i for i, name in enumerate(of_seconds[0])}
    seconds = [predicted(prices, c) for c in of_seconds]
    assert fitted(of_seconds, seconds) == pytest.approx(prices, rel=1e-3)
    assert left_out(of_seconds, seconds) == pytest.approx(seconds, rel=1e-2)
    assert off(2.0, 5.0) == off(5.0, 2.0) == 2.5
    small, large = (counts(Size.even(n, 6, 100))[0] for n in (100_000, 1_000_000))
    assert large["a million cells read"] == 10 * small["a million cells read"]
    per_mb = {name: 100.0 * (name == "a million cells") for name in of_megabytes[0]}
    free = dict.fromkeys(prices, 0.0)
    assert cell(Size.even(1_000_000, 6, 100), free | {"a fit": 7.16}, per_mb) == "7.2 s, 600 MB"
    assert cell(Size.even(5_000_000, 6, 100), free | {"a fit": 600}, per_mb) == "10 min, 3 GB"
    found = {"size": asdict(GRID[0]), "seconds": 2.0, "peak_mb": 3.0}
    (line,) = judged([found], [5.0], [90.0])
    assert (line["seconds_off"], line["mb_off"]) == (2.5, 4.5)  # of 20 MB, which are as good as 3


def test_a_measured_fit_runs_all_epochs_that_the_formula_counts(benchmarks):
    from _cost_formula import Size, counts
    from _cost_jobs import fit

    size = Size(300, (20, 5), 3)
    found = fit({"n_rows": 300, "levels": [20, 5], "epochs": 3})
    assert (found["epochs"], found["levels"]) == (3, [20, 5])
    assert found["seconds"] > 0
    assert counts(size)[0]["a million rows learned from"] == pytest.approx(3 * 300 / 1e6)


def test_tables_of_costs_have_their_place_in_the_documents(benchmarks):
    from _cost_formula import counts
    from cost import BEGIN, END, GRID, made, with_made

    prices = [dict.fromkeys(c, 1.0) for c in counts(GRID[0])]
    for name, text in made(*prices, "a machine").items():
        old = (ROOT / name).read_text(encoding="utf-8")
        new = with_made(old, text)
        assert new.partition(BEGIN)[0] == old.partition(BEGIN)[0]
        assert new.partition(END)[2] == old.partition(END)[2]
        assert with_made(new, "other") == with_made(old, "other") != new
        assert "| 1,000 | 100 | " in new
    with pytest.raises(ValueError, match="marks"):
        with_made("no marks", "text")


def test_environments_never_install_an_unpinned_torch(benchmarks):
    from _environments import CONSTRAINTS, PYTORCH_TABULAR, SKORCH, pinned

    for environment in (SKORCH, PYTORCH_TABULAR):
        pins = pinned(CONSTRAINTS.read_text(), environment.constrained)
        assert any(pin.startswith("torch==") for pin in pins)
    with pytest.raises(ValueError, match="does not pin torch"):
        pinned("numpy==2.0  # and nothing else\n", ["numpy", "torch"])


def test_the_speed_benchmark_keeps_cells_and_times_every_epoch(benchmarks, tmp_path):
    from _speed_common import load_table, save_table
    from _speed_jobs import epoch_times, made_up

    from sk_entity_embed import EntityEmbeddingClassifier

    X, y = made_up(600, (4, 30))
    assert X["column1"].nunique() == 30
    with epoch_times() as seconds:
        EntityEmbeddingClassifier(max_iter=2, random_state=0).fit(X, y)
    assert len(seconds) == 2
    assert min(seconds) > 0
    X = pd.DataFrame({"a": ["x", None, "zz"], "b": ["1", "2", "1"]})
    save_table(tmp_path / "table.npz", X, np.array([0, 1, 1]))
    for kind in ("strings", "object", "category"):
        again, y = load_table(str(tmp_path / "table.npz"), kind)
        assert again.to_numpy(dtype=object).tolist() == [["x", "1"], ["missing", "2"], ["zz", "1"]]
        assert y.tolist() == [0, 1, 1]


def test_names_that_scripts_take_from_the_package_are_there():
    """Also of scripts that no test runs; a rename must not break them in silence."""
    for path in sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").glob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("sk_entity_embed"):
                for alias in node.names:
                    found = import_module(module)
                    assert hasattr(found, alias.name) or find_spec(f"{module}.{alias.name}"), path


# Sizes on paper ----------------------------------------------------------------------------


def make_scale_results():
    """What a machine would measure that counts a row in 1 µs, codes it in 2, and so on."""
    steps = {str(rows): 0.001 + 2e-6 * rows for rows in (512, 2048, 8192)}
    fits = [
        {
            "n_rows": n,
            "streamed": True,
            "seconds": n * 1e-5,
            "peak_gb": 2.0,
            "iterations": 4,
            "parts": {"counting": n * 1e-6, "coding": n * 2e-6},
        }
        for n in (10_000_000, 100_000_000)
    ]
    return {"rows": {"fits": fits}, "steps": steps}


def test_fits_on_paper_are_counts_times_measured_prices(benchmarks):
    from sizing import Fit, Prices, checks, predictions

    results = make_scale_results()
    prices = Prices.of(results)
    assert (prices.count, prices.code) == pytest.approx((1e-6, 2e-6))
    assert (prices.step, prices.row) == pytest.approx((0.001, 2e-6))
    one = Fit(1e8, iterations=200)  # a pass
    seconds = one.seconds(prices)
    assert seconds["counting"] == pytest.approx(100)
    assert seconds["steps"] == pytest.approx(1e8 / 2048 * (0.001 + 2048 * 2e-6), rel=1e-3)
    assert seconds["network"] == 0
    many = Fit(1e8, workers=10, rows_a_step=20_480, iterations=200)
    shared = many.seconds(prices)
    assert shared["counting"] == pytest.approx(10)
    assert shared["steps"] == pytest.approx(seconds["steps"] / 10, rel=1e-3)
    assert many.bytes_a_step == 8 * many.head_numbers + 5 * 2048 * 44 * 9
    assert one.gigabytes()["tables"] == pytest.approx(
        15 * one.numbers * 4 / 5e9 + 12e-10 * one.numbers
    )
    large = Fit(1e10, 1e9, 256).gigabytes()
    assert large["tables"] > 600
    for made in (predictions(prices), checks(prices, results)):
        lines = made.splitlines()
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines) > 3
