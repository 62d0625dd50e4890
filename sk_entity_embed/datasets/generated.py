"""Generated data with known answers: tables, sequences, and pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state

from sk_entity_embed._parameters import at_least, check_parameters
from sk_entity_embed.exceptions import InvalidParameterError

_FROM_1 = (
    "n_per_token n_listings n_brands n_postal_codes n_reviews n_students n_skills n_users n_movies "
    "n_ratings n_factors n_books n_links links_per_book"
)
_checked = check_parameters(
    **dict.fromkeys(_FROM_1.split(), at_least(1)),
    **dict.fromkeys(("n_tokens", "n_words", "n_steps"), at_least(2)),
    noise=at_least(0.0),
    random_state=["random_state"],
)

_FUELS = {"petrol": 0.0, "diesel": 0.08, "gas": -0.1, "hybrid": 0.2}
_LATEST = 2016


@_checked
def make_token_effects(
    n_tokens: int = 5,
    n_per_token: int = 20,
    *,
    noise: float = 0.5,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make tokens with known effects on a number: the smallest test of what an embedding learns.

    The effects are evenly spaced from -2 to 2, so five tokens have the effects -2, -1, 0, 1 and 2.
    Which token has which effect is random. The target is the token's effect plus normal noise.

    Parameters
    ----------
    n_tokens : int, default=5
        Number of tokens, at least 2.
    n_per_token : int, default=20
        Number of rows for each token.
    noise : float, default=0.5
        Standard deviation of the noise, in units of the effects' standard deviation.
    random_state : int, RandomState instance or None, default=None
        Controls the effects, the noise and the order of the rows.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too: `X`, a DataFrame with the column "token";
        `y`, a Series; `effects`, a Series of the true effects by token.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_token_effects
    >>> data = make_token_effects(noise=0, random_state=0)
    >>> data.X.assign(y=data.y).head(3)
         token    y
    0  token_3 -1.0
    1  token_4  1.0
    2  token_4  1.0
    >>> data.effects.sort_values()
    token
    token_1   -2.0
    token_3   -1.0
    token_0    0.0
    token_4    1.0
    token_2    2.0
    Name: effect, dtype: float64
    """
    random = _make_generator(random_state)
    tokens = _number_names("token", n_tokens)
    effects = random.permutation(np.linspace(-2, 2, n_tokens))
    codes = random.permutation(np.repeat(np.arange(n_tokens), n_per_token))
    y = effects[codes] + noise * effects.std() * random.normal(size=len(codes))
    return Bunch(
        X=pd.DataFrame({"token": tokens[codes]}),
        y=pd.Series(y, name="target"),
        effects=pd.Series(effects, index=tokens, name="effect"),
    )


