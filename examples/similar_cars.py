"""Used cars like this one
=======================

Used cars like this one: neighbours of a listing, and a map of postal areas by price.

Brand, model, postal area, fuel and gearbox of used cars are embedded such that they explain the
logarithm of the price; year, power and mileage are context. The script scores that against a
TargetEncoder on cars that neither has seen, lists the cars most similar to one, and draws the
postal areas. The listings are those of ``ebay_used_cars.parquet`` in the folder ``--data``, from
Germany, where the first two digits of a postal code are an area; else they are generated.

Cars are compared by ``output="both"``: the vectors say what a car is, and the network's last hidden
layer adds what its age, power and mileage do to the price. Vectors alone ignore these, and the
hidden layer alone finds cars of other makes at the same price.

Run it with ``python examples/similar_cars.py [--data FOLDER] [--rows N] [--output FOLDER]``.
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import find_data, read_options, save_figure, tell_data
from scipy.stats import spearmanr
from sklearn.preprocessing import TargetEncoder

from sk_entity_embed import EntityEmbeddingEncoder
from sk_entity_embed.datasets import make_listings
from sk_entity_embed.evaluation import encoding_report
from sk_entity_embed.inspection import EmbeddingDisplay, nearest

# %%
# The listings
# ------------
# Cars that were offered twice are kept once, and impossible powers become missing.


GERMAN = {
    "postalCode": "postal_code",
    "fuelType": "fuel",
    "yearOfRegistration": "year",
    "powerPS": "power",
    "km": "mileage",
}
COLUMNS = ["brand", "model", "area", "fuel", "gearbox", "year", "power", "mileage"]
ZONES = ["0-1 east", "2-3 north", "4-5 west", "6-7 south-west", "8-9 south"]


def read_listings(options: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Cars, their prices, and what is known of postal areas: where they are, or their effect."""
    path = find_data(options, "ebay_used_cars.parquet")
    if path is None:
        data = make_listings(16_000 if options.rows is None else options.rows, random_state=0)
        listings, known = data.X.assign(price=data.y), data.region_effects.rename("true effect")
    else:
        listings = pd.read_parquet(path).rename(columns=GERMAN)[: options.rows]
        areas = [f"{i:02}" for i in range(100)]
        known = pd.Series([ZONES[int(a) // 20] for a in areas], areas, name="postal region")
    tell_data(path or "make_listings", f"{len(listings):,} listings")
    X, y = clean(listings)
    return X, y, known


def clean(listings: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Cars offered twice only once, and powers that no car has as missing."""
    listings = listings.assign(
        area=listings["postal_code"].str[:2],
        # 0 is a field left empty, and 14,009 a slip; between them are cars from Trabant to Ferrari.
        power=listings["power"].where(listings["power"].between(20, 700)),
    )
    once = listings.drop_duplicates([*COLUMNS, "postal_code", "price"]).reset_index(drop=True)
    n_twice, n_powers = len(listings) - len(once), once["power"].isna().sum()
    print(f"{n_twice:,} offered twice left out; {n_powers:,} powers outside 20 to 700 PS unknown")
    return once[COLUMNS], once["price"]


# %%
# Scores and neighbours
# ---------------------


def typical_error(model: object, X: np.ndarray, log_price: np.ndarray) -> float:
    """Median error of the price, as a share of it."""
    return float(np.median(np.abs(np.expm1(model.predict(X) - log_price))))


def compare(
    encoder: EntityEmbeddingEncoder, X: pd.DataFrame, log_price: pd.Series, n_folds: int
) -> pd.DataFrame:
    """R2 of the log-price, its gain on TargetEncoder, and error of the price, held out."""
    reports = [
        encoding_report(
            encoder,
            X,
            log_price,
            encoders={"TargetEncoder": TargetEncoder()},
            scoring=scoring,
            cv=n_folds,
            random_state=0,
        ).set_index(["downstream", "encoder"])
        for scoring in ("r2", typical_error)
    ]
    columns = {
        "R2": reports[0]["mean_test_score"],
        "gain": reports[0]["difference"],
        "sd of gain": reports[0]["std_difference"],
        "median error": reports[1]["mean_test_score"],
    }
    return pd.DataFrame(columns).round(4)


def similar(vectors: pd.DataFrame, cars: pd.DataFrame, listing: int) -> pd.DataFrame:
    """One listing, and below it the three most similar ones."""
    found = nearest(vectors, None, listing, k=3, metric="euclidean").set_index("category")
    return cars.loc[[listing, *found.index]].assign(distance=found["distance"].round(3))


def describe_axis(first: pd.Series, known: pd.Series) -> str:
    """What the first axis of the areas has to do with what is known of them."""
    known = known[first.index]
    if known.name == "true effect":
        size = abs(spearmanr(first, known).statistic)
        return f"rank correlation of the areas' first axis with their true effects: {size:.3f}"
    means = first.groupby(known).mean().round(3)
    named = "".join(f"\n  {zone:16}{mean:+.3f}" for zone, mean in means.items())
    return f"areas' first axis (sd {first.std():.3f}), means by region:{named}"


# %%
# Against TargetEncoder
# ---------------------
# A linear model and gradient boosting on cars that neither encoder has seen.

options = read_options(__doc__, "listings to use")
X, price, known = read_listings(options)
encoder = EntityEmbeddingEncoder(output="both", dimensions={"area": 2}, random_state=0)
print("\nheld-out cars:")
n_folds = 5 if options.rows is None else 2
print(compare(encoder, X, np.log(price), n_folds).to_string())


# %%
# Similar cars
# ------------
# The three listings nearest to one.

encoder.set_output(transform="pandas").fit(X, np.log(price))
listing = int(X.index[X["model"] == X["model"].mode()[0]][0])
print("\na listing, and the three most similar ones:")
table = similar(encoder.transform(X), X.assign(price=price), listing)
print(table.to_string(na_rep="", index=False))


# %%
# Postal areas
# ------------
# A map made of prices. The colours show what the network never saw.

print(f"\n{describe_axis(encoder.embeddings_['area'][0], known)}")
figure, ax = plt.subplots(figsize=(10, 7.5), layout="constrained")
EmbeddingDisplay.from_estimator(encoder, "area", color=known, labels="all", ax=ax)
ax.set_title("Postal areas, as prices of cars see them\n(colour: what the network never saw)")
save_figure(figure, options, "similar_cars_areas.png")
