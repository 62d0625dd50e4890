"""Generated data: what they hold, and that the planted effects are in them."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed import datasets
from sk_entity_embed.datasets import (
    make_links,
    make_listings,
    make_ratings,
    make_reviews,
    make_sequences,
    make_token_effects,
)
from sk_entity_embed.exceptions import InvalidParameterError


@pytest.mark.parametrize("name", [name for name in datasets.__all__ if name.startswith("make_")])
def test_equal_seeds_give_equal_data_and_other_seeds_others(name):
    make = getattr(datasets, name)
    first, second, other = (make(random_state=seed) for seed in (5, 5, 6))
    again = make(random_state=np.random.RandomState(5))
    assert set(first) == set(second)
    for key, part in first.items():
        assert part.equals(second[key])
        assert part.equals(again[key])
    assert not all(part.equals(other[key]) for key, part in first.items())


def test_tokens_have_the_effects_that_are_told():
    data = make_token_effects(noise=0, random_state=3)
    assert sorted(data.effects) == [-2, -1, 0, 1, 2]
    assert data.X["token"].value_counts().tolist() == [20] * 5
    assert (data.y == data.X["token"].map(data.effects)).all()
    assert data.X["token"].iloc[:20].nunique() > 1
    data = make_token_effects(5000, 4, noise=2, random_state=0)
    assert data.X["token"].nunique() == 5000
    rest = data.y - data.X["token"].map(data.effects)
    assert rest.std() / data.effects.std() == pytest.approx(2, rel=0.02)


def test_listings_have_the_structure_that_is_told():
    data = make_listings(4000, random_state=0)
    X, log_price = data.X, np.log(data.y)
    names = "brand model postal_code fuel gearbox year power mileage"
    assert X.columns.tolist() == names.split()
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


def test_moods_decide_what_a_review_is():
    data = make_reviews(500, noise=0, random_state=0)
    words = data.X["sentence"].str.split()
    assert words.str.len().between(10, 30).all()
    moods = words.map(lambda found: data.word_effects[found].sum())
    assert (data.y[moods > 0] == 1).all()
    assert (data.y[moods < 0] == 0).all()
    assert data.word_effects.index.is_unique
    shares = np.mean([mood != 0 for found in words for mood in data.word_effects[found]])
    assert shares == pytest.approx(1 / 6, abs=0.02)


def test_students_differ_and_learn():
    data = make_sequences(400, random_state=0)
    X = data.X
    assert X["step"].equals(X.groupby("student").cumcount().rename("step"))
    assert X.groupby("student").size().between(20, 60).all()
    means = data.y.groupby(X["student"]).mean()
    assert np.corrcoef(means, data.abilities[means.index])[0, 1] > 0.5
    practice = X.groupby(["student", "skill"]).cumcount()
    log_odds = X["student"].map(data.abilities) - X["skill"].map(data.skills["difficulty"])
    log_odds += X["skill"].map(data.skills["gain"]) * practice
    expected = 1 / (1 + np.exp(-log_odds))
    assert (data.y - expected).mean() == pytest.approx(0, abs=0.01)
    assert data.y[practice >= 5].mean() > data.y[practice == 0].mean() + 0.1
    same = X["skill"].eq(X["skill"].shift())[X["step"] > 0]
    assert 0.75 < same.mean() < 0.9


def test_ratings_come_from_biases_and_factors():
    data = make_ratings(100, 150, 6000, n_factors=2, noise=0, random_state=0)
    assert len(data.X) == len(data.timestamp) == len(data.X.drop_duplicates()) == 6000
    assert set(data.y) <= set(np.arange(0.5, 5.1, 0.5))
    user = data.user_factors.loc[data.X["user"]].to_numpy()
    movie = data.movie_factors.loc[data.X["movie"]].to_numpy()
    stars = 3.5 + user[:, 0] + movie[:, 0] + (user[:, 1:] * movie[:, 1:]).sum(axis=1)
    assert np.abs(np.clip(stars, 0.5, 5) - data.y).max() <= 0.25 + 1e-9
    biases = user[:, 0] + movie[:, 0]
    assert np.corrcoef(stars, biases)[0, 1] < 0.9  # the product of factors matters


def test_genres_make_movies_alike_and_few_movies_are_popular():
    data = make_ratings(random_state=0)
    genres = data.movies["genres"].str.split("|")
    assert set(genres.str.len()) == {1, 2, 3}
    alike = data.movie_factors.drop(columns="bias").groupby(data.movies["genres"])
    within, total = alike.std().pow(2).mean().mean(), data.movie_factors.iloc[:, 1:].var().mean()
    assert within < 0.6 * total
    counts = data.X["movie"].value_counts()
    assert counts.head(50).sum() > 3 * counts.iloc[50:100].sum() / 2
    assert data.X["movie"].isin(data.movies.index).all()


def test_books_link_to_pages_of_their_genre():
    data = make_links(random_state=0)
    assert len(data.pairs.drop_duplicates()) == len(data.pairs) == 400 * 15
    assert set(data.pairs["book"].value_counts()) == {15}
    genre = data.pairs["book"].map(data.books["genre"])
    linked = data.pairs["link"].map(data.link_genres)
    own = (genre == linked).to_numpy()
    general = (linked == "general").to_numpy()
    assert own[~general].mean() > 0.6
    assert 0.2 < general.mean() < 0.9
    assert data.books.groupby("author")["genre"].nunique().max() == 1


def test_the_smallest_data_and_bad_parameters():
    assert len(make_listings(1, n_brands=1, n_postal_codes=1).X) == 1
    assert len(make_sequences(1, 1, 2).X) >= 1
    assert len(make_reviews(1, 2).X) == 1
    assert len(make_links(1, 1, links_per_book=1).pairs) == 1
    assert len(make_ratings(3, 4, 12, random_state=0).X.drop_duplicates()) == 12
    with pytest.raises(InvalidParameterError, match=r"n_ratings=13 .* = 12"):
        make_ratings(3, 4, 13)
    with pytest.raises(InvalidParameterError, match=r"links_per_book=3 .* n_links=2"):
        make_links(5, 2, links_per_book=3)
    for name, value in {"n_tokens": 1, "noise": -1, "n_per_token": 0, "random_state": "a"}.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter of make_token_effects"):
            make_token_effects(**{name: value})
    for make, name in ((make_sequences, "n_steps"), (make_reviews, "n_words")):
        with pytest.raises(ValueError, match=f"'{name}' parameter of {make.__name__}"):
            make(**{name: 1})