@_checked
def make_listings(
    n_listings: int = 5000,
    *,
    n_brands: int = 12,
    n_postal_codes: int = 300,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make listings of used cars with prices, like those of a marketplace.

    The logarithm of the price is a sum of effects: brand, model, fuel, gearbox, region and power,
    a loss for every year and every kilometre, and noise. Some brands and models are more popular
    than others. The first two digits of the postal code are the region.

    Parameters
    ----------
    n_listings : int, default=5000
        Number of rows.
    n_brands : int, default=12
        Number of brands. Each has 3 to 8 models.
    n_postal_codes : int, default=300
        Number of postal codes, in up to 90 regions.
    random_state : int, RandomState instance or None, default=None
        Controls everything that is random.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too: `X`, a DataFrame with the columns "brand",
        "model", "postal_code", "fuel", "gearbox" (strings), "year", "power" (in metric horsepower)
        and "mileage" (km); `y`, a Series of prices; `brand_effects`, `model_effects` (brand
        included) and `region_effects`, Series of what each adds to the logarithm of the price.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_listings
    >>> data = make_listings(200, random_state=0)
    >>> data.X[["model", "postal_code", "fuel", "year", "mileage"]].assign(price=data.y).head(3)
            model postal_code    fuel  year  mileage  price
    0  brand_06/2       66193  petrol  2003   175000   1100
    1  brand_04/1       11323  petrol  2002   300000   2600
    2  brand_08/1       63439  petrol  2009    55000   5900
    >>> data.brand_effects.head(3).round(2)
    brand
    brand_00    0.77
    brand_01    0.04
    brand_02   -0.46
    Name: brand_effect, dtype: float64
    """
    random = _make_generator(random_state)
    models = _make_models(n_brands, random)
    codes = np.sort(random.choice(90_000, n_postal_codes, replace=False)) + 10_000
    regions = pd.Series(random.normal(0, 0.1, 90), index=[str(i) for i in range(10, 100)])
    shares = _popularity(len(models), random)
    sold = models.take(random.choice(len(models), n_listings, p=shares)).reset_index(drop=True)
    X = sold[["brand", "model"]].assign(
        postal_code=random.choice(codes, n_listings).astype(str),
        fuel=random.choice(list(_FUELS), n_listings, p=[0.55, 0.35, 0.05, 0.05]),
        gearbox=np.where(random.random(n_listings) < sold["automatic"], "automatic", "manual"),
        year=_LATEST - random.integers(0, 22, n_listings),
        power=(sold["power"] * random.lognormal(0, 0.15, n_listings)).round().astype(np.int64),
    )
    age = _LATEST - X["year"]
    distance = (age + 0.5) * 12_000 * random.lognormal(0, 0.4, n_listings)
    X["mileage"] = (distance / 5000).round().clip(1, 60).astype(np.int64) * 5000
    log_price = 9.6 + sold["effect"] + X["fuel"].map(_FUELS) + 0.12 * (X["gearbox"] != "manual")
    log_price += X["postal_code"].str[:2].map(regions) + 0.6 * np.log(X["power"] / 110)
    log_price += random.normal(0, 0.15, n_listings) - 0.09 * age - 0.2 * X["mileage"] / 100_000
    return Bunch(
        X=X,
        y=(np.exp(log_price) / 50).round().clip(1).mul(50).astype(np.int64).rename("price"),
        brand_effects=models.groupby("brand")["brand_effect"].first(),
        model_effects=models.set_index("model")["effect"],
        region_effects=regions.rename("effect").rename_axis("region"),
    )


def _make_models(n_brands: int, random: Generator) -> pd.DataFrame:
    """Models: name, brand, what both add to the log-price, power, share of automatics."""
    n_models = random.integers(3, 9, n_brands)
    brands = np.repeat(_number_names("brand", n_brands), n_models)
    levels: NDArray[np.float64] = np.repeat(random.normal(0, 0.35, n_brands), n_models)
    numbers = np.concatenate([np.arange(n) for n in n_models])
    effects = levels + random.normal(0, 0.25, len(brands))
    return pd.DataFrame(
        {
            "brand": brands,
            "model": [f"{brand}/{number}" for brand, number in zip(brands, numbers, strict=True)],
            "brand_effect": levels,
            "effect": effects,
            "power": 110 * np.exp(0.5 * effects + random.normal(0, 0.2, len(brands))),
            "automatic": 1 / (1 + np.exp(1 - 2 * effects)),
        }
    )


_MOODS = {
    2.0: "brilliant masterpiece moving superb wonderful",
    1.0: "charming clever enjoyable funny good likeable tender warm",
    0.0: (
        "a about actor all an and as at been by camera cast character comedy director drama end "
        "film for from has hero his how in into is it its just made minutes movie music new not "
        "of on one or plot scene screen script she so some story that the their then this time "
        "to two up was watch way what who with world year"
    ),
    -1.0: "bland boring clumsy flat predictable silly tedious weak",
    -2.0: "awful dreadful unbearable unwatchable worst",
}


@_checked
def make_reviews(
    n_reviews: int = 2000,
    n_words: int = 20,
    *,
    noise: float = 0.5,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make positive and negative sentences, like those of movie reviews.

    A sentence is a list of words without grammar. About one word in six has a mood: 2 or 1 for good
    words, -1 or -2 for bad ones. All other words have mood 0, and their frequencies follow Zipf's
    law. A review is positive if the sum of its moods plus logistic noise is above zero.

    Parameters
    ----------
    n_reviews : int, default=2000
        Number of sentences.
    n_words : int, default=20
        Mean number of words in a sentence. Lengths vary from half to one and a half times this.
    noise : float, default=0.5
        Scale of the noise, in units of mood. With 0, the sum of moods alone decides.
    random_state : int, RandomState instance or None, default=None
        Controls everything that is random.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too: `X`, a DataFrame with the column "sentence";
        `y`, a Series of 1 for positive and 0 for negative; `word_effects`, a Series of each word's
        mood.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_reviews
    >>> data = make_reviews(100, n_words=8, random_state=0)
    >>> data.X["sentence"][0], int(data.y[0])
    ('two has world dreadful comedy end is', 0)
    >>> data.word_effects[["superb", "film", "boring"]]
    word
    superb    2.0
    film      0.0
    boring   -1.0
    Name: effect, dtype: float64
    """
    random = _make_generator(random_state)
    words = np.array([w for text in _MOODS.values() for w in text.split()], dtype=object)
    moods = np.array([mood for mood, text in _MOODS.items() for _ in text.split()])
    neutral = moods == 0
    # Strong words are rarer than mild ones, as they are in reviews.
    shares = np.where(neutral, 0.0, 1 / np.maximum(np.abs(moods), 1))
    shares *= 1 / 6 / shares.sum()
    ranks = random.permutation(np.arange(1, neutral.sum() + 1))
    shares[neutral] = 5 / 6 / ranks / (1 / ranks).sum()

    lengths = random.integers(max(1, n_words // 2), n_words + n_words // 2 + 1, n_reviews)
    drawn = random.choice(len(words), lengths.sum(), p=shares)
    ends = np.cumsum(lengths)
    scores = np.add.reduceat(moods[drawn], ends - lengths)
    # Sums of whole numbers are often zero: the least noise decides these at random.
    scores += random.logistic(size=n_reviews) * max(noise, 1e-6)
    sentences = [" ".join(words[part]) for part in np.split(drawn, ends[:-1])]
    return Bunch(
        X=pd.DataFrame({"sentence": sentences}),
        y=pd.Series((scores > 0).astype(np.int64), name="positive"),
        word_effects=pd.Series(moods, index=pd.Index(words, name="word"), name="effect"),
    )


@_checked
def make_sequences(
    n_students: int = 200,
    n_skills: int = 12,
    n_steps: int = 40,
    *,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make answers of students in their order, like the log of a tutoring system.

    A student works on one skill for some steps, then on another. The log-odds of a right answer are
    the student's ability minus the skill's difficulty. Each earlier step of the student on the same
    skill adds the skill's gain. This is the additive factor model [1]_.

    Parameters
    ----------
    n_students : int, default=200
        Number of students.
    n_skills : int, default=12
        Number of skills.
    n_steps : int, default=40
        Mean number of steps of a student. Numbers vary from half to one and a half times this.
    random_state : int, RandomState instance or None, default=None
        Controls everything that is random.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too: `X`, a DataFrame with the columns "student",
        "step" (from 0) and "skill", ordered by student and step; `y`, a Series of 1 for a right
        answer and 0 for a wrong one; `abilities`, a Series by student; `skills`, a DataFrame by
        skill with "difficulty" and "gain".

    References
    ----------
    .. [1] Cen, H., Koedinger, K. and Junker, B. (2006). Learning factors analysis: a general
       method for cognitive model evaluation and improvement. Intelligent Tutoring Systems.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_sequences
    >>> data = make_sequences(10, random_state=0)
    >>> data.X.assign(correct=data.y).head(3)
         student  step     skill  correct
    0  student_0     0  skill_00        0
    1  student_0     1  skill_05        0
    2  student_0     2  skill_04        1
    >>> data.skills.head(2).round(2)
              difficulty  gain
    skill
    skill_00         0.5  0.40
    skill_01        -0.4  0.23
    """
    random = _make_generator(random_state)
    ability = random.normal(0, 0.8, n_students)
    difficulty = random.normal(0, 1, n_skills)
    gain = random.uniform(0.02, 0.4, n_skills)
    lengths = random.integers(n_steps // 2, n_steps + n_steps // 2 + 1, n_students)
    student = np.repeat(np.arange(n_students), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    changes = (step == 0) | (random.random(len(step)) < 0.2)
    skill = random.integers(n_skills, size=changes.sum())[np.cumsum(changes) - 1]
    students, skills = _number_names("student", n_students), _number_names("skill", n_skills)
    X = pd.DataFrame({"student": students[student], "step": step, "skill": skills[skill]})
    practice = X.groupby(["student", "skill"]).cumcount().to_numpy()
    log_odds = ability[student] - difficulty[skill] + gain[skill] * practice
    right = random.random(len(X)) < 1 / (1 + np.exp(-log_odds))
    return Bunch(
        X=X,
        y=pd.Series(right.astype(np.int64), name="correct"),
        abilities=pd.Series(ability, index=students, name="ability"),
        skills=pd.DataFrame({"difficulty": difficulty, "gain": gain}, index=skills),
    )


_GENRES = np.array("Action Children Comedy Drama Horror Musical Romance Western".split(), object)
_SUBJECTS = np.array("art cookery crime fantasy history poetry science travel".split(), object)


@_checked
def make_ratings(
    n_users: int = 300,
    n_movies: int = 500,
    n_ratings: int = 20_000,
    *,
    n_factors: int = 3,
    noise: float = 0.5,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make ratings of movies, like those of MovieLens.

    A rating is 3.5 plus the user's bias, the movie's bias, the dot product of the user's tastes and
    the movie's traits [1]_, and noise. It is rounded to half a star from 0.5 to 5. A movie's traits
    come from its genres. Few users and few movies have most of the ratings. A user rates a movie
    at most once, and tastes do not influence which movies a user watches.

    Parameters
    ----------
    n_users, n_movies : int, default=300, 500
        Numbers of users and movies. Those without a rating do not occur. The memory needed grows
        with their product.
    n_ratings : int, default=20000
        Number of ratings, at most one for each user and movie.
    n_factors : int, default=3
        Number of tastes of a user, and of traits of a movie.
    noise : float, default=0.5
        Standard deviation of the noise, in stars.
    random_state : int, RandomState instance or None, default=None
        Controls everything that is random.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too. As from :func:`fetch_movielens`: `X`, a
        DataFrame with the columns "user" and "movie" (strings); `y`, a Series of ratings;
        `timestamp`, a Series of seconds since 1970; `movies`, a DataFrame by movie with "title" and
        "genres" (separated by "|"). The truth behind the ratings: `user_factors` and
        `movie_factors`, DataFrames by user and by movie with a column "bias" and one for each
        factor.

    Raises
    ------
    InvalidParameterError, ValueError
        If there are more ratings than pairs of a user and a movie.

    See Also
    --------
    fetch_movielens : Real ratings, from MovieLens.

    References
    ----------
    .. [1] Koren, Y., Bell, R. and Volinsky, C. (2009). Matrix factorization techniques for
       recommender systems. Computer 42(8), 30-37.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_ratings
    >>> data = make_ratings(20, 30, 200, random_state=0)
    >>> data.X.assign(rating=data.y).head(3)
          user     movie  rating
    0  user_17  movie_03     4.0
    1  user_01  movie_20     5.0
    2  user_14  movie_22     3.0
    >>> data.movies.head(2)
                       title   genres
    movie
    movie_00  Movie 0 (1963)   Comedy
    movie_01  Movie 1 (2010)  Musical
    """
    if n_ratings > n_users * n_movies:
        raise InvalidParameterError(
            f"{n_ratings=} is more than n_users * n_movies = {n_users * n_movies}; no user rates "
            "a movie twice."
        )
    random = _make_generator(random_state)
    has_genre = _make_genres(n_movies, random)
    of_genres = random.normal(size=(len(_GENRES), n_factors)) / np.sqrt(n_factors)
    traits = has_genre @ of_genres + random.normal(0, 0.3, (n_movies, n_factors))
    users = _frame_factors("user", random.normal(0, 0.6, (n_users, n_factors)), 0.4, random)
    movies = _frame_factors("movie", traits, 0.5, random)

    weights = np.log(np.outer(_popularity(n_users, random, 0.5), _popularity(n_movies, random)))
    cells = random.permutation(_draw_distinct(weights.ravel(), n_ratings, random))
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
    names = _number_names(kind, len(factors))
    return pd.DataFrame(np.column_stack([bias, factors]), index=names, columns=columns)


@_checked
def make_links(
    n_books: int = 400,
    n_links: int = 600,
    *,
    links_per_book: int = 15,
    random_state: int | RandomState | None = None,
) -> Bunch:
    """Make books and the pages they link to, like articles of an encyclopedia.

    Every book has one of eight genres and an author, who writes in one genre only. Four pages out
    of five belong to a genre. Books of that genre link to such a page 30 times as often as other
    books do. All other pages are general; books of all genres link to them equally often.

    Parameters
    ----------
    n_books, n_links : int, default=400, 600
        Numbers of books and pages. A page that no book links to does not occur in the pairs.
    links_per_book : int, default=15
        Number of different pages that each book links to.
    random_state : int, RandomState instance or None, default=None
        Controls everything that is random.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes, too: `pairs`, a DataFrame with the columns "book"
        and "link" (strings); `books`, a DataFrame by book with "author" and "genre"; `link_genres`,
        a Series by page, which is "general" for pages without a genre.

    Raises
    ------
    InvalidParameterError, ValueError
        If a book has more links than there are pages.

    See Also
    --------
    sk_entity_embed.sampling.sample_negatives : Add pairs that were not observed, to train on.

    Examples
    --------
    >>> from sk_entity_embed.datasets import make_links
    >>> data = make_links(10, 50, links_per_book=4, random_state=0)
    >>> data.pairs.head(3)
         book     link
    0  book_1  link_49
    1  book_7  link_49
    2  book_3  link_40
    >>> data.books.head(3)
              author    genre
    book
    book_0  author_1  fantasy
    book_1  author_0    crime
    book_2  author_2      art
    """
    if links_per_book > n_links:
        raise InvalidParameterError(
            f"{links_per_book=} is more than {n_links=}; a book links to a page once."
        )
    random = _make_generator(random_state)
    names, pages = _number_names("book", n_books), _number_names("link", n_links)
    authors = _number_names("author", max(1, n_books // 3))
    general = len(_SUBJECTS)
    author_genres = random.integers(general, size=len(authors))
    author = random.integers(len(authors), size=n_books)
    genre = author_genres[author]
    is_general = random.random(n_links) < 0.2
    link_genre = np.where(is_general, general, random.integers(general, size=n_links))
    alike = (genre[:, None] == link_genre) | (link_genre == general)
    weights = np.log(_popularity(n_links, random)) + np.log(30) * alike
    linked = _draw_distinct(weights, links_per_book, random)
    order = random.permutation(n_books * links_per_book)
    genres = np.append(_SUBJECTS, "general")[link_genre]
    book, link = names.repeat(links_per_book)[order], pages[linked.ravel()[order]]
    return Bunch(
        pairs=pd.DataFrame({"book": book, "link": link}),
        books=pd.DataFrame({"author": authors[author], "genre": _SUBJECTS[genre]}, index=names),
        link_genres=pd.Series(genres, index=pages, name="genre"),
    )


def _draw_distinct(log_weights: NDArray[np.float64], n: int, random: Generator) -> NDArray[np.intp]:
    """Positions of `n` different cells of the last axis, drawn in proportion to their weights.

    The largest sums of log-weight and Gumbel noise are a sample without replacement.
    """
    keys = log_weights + random.gumbel(size=log_weights.shape)
    return np.argpartition(-keys, n - 1, axis=-1)[..., :n]


def _make_generator(random_state: int | RandomState | None) -> Generator:
    """NumPy's newer generator from a `random_state` as scikit-learn takes it."""
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return np.random.default_rng(seed)


def _popularity(n: int, random: Generator, power: float = 0.8) -> NDArray[np.float64]:
    """Shares of `n` things of which few are much more popular than most, in random order."""
    shares = random.permutation(np.arange(1, n + 1, dtype=np.float64) ** -power)
    scaled: NDArray[np.float64] = shares / shares.sum()
    return scaled


def _number_names(kind: str, n: int) -> pd.Index:
    """Names such as "user_007", in alphabetical order; the index is named after their kind."""
    width = len(str(n - 1))
    return pd.Index([f"{kind}_{i:0{width}d}" for i in range(n)], name=kind)
