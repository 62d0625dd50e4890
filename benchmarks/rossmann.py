"""The entity embeddings paper's table on Rossmann, and a map learned from sales.

Guo and Berkhahn (2016, arXiv:1604.06737) predict the daily sales of 1,115 German shops from seven
features (shop, day of the week, promotion, year, month, day and federal state) with four models,
without and with embeddings, and report the mean absolute percentage error on a tenth of the rows
with sales: drawn at random, or the last by date. This follows their protocol, with one exception:
the logarithm of the sales is divided by the largest of the *training* rows, not of all. The
models train on 200,000 rows drawn with replacement from the other nine tenths.

Features: integer codes (one-hot for the network), scikit-learn's cross-fitted ``TargetEncoder``,
and the vectors of one ``EntityEmbeddingEncoder`` that all models share. Copies of a row stay in one
fold of either. Models: nearest neighbours
(10, by distance, L1), random forest (200 trees of depth 35), gradient boosting (3,000 rounds of
0.02, depth 7, 0.7 of rows and columns; LightGBM, which has all of the paper's settings; leaves are
as many as the depth allows) and a network. The encoder's own head is the network on embeddings;
``MLPRegressor``, whose loss is the squared error, is the one on other features, for ten epochs as
in the paper; it is no more than a rough comparison.

The encoder's vectors of the states are laid over their places on the map: their first two
coordinates, moved, turned and stretched as a whole (Procrustes). The disparity is the share of the
map's variance that is left, and states permuted at random say what chance gives.

Run it with ``python benchmarks/rossmann.py [--data FOLDER] [--quick]``. The folder holds
``rossmann.parquet``: the competition's ``train.csv`` joined to the states of the shops.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from _common import RESULTS, write_results
from lightgbm import LGBMRegressor
from numpy.typing import NDArray
from scipy.spatial import procrustes
from sklearn.ensemble import RandomForestRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.input.columns import read_table

COLUMNS = ["Store", "DayOfWeek", "Promo", "year", "month", "day", "State"]
SPLITS = ["shuffled", "by time"]
FEATURES = ["codes", "TargetEncoder", "embeddings"]
MODELS = ["KNN", "random forest", "gradient boosting", "network"]
SETTINGS: dict[str, Any] = {
    "loss": "absolute_error",
}
KNN_TESTED = 20_000  # test rows, evenly spaced, on which the slowest model is judged
LONG = {"max_iter": 60}
PAPER = {  # without and with embeddings
    "shuffled": {
        "KNN": (0.315, 0.099),
        "random forest": (0.167, 0.089),
        "gradient boosting": (0.122, 0.071),
        "network": (0.070, 0.070),
    },
    "by time": {
        "KNN": (0.290, 0.116),
        "random forest": (0.158, 0.108),
        "gradient boosting": (0.152, 0.115),
        "network": (0.101, 0.093),
    },
}
PLACES = {  # degrees north and east of the middle of each state; Bremen counts with Lower Saxony
    "BE": (52.50, 13.40),
    "BW": (48.54, 9.04),
    "BY": (48.95, 11.40),
    "HB,NI": (52.76, 9.16),
    "HE": (50.60, 9.03),
    "HH": (53.55, 10.03),
    "NW": (51.48, 7.55),
    "RP": (49.91, 7.45),
    "SH": (54.18, 9.82),
    "SN": (50.93, 13.46),
    "ST": (52.01, 11.70),
    "TH": (50.90, 11.03),
}
NAMES = {
    "BE": "Berlin",
    "BW": "Baden-Württemberg",
    "BY": "Bavaria",
    "HB,NI": "Lower Saxony, Bremen",
    "HE": "Hesse",
    "HH": "Hamburg",
    "NW": "North Rhine-Westphalia",
    "RP": "Rhineland-Palatinate",
    "SH": "Schleswig-Holstein",
    "SN": "Saxony",
    "ST": "Saxony-Anhalt",
    "TH": "Thuringia",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is computed; the paper's, or little to see that all runs."""

    n_rows: int = 200_000
    n_trees: int = 200
    n_rounds: int = 3_000
    n_tested: int | None = None
    max_iter: int | None = None


