"""Generated pairs: who rated which movie, which book links to which page."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from sk_entity_embed.datasets._random import (
    at_least,
    draw_distinct,
    make_generator,
    number_names,
    popularity,
)
from sk_entity_embed.exceptions import InvalidParameterError

_GENRES = np.array(
    ["Action", "Children", "Comedy", "Drama", "Horror", "Musical", "Romance", "Western"],
    dtype=object,
)
_SUBJECTS = ("art", "cookery", "crime", "fantasy", "history", "poetry", "science", "travel")


@validate_params(
    {
        "n_users": at_least(1),
        "n_movies": at_least(1),
        "n_ratings": at_least(1),
        "n_factors": at_least(1),
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_ratings(
    n_users: int = 300,
    n_movies: int = 500,
    n_ratings: int = 20_000,
    *,
    n_factors: int = 3,
    noise: float = 0.5,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make ratings of movies: a stand-in for MovieLens.

    A rating is 3.5 plus the user's and the movie's bias, the product of the user's taste and the
    movie's traits [1]_, and noise, rounded to half a star from 0.5 to 5. A movie's traits come
    from its genres. Few users and movies have most of the ratings, and no pair has two. Tastes
    have no part in which movies are watched.

    Parameters
    ----------
    n_users, n_movies : int, default=300, 500
        Users and movies; those without a rating do not occur. Memory is in proportion to their
        product.
    n_ratings : int, default=20000
        Ratings, at most one for each user and movie.
    n_factors : int, default=3
        Length of the vectors of tastes and traits.
    noise : float, default=0.5
        Standard deviation of the noise, in stars.
    random_state : int, RandomState instance or None, default=None
        Decides everything.

    Returns
    -------
    Bunch
        `X`, a DataFrame with the columns "user" and "movie" (strings); `y`, a Series of ratings;
        `timestamp`, a Series of seconds; `movies`, a DataFrame by movie with "title" and "genres"
        (separated by "|"), all as from :func:`fetch_movielens`. Further the truth:
        `user_factors` and `movie_factors`, DataFrames by user and movie with a column "bias" and
        one for each factor.

    Raises
    ------
    InvalidParameterError, ValueError
        If there are more ratings than pairs of a user and a movie.

    References
    ----------
    .. [1] Koren, Y., Bell, R. and Volinsky, C. (2009). Matrix factorization techniques for
       recommender systems. Computer 42(8), 30-37.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_ratings
    >>> data = make_ratings(20, 30, 200, random_state=0)
    >>> data.X.columns.tolist(), data.X.shape
    (['user', 'movie'], (200, 2))
    >>> bool(data.y.between(0.5, 5).all())
    True
    """
    if n_ratings > n_users * n_movies:
        raise InvalidParameterError(
            f"{n_ratings=} is more than n_users * n_movies = {n_users * n_movies}; no user rates "
            "a movie twice."
        )
    random = make_generator(random_state)
    has_genre = _make_genres(n_movies, random)
    of_genres = random.normal(size=(len(_GENRES), n_factors)) / np.sqrt(n_factors)
    traits = has_genre @ of_genres + random.normal(0, 0.3, (n_movies, n_factors))
    users = _frame_factors("user", random.normal(0, 0.6, (n_users, n_factors)), 0.4, random)
    movies = _frame_factors("movie", traits, 0.5, random)

    weights = np.log(np.outer(popularity(n_users, random, 0.5), popularity(n_movies, random)))
    cells = random.permutation(draw_distinct(weights.ravel(), n_ratings, random))
    user, movie = np.divmod(cells, n_movies)
    taste, trait = users.to_numpy()[user], movies.to_numpy()[movie]
    stars = 3.5 + taste[:, 0] + trait[:, 0] + (taste[:, 1:] * trait[:, 1:]).sum(axis=1)
    stars += noise * random.normal(size=n_ratings)
    years = random.integers(1950, 2017, n_movies)
    about = {
        "title": [f"Movie {i} ({year})" for i, year in enumerate(years)],
        "genres": ["|".join(_GENRES[row]) for row in has_genre],
    }
    return Bunch(
        X=pd.DataFrame({"user": users.index[user], "movie": movies.index[movie]}),
        y=pd.Series(np.clip(np.round(2 * stars) / 2, 0.5, 5), name="rating"),
        timestamp=pd.Series(random.integers(9 * 10**8, 15 * 10**8, n_ratings), name="timestamp"),
        movies=pd.DataFrame(about, index=movies.index),
        user_factors=users,
        movie_factors=movies,
    )


