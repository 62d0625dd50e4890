"""Generated tables: what they hold, and that the planted effects are in them."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.datasets import make_listings, make_token_effects
from tests.datasets.same import assert_reproducible


@pytest.mark.parametrize("make", [make_token_effects, make_listings])
def test_equal_seeds_give_equal_data(make):
    assert_reproducible(make)


def test_tokens_have_the_effects_that_are_told():
    data = make_token_effects(noise=0, random_state=3)
    assert sorted(data.effects) == [-2, -1, 0, 1, 2]
    assert data.X["token"].value_counts().tolist() == [20] * 5
    assert (data.y == data.X["token"].map(data.effects)).all()
    assert data.X["token"].iloc[:20].nunique() > 1


def test_noise_is_in_units_of_the_effects():
    data = make_token_effects(5000, 4, noise=2, random_state=0)
    assert data.X["token"].nunique() == 5000
    rest = data.y - data.X["token"].map(data.effects)
    assert rest.std() / data.effects.std() == pytest.approx(2, rel=0.02)


def test_which_token_has_which_effect_is_random():
    orders = {tuple(make_token_effects(random_state=s).effects) for s in range(5)}
    assert len(orders) == 5


def test_listings_have_the_structure_that_is_told():
    data = make_listings(4000, random_state=0)
    X, log_price = data.X, np.log(data.y)
    assert X.columns.tolist() == [
        *("brand", "model", "postal_code", "fuel", "gearbox", "year", "power", "mileage"),
    ]
    assert not X.isna().any(axis=None)
    assert X["model"].str.partition("/")[0].equals(X["brand"].rename(0))
    assert X["postal_code"].str.fullmatch(r"\d{5}").all()
    assert X["year"].between(1995, 2016).all()
    assert (X["power"] > 20).all()
    assert (X["mileage"] % 5000 == 0).all()
    known = X["model"].map(data.model_effects) + X["postal_code"].str[:2].map(data.region_effects)
    columns = [known, X["year"], X["mileage"], np.log(X["power"]), X["gearbox"] == "manual"]
    design = np.column_stack([np.ones(len(X)), *columns]).astype(float)
    slopes, *_ = np.linalg.lstsq(design, log_price, rcond=None)
    assert slopes[1] == pytest.approx(1, abs=0.1)
    assert np.std(log_price - design @ slopes) < 0.25
    by_brand = data.model_effects.groupby(lambda model: model.partition("/")[0]).mean()
    assert np.corrcoef(by_brand, data.brand_effects)[0, 1] > 0.8


def test_small_listings_and_bad_parameters():
    assert len(make_listings(1, n_brands=1, n_postal_codes=1).X) == 1
    for wrong in ({"n_tokens": 1}, {"noise": -1}, {"n_per_token": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make_token_effects(**wrong)