QUICK = Size(n_rows=20_000, n_trees=30, n_rounds=300, n_tested=10_000, max_iter=5)


@dataclass(frozen=True, slots=True)
class Split:
    """Training rows with scaled log sales, test rows with sales.

    `drawn` numbers the training rows before the drawing with replacement: copies of a row have to
    stay in one fold, or each is encoded by tables that its copy has taught.
    """

    X: pd.DataFrame
    y: NDArray[np.float64]
    drawn: NDArray[np.intp]
    X_test: pd.DataFrame
    sales: NDArray[np.float64]
    scale: float

    def mape(
        self, predicted: NDArray[np.floating[Any]], rows: slice | NDArray[np.intp] = slice(None)
    ) -> float:
        """Mean absolute percentage error of predicted scaled log sales of (some) test rows."""
        sales = self.sales[rows]
        return float(np.mean(np.abs(np.exp(predicted * self.scale) - sales) / sales))


def load(folder: Path) -> pd.DataFrame:
    """Days with sales, with their date in parts."""
    path = folder / "rossmann.parquet"
    if not path.exists():
        raise SystemExit(f"There is no {path}: name its folder with --data or SK_ENTITY_EMBED_DATA")
    days = pd.read_parquet(
        path, columns=["Store", "DayOfWeek", "Promo", "State", "Date", "Sales", "Open"]
    )
    days = days[(days["Sales"] > 0) & (days["Open"] == 1)]
    date = days["Date"].dt
    return days.assign(year=date.year, month=date.month, day=date.day)


def split(days: pd.DataFrame, how: str, size: Size, seed: int) -> Split:
    """A tenth for the test, and training rows drawn with replacement from the rest."""
    rng = np.random.default_rng(seed)
    if how == "by time":
        days = days.sort_values(["Date", "Store"])
    else:
        days = days.iloc[rng.permutation(len(days))]
    n_train = int(0.9 * len(days))
    drawn = rng.integers(0, n_train, size.n_rows)
    train, test = days.iloc[drawn], days.iloc[n_train:]
    if size.n_tested is not None:
        test = test.sample(size.n_tested, random_state=seed)
    log_sales = np.log(train["Sales"].to_numpy(dtype=float))
    return Split(
        X=train[COLUMNS].reset_index(drop=True),
        y=log_sales / log_sales.max(),
        drawn=drawn,
        X_test=test[COLUMNS].reset_index(drop=True),
        sales=test["Sales"].to_numpy(dtype=float),
        scale=float(log_sales.max()),
    )


class Embedded:
    """One fit of the encoder, made when it is asked for, for all the models of a split."""

    def __init__(self, data: Split, settings: dict[str, Any], seed: int) -> None:
        self.data = data
        self.encoder = EntityEmbeddingEncoder("all", random_state=seed, **settings)

    @cached_property
    def _fitted(self) -> tuple[NDArray[np.float32], float]:
        start = time.perf_counter()
        train = self.encoder.fit_transform(self.data.X, self.data.y, groups=self.data.drawn)
        return train, time.perf_counter() - start

    @property
    def seconds(self) -> float:
        """Seconds of the fit."""
        return self._fitted[1]

    def features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors of training rows, out of fold, and of test rows."""
        return self._fitted[0], self.encoder.transform(self.data.X_test)

    def predict(self) -> NDArray[np.float64]:
        """What the encoder's own network says of the test rows."""
        _ = self._fitted
        return network_prediction(self.encoder, self.data.X_test)

    def states(self) -> dict[str, list[float]]:
        """First two coordinates of each state."""
        _ = self._fitted
        vectors = self.encoder.embeddings_["State"].iloc[:, :2]
        return {state: [float(v) for v in vectors.loc[state]] for state in PLACES}