def _make_genres(n_movies: int, random: Generator) -> NDArray[np.bool_]:
    """Which of the genres each movie has: one to three of them."""
    order = random.permuted(np.tile(np.arange(len(_GENRES)), (n_movies, 1)), axis=1)
    return order < random.integers(1, 4, (n_movies, 1))


def _frame_factors(
    kind: str, factors: NDArray[np.float64], spread: float, random: Generator
) -> pd.DataFrame:
    """Biases and factors by name."""
    bias = random.normal(0, spread, len(factors))
    columns = ["bias", *(f"factor_{j}" for j in range(factors.shape[1]))]
    names = pd.Index(number_names(kind, len(factors)), name=kind)
    return pd.DataFrame(np.column_stack([bias, factors]), index=names, columns=columns)


@validate_params(
    {
        "n_books": at_least(1),
        "n_links": at_least(1),
        "links_per_book": at_least(1),
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_links(
    n_books: int = 400,
    n_links: int = 600,
    *,
    links_per_book: int = 15,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make books and the pages they link to: a stand-in for articles of an encyclopedia.

    Every book has one of eight genres and an author, who writes in one genre only. Four pages
    out of five belong to a genre; a book of this genre is 30 times as likely to link to them as
    another book is. The rest are general, and as likely to be linked to by all.

    Parameters
    ----------
    n_books, n_links : int, default=400, 600
        Books and pages; a page that no book links to does not occur in the pairs.
    links_per_book : int, default=15
        Different pages that each book links to.
    random_state : int, RandomState instance or None, default=None
        Decides everything.

    Returns
    -------
    Bunch
        `pairs`, a DataFrame with the columns "book" and "link" (strings); `books`, a DataFrame
        by book with "author" and "genre"; `link_genres`, a Series by page, "general" for those of
        no genre.

    Raises
    ------
    InvalidParameterError, ValueError
        If a book has more links than there are pages.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_links
    >>> data = make_links(10, 50, links_per_book=4, random_state=0)
    >>> data.pairs.shape, data.books.columns.tolist()
    ((40, 2), ['author', 'genre'])
    """
    if links_per_book > n_links:
        raise InvalidParameterError(
            f"{links_per_book=} is more than {n_links=}; a book links to a page once."
        )
    random = make_generator(random_state)
    subjects = np.array(_SUBJECTS, dtype=object)
    names, pages = number_names("book", n_books), number_names("link", n_links)
    authors = number_names("author", max(1, n_books // 3))
    author_genres = random.integers(len(subjects), size=len(authors))
    author = random.integers(len(authors), size=n_books)
    genre = author_genres[author]
    general = len(subjects)
    link_genre = np.where(
        random.random(n_links) < 0.2, general, random.integers(general, size=n_links)
    )
    alike = (genre[:, None] == link_genre) | (link_genre == general)
    weights = np.log(popularity(n_links, random)) + np.log(30) * alike
    linked = draw_distinct(weights, links_per_book, random)
    pairs = {"book": np.repeat(names, links_per_book), "link": pages[linked.ravel()]}
    order = random.permutation(n_books * links_per_book)
    return Bunch(
        pairs=pd.DataFrame({column: values[order] for column, values in pairs.items()}),
        books=pd.DataFrame(
            {"author": authors[author], "genre": subjects[genre]},
            index=pd.Index(names, name="book"),
        ),
        link_genres=pd.Series(
            np.append(subjects, "general")[link_genre],
            index=pd.Index(pages, name="link"),
            name="genre",
        ),
    )
