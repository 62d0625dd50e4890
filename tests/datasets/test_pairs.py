"""Generated pairs: ratings and links, and the structure planted in them."""

from __future__ import annotations

import numpy as np
import pytest

from sk_entity_embed.datasets import make_links, make_ratings
from sk_entity_embed.exceptions import InvalidParameterError
from tests.datasets.same import assert_reproducible


@pytest.mark.parametrize("make", [make_ratings, make_links])
def test_equal_seeds_give_equal_data(make):
    assert_reproducible(make)


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
    assert data.movies.index.is_unique
    assert data.X["movie"].isin(data.movies.index).all()


def test_all_pairs_can_be_rated_but_none_twice():
    data = make_ratings(3, 4, 12, random_state=0)
    assert len(data.X.drop_duplicates()) == 12
    with pytest.raises(InvalidParameterError, match=r"n_ratings=13 .* = 12"):
        make_ratings(3, 4, 13)


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
    assert data.books["author"].nunique() < len(data.books)


def test_small_links_and_too_many():
    assert len(make_links(1, 1, links_per_book=1).pairs) == 1
    with pytest.raises(InvalidParameterError, match=r"links_per_book=3 .* n_links=2"):
        make_links(5, 2, links_per_book=3)