def network_prediction(encoder: EntityEmbeddingEncoder, X: pd.DataFrame) -> NDArray[np.float64]:
    """Predictions of a fitted encoder's head for new rows, in the units of the target."""
    model = encoder._model
    rows = model.code(read_table(X), refuse_unknown=False, missing_is_error=False)
    vectors = np.empty((len(rows), model.edges[-1]), dtype=np.float32)
    model.embed(rows.codes, vectors)
    raw = model.head.raw(vectors, model.scaling.apply(rows.numbers))
    return (raw * model.scale.width + model.scale.center)[:, 0]


def encode(features: str, data: Split, seed: int) -> tuple[Any, Any]:
    """Training and test rows without embeddings."""
    encoders = {
        "codes": OrdinalEncoder,
        "one-hot": lambda: OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
        "TargetEncoder": lambda: TargetEncoder(
            target_type="continuous",
            cv=list(
                GroupKFold(5, shuffle=True, random_state=seed).split(data.X, groups=data.drawn)
            ),
        ),
    }
    encoder = encoders[features]()
    return encoder.fit_transform(data.X, data.y), encoder.transform(data.X_test)


def build(model: str, features: str, size: Size, seed: int) -> Any:
    """An unfitted model with the paper's settings."""
    threads = int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count()
    if model == "KNN":
        return KNeighborsRegressor(10, weights="distance", p=1, n_jobs=threads)
    if model == "random forest":
        return RandomForestRegressor(size.n_trees, max_depth=35, n_jobs=threads, random_state=seed)
    if model == "gradient boosting":
        return LGBMRegressor(
            n_estimators=size.n_rounds,
            learning_rate=0.02,
            max_depth=7,
            num_leaves=2**7,
            subsample=0.7,
            subsample_freq=1,
            colsample_bytree=0.7,
            min_child_samples=1,
            max_bin=2**11 - 1,  # one for each shop
            n_jobs=threads,
            random_state=seed,
            verbosity=-1,
        )
    # ten epochs in small batches, as in the paper, in layers of the encoder's default widths
    mlp = MLPRegressor(
        hidden_layer_sizes=(128, 64), batch_size=128, max_iter=10, alpha=0.0, random_state=seed
    )
    return mlp if features == "one-hot" else make_pipeline(StandardScaler(), mlp)


def cell(
    model: str, features: str, data: Split, embedded: Embedded, size: Size, seed: int
) -> dict[str, float]:
    """Error and seconds of one model on one kind of features."""
    if features == "embeddings" and model == "network":
        return {"mape": data.mape(embedded.predict()), "fit_seconds": embedded.seconds}
    start = time.perf_counter()
    if features == "embeddings":
        train, test = embedded.features()
    else:
        features = "one-hot" if (model, features) == ("network", "codes") else features
        train, test = encode(features, data, seed)
    encoded = time.perf_counter()
    estimator = build(model, features, size, seed)
    # neighbours look for the mean of scaled logs; the network wants a centered target
    center, width = data.y.mean(), data.y.std()
    estimator.fit(train, (data.y - center) / width)
    fitted = time.perf_counter()
    rows: Any = slice(None)
    if model == "KNN" and len(data.sales) > KNN_TESTED:
        rows = np.linspace(0, len(data.sales) - 1, KNN_TESTED).astype(np.intp)
    predicted = estimator.predict(test[rows]) * width + center
    return {
        "mape": data.mape(predicted, rows),
        "encode_seconds": embedded.seconds if features == "embeddings" else encoded - start,
        "fit_seconds": fitted - encoded,
        "predict_seconds": time.perf_counter() - fitted,
    }


class Kept:
    """Results by name in a JSON file, so that a run that was stopped goes on where it was.

    Results of other settings in the file are dropped.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = {"settings": settings, "results": {}}
        if path is not None and path.exists():
            earlier = json.loads(path.read_text())
            if earlier["settings"] == settings:
                self.content = earlier

    def __call__(self, name: str, measure: Callable[[], Any]) -> Any:
        """The result of that name, measured unless it is there."""
        results = self.content["results"]
        if name not in results:
            results[name] = measure()
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = self.path.with_suffix(".part")
                unfinished.write_text(json.dumps(self.content, indent=1))
                unfinished.replace(self.path)
        return results[name]


def measure(
    days: pd.DataFrame, size: Size, seed: int, kept: Kept
) -> tuple[list[dict[str, Any]], dict[str, list[float]]]:
    """All cells of the table, and the states' vectors of the shuffled split."""
    settings = SETTINGS if size.max_iter is None else SETTINGS | {"max_iter": size.max_iter}
    cells: list[dict[str, Any]] = []
    states: dict[str, list[float]] = {}
    for how in SPLITS:
        data = split(days, how, size, seed)
        embedded = Embedded(data, settings, seed)
        if how == "shuffled":
            states = kept("states", embedded.states)
        for model, features in order():
            job = (model, features, data, embedded, size, seed)
            result = kept(f"{how}, {model}, {features}", lambda job=job: cell(*job))
            print(f"{how:9} {model:18} {features:14}", line(result), flush=True)
            cells.append({"split": how, "model": model, "features": features, **result})
        if size.max_iter is None:
            longer = Embedded(data, settings | LONG, seed)
            job = ("network", "embeddings", data, longer, size, seed)
            result = kept(f"{how}, network, {LONG}", lambda job=job: cell(*job))
            print(f"{how:9} {'network':18} {'60 epochs':14}", line(result), flush=True)
            cells.append({"split": how, "model": "network", "features": "60 epochs", **result})
    return cells, states


def order() -> Iterator[tuple[str, str]]:
    """Models and features, the encoder's own network first."""
    pairs = [(m, f) for m in reversed(MODELS) for f in reversed(FEATURES)]
    return iter(pairs)


def line(result: dict[str, float]) -> str:
    """One cell in words."""
    return f"MAPE {result['mape']:.4f}, fitted in {result['fit_seconds']:.0f} s"


def show(cells: list[dict[str, Any]]) -> None:
    """The table in the paper's layout, the paper's numbers in brackets."""
    found = {(c["split"], c["model"], c["features"]): c["mape"] for c in cells}
    for how in SPLITS:
        print(f"\nMAPE, {how} (in brackets: the paper's)")
        print(f"{'':18}{'codes':>17}{'TargetEncoder':>17}{'embeddings':>17}")
        for model in MODELS:
            plain, embedded = PAPER[how][model]
            own = [f"{found[how, model, features]:.3f}" for features in FEATURES]
            theirs = [f" ({plain:.3f})", "", f" ({embedded:.3f})"]
            print(f"{model:18}" + "".join(f"{a + b:>17}" for a, b in zip(own, theirs, strict=True)))
    print("codes: one-hot for the network")


def on_the_map() -> NDArray[np.float64]:
    """The states' places in the plane: kilometres by 111, east and north."""
    north, east = np.array(list(PLACES.values())).T
    return np.column_stack([east * np.cos(np.radians(51.0)), north])


def compare_with_map(states: dict[str, list[float]], n_permutations: int = 2_000) -> dict[str, Any]:
    """Disparity of the states' vectors to the map, and of states permuted at random."""
    places, vectors = on_the_map(), np.array([states[s] for s in PLACES])
    disparity = procrustes(places, vectors)[2]
    rng = np.random.default_rng(0)
    permuted = [
        procrustes(places, rng.permutation(vectors, axis=0))[2] for _ in range(n_permutations)
    ]
    return {
        "disparity": float(disparity),
        "permuted_mean": float(np.mean(permuted)),
        "permuted_share_as_small": float(np.mean(np.array(permuted) <= disparity)),
    }


def draw_states(states: dict[str, list[float]], result: dict[str, Any], path: Path) -> None:
    """The map, and the vectors laid over it; colours say how far north a state is."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    # the map comes centered and of size one; the vectors turned, and drawn as large as the map
    places, vectors, _ = procrustes(on_the_map(), np.array([states[s] for s in PLACES]))
    vectors /= np.linalg.norm(vectors)
    figure, axes = plt.subplots(1, 2, figsize=(14, 6), sharex=True, sharey=True)
    titles = [
        "Where the states are",
        f"Where their vectors lie (disparity {result['disparity']:.2f}, "
        f"by chance {result['permuted_mean']:.2f})",
    ]
    reach = 1.15 * max(np.abs(places).max(), np.abs(vectors).max())
    for axis, points, title in zip(axes, [places, vectors], titles, strict=True):
        axis.scatter(*points.T, c=places[:, 1], cmap="cividis", s=70, edgecolor="black", zorder=3)
        label(axis, points, reach)
        axis.set(title=title, aspect="equal", xlim=(-1.25 * reach, 1.25 * reach))
        axis.set_ylim(-reach, reach)
        axis.set_axis_off()
    figure.suptitle("German states: their places, and what a network learned from daily sales")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(f"wrote {path}")


def label(axis: Any, points: NDArray[np.float64], reach: float) -> None:
    """Names in a column on each side, in the order of their points, with lines to these."""
    sides = np.argsort(np.argsort(points[:, 0])) >= len(points) / 2
    for right in (False, True):
        members = np.flatnonzero(sides == right)
        members = members[np.argsort(points[members, 1])]
        heights = spread(points[members, 1], 0.12 * reach)
        x = (1 if right else -1) * (np.abs(points[:, 0]).max() + 0.08 * reach)
        for i, y in zip(members, heights, strict=True):
            axis.plot([points[i, 0], x], [points[i, 1], y], color="0.7", linewidth=0.8, zorder=1)
            name = list(PLACES)[i]
            axis.text(x, y, f" {NAMES[name]} ", ha="left" if right else "right", va="center")


def spread(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Ascending heights moved as little as makes neighbours a gap apart."""
    steps = gap * np.arange(len(heights))
    return IsotonicRegression().fit_transform(steps, heights - steps) + steps


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = os.environ.get("SK_ENTITY_EMBED_DATA")
    root = Path(__file__).parents[1]
    parser.add_argument(
        "--data",
        type=Path,
        default=folder,
        required=folder is None,
        help="folder of rossmann.parquet (default: the environment's SK_ENTITY_EMBED_DATA)",
    )
    parser.add_argument("--quick", action="store_true", help="few rows, rounds and trees")
    parser.add_argument("--figure", type=Path, help="where to draw the map of the states")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--resume",
        type=Path,
        default=root / "build" / "rossmann.json",
        help="file of finished cells; delete it to measure them anew (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    warnings.simplefilter("ignore")
    size = QUICK if given.quick else Size()
    settings = {
        "size": {name: getattr(size, name) for name in Size.__slots__},
        "encoder": {
            k: v if isinstance(v, (int, float, str)) else str(v) for k, v in SETTINGS.items()
        },
        "seed": given.seed,
    }
    kept = Kept(None if given.quick else given.resume, settings)
    cells, states = measure(load(given.data), size, given.seed, kept)
    show(cells)
    result = compare_with_map(states)
    print(
        f"\nStates on the map: disparity {result['disparity']:.3f}; permuted at random "
        f"{result['permuted_mean']:.3f} on average, {result['permuted_share_as_small']:.1%} of "
        "them as small"
    )
    figure = given.figure or (None if given.quick else RESULTS / "rossmann_states.png")
    if figure is not None:
        draw_states(states, result, figure)
    if not given.quick:
        rounded = [
            {k: round(v, 4) if isinstance(v, float) else v for k, v in c.items()} for c in cells
        ]
        write_results("rossmann", {**settings, "mape": rounded, "states": result})


if __name__ == "__main__":
    main()
