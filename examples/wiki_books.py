"""Books by the pages they link to
===============================

Books whose Wikipedia pages have the same links are alike: embeddings learned from link pairs.

A pair is a book and a page that its article links to; pairs that are not there are drawn as
negatives. From such pairs alone a dot-product network learns vectors of 50 dimensions, in two ways:
"by title" every book has a vector of its own; "by links" a book is the list of its other links,
whose vectors are averaged, so that a book that was not there in training gets a vector, too.

The script looks up the neighbours of a book and counts how many of a book's ten nearest have its
author, or its genre, beside truncated SVD of the same pairs at the same width. One-hot books are
all equally unlike: their neighbours are chance. The network never sees the infobox, which authors
and genres are read from, but links can give them away: most articles link to the author's page, and
categories are called "American fantasy novels". So the script does it twice, for all methods alike:
with all links, and without those that name the book's own author or genre.

What to expect of Wikipedia's books: by title the network finds authors better than SVD of the pairs
and as well as SVD of TF-IDF, and genres less well. By links it is about as good as the best SVD in
both, 2 % ahead in authors and 3 % behind in genres; with the answers left out it is ahead of all of
them in both, by about 5 % or more. There is little to gain in authors with all links: few have
eleven books here, so that ten neighbours could all be theirs (the last row of the table). As for
genres, a logistic regression taught by four fifths of the books and all their links is right for
three quarters of the rest.

The books are those of ``wiki_books/p15_books.ndjson`` in the folder ``--data``; else they are
generated. Run it with ``python examples/wiki_books.py [--data FOLDER] [--rows N] [--output
FOLDER]``.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _data import find_data, read_options, save_figure, tell_data
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from sk_entity_embed import EntityEmbeddingClassifier
from sk_entity_embed.datasets import make_links
from sk_entity_embed.inspection import EmbeddingDisplay, SimilarityDisplay, nearest
from sk_entity_embed.sampling import sample_negatives

# %%
# Books, links and answers
# ------------------------
# Pairs of a book and a page that it links to, and what is known of the books.


WIDTH = 50
NEIGHBOURS = 10
QUERY = "Tarzan Triumphant"
BINDINGS = {"hardcover", "paperback", "hardback", "e-book"}
TAGS = {"wikipedia:wikiproject books", "wikipedia:wikiproject novels"}
FORMS = "novel|(?<!science )(?<!non )fiction|literature|book|story|storie|collection"
# What a book is shows in which links go with it, and no model comes after this one: folds would
# have nothing to protect. Dropout and many negatives keep pairs from being learned by heart.
SETTINGS = {
    "head": "dot",
    "dimensions": WIDTH,
    "cross_fit": False,
    "early_stopping": False,
    "learning_rate_init": 0.01,
    "random_state": 0,
}


def read_books(options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pairs of books and links, as often as they occur, and the books' authors and genres."""
    path = find_data(options, "wiki_books/p15_books.ndjson")
    if path is None:
        data = make_links(400 if options.rows is None else options.rows, random_state=0)
        pairs, books, source = data.pairs, data.books, "make_links"
    else:
        pairs, books = parse_books(path, options.rows)
        source = path
    pairs = shared_links(pairs)
    books = books.loc[sorted(pairs["book"].unique())]
    if len(books) <= WIDTH:
        raise SystemExit(
            f"--rows: {WIDTH} axes want more than {len(books)} books; give 100 or more"
        )
    tell_data(source, describe(pairs))
    return pairs, books


def shared_links(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose link two books or more have: others say nothing of likeness."""
    return pairs[pairs.groupby("link")["book"].transform("nunique") >= 2].reset_index(drop=True)


def describe(pairs: pd.DataFrame) -> str:
    """How much there is to learn from."""
    n_books, n_links = pairs["book"].nunique(), pairs["link"].nunique()
    return f"{n_books:,} books, {len(pairs.drop_duplicates()):,} pairs with {n_links:,} links"


def parse_books(path: Path, rows: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Links of the books in a file, and what their infoboxes say."""
    lines = path.read_text(encoding="utf-8").splitlines()[:rows]
    articles = {title: (box, links) for title, box, links, *_ in map(json.loads, lines)}
    pairs = [
        (title, link)
        for title, (_, links) in articles.items()
        for link in map(str.lower, links)
        if link not in BINDINGS | TAGS
    ]
    known = {title: (read_author(box), read_genre(box)) for title, (box, _) in articles.items()}
    books = pd.DataFrame.from_dict(known, orient="index", columns=["author", "genre"])
    return pd.DataFrame(pairs, columns=["book", "link"]), books


def read_author(box: dict[str, str]) -> str | None:
    """The first author that an infobox names."""
    first = re.split(r"<|,|\n|\(|;| and |&", box.get("author", ""))[0].strip()
    return re.sub("^edited by ", "", first, flags=re.IGNORECASE) or None


def read_genre(box: dict[str, str]) -> str | None:
    """The first genre that an infobox names, be it "Fantasy", "fantasy novel" or "Fantasy book"."""
    first = re.split(r"<|,|/|\n|\(|;", box.get("genre", ""))[0].replace("-", " ").strip().lower()
    return re.sub(f"( ({FORMS})s?)+$", "", first) or None


def leave_out_answers(pairs: pd.DataFrame, books: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose link does not name the book's own author or genre."""
    named = np.zeros(len(pairs), dtype=bool)
    links = pairs["link"].str.replace("-", " ")
    for known in (books["author"], books["genre"]):
        answers = known[pairs["book"]].fillna("").str.lower().str.replace("-", " ")
        named |= [
            bool(answer) and answer in link for answer, link in zip(answers, links, strict=True)
        ]
    return shared_links(pairs[~named])


# %%
# Two networks and three decompositions
# -------------------------------------
# Books as categories, books as lists of links, and truncated SVD of the same pairs.


def by_title(pairs: pd.DataFrame, books: pd.Index) -> pd.DataFrame:
    """Vectors of books that are categories of their own: pairs of a title and a link."""
    X, y = sample_negatives(pairs, k=15, strategy="popularity", random_state=0)
    model = EntityEmbeddingClassifier("all", **SETTINGS, dropout=0.5, max_iter=20).fit(X, y)
    return model.embeddings_["book"].loc[books]


def by_links(pairs: pd.DataFrame, books: pd.Index) -> pd.DataFrame:
    """Vectors of books that are lists: pairs of a book's other links and a link."""
    links = pairs.groupby("book")["link"].agg(list)
    X, y = sample_negatives(pairs, k=8, strategy="popularity", random_state=0)
    others = []
    for i, (book, link, true) in enumerate(zip(X["book"], X["link"], y, strict=True)):
        # A list beside a negative lacks a link, too: its length must not tell.
        left_out = links[book].index(link) if true else i % len(links[book])
        others.append(links[book][:left_out] + links[book][left_out + 1 :])
    X = pd.DataFrame({"others": others, "link": X["link"]})
    model = EntityEmbeddingClassifier("all", **SETTINGS, dropout=0.4, max_iter=15).fit(X, y)
    # All links of each book now; the vector of a list does not depend on what is beside it.
    whole = pd.DataFrame({"others": links[books].tolist(), "link": links[books].str[0].tolist()})
    return pd.DataFrame(model.transform(whole)[:, :WIDTH], index=books)


def decompose(counts: csr_matrix, books: pd.Index) -> pd.DataFrame:
    """Vectors of books by truncated singular value decomposition."""
    vectors = TruncatedSVD(WIDTH, random_state=0).fit_transform(counts)
    return pd.DataFrame(vectors, index=books)


def learn_all(pairs: pd.DataFrame, books: pd.Index) -> dict[str, pd.DataFrame]:
    """Vectors of all methods, of the same books and links; prints how long embeddings take."""
    links = pd.Index(sorted(pairs["link"].unique()))
    cells = books.get_indexer(pairs["book"]), links.get_indexer(pairs["link"])
    counts = csr_matrix((np.ones(len(pairs)), cells), shape=(len(books), len(links)))
    tfidf = TfidfTransformer().fit_transform(counts.sign())
    matrices = {"SVD of counts": counts, "SVD of pairs": counts.sign(), "SVD of TF-IDF": tfidf}
    vectors = {name: decompose(matrix, books) for name, matrix in matrices.items()}
    pairs = pairs.drop_duplicates(ignore_index=True)
    for name, learn in {"embedding by title": by_title, "embedding by links": by_links}.items():
        start = time.perf_counter()
        vectors[name] = learn(pairs, books)
        print(f"  {name}: fitted in {time.perf_counter() - start:.0f} s", flush=True)
    return vectors


# %%
# How neighbours are judged
# -------------------------


def share_alike(vectors: pd.DataFrame, kinds: pd.Series) -> float:
    """Mean share of a book's nearest that are of its kind; of books that are not alone in it."""
    books = list(kinds.index[kinds.map(kinds.value_counts()) >= 2])
    found = nearest(vectors, None, books, k=NEIGHBOURS)
    same = kinds[found["category"]].to_numpy() == kinds[found["query"]].to_numpy()
    return float(same.mean())


def bounds(kinds: pd.Series) -> tuple[float, float]:
    """What :func:`share_alike` is by chance and at best."""
    others = kinds.map(kinds.value_counts())[lambda n: n >= 2] - 1
    return others.mean() / (len(kinds) - 1), others.clip(upper=NEIGHBOURS).mean() / NEIGHBOURS


def compare(vectors: dict[str, pd.DataFrame], books: pd.DataFrame) -> pd.DataFrame:
    """Shares of neighbours with a book's author and genre, by method."""
    limits = {name: bounds(books[name]) for name in books}
    rows = {"one-hot (chance)": {name: limit[0] for name, limit in limits.items()}}
    rows |= {
        method: {name: share_alike(found, books[name]) for name in books}
        for method, found in vectors.items()
    }
    rows["best possible"] = {name: limit[1] for name, limit in limits.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def closest(vectors: pd.DataFrame, books: pd.DataFrame, query: str) -> pd.DataFrame:
    """The books most like one, with their authors and genres."""
    found = nearest(vectors, None, query, k=NEIGHBOURS).set_index("category")
    return found.round(3).join(books).fillna("").rename_axis("book").reset_index()


def draw_map(vectors: pd.DataFrame, books: pd.DataFrame, options: argparse.Namespace) -> None:
    """All books, coloured by genre."""
    figure, ax = plt.subplots(figsize=(10, 8), layout="constrained")
    EmbeddingDisplay.from_estimator(
        vectors, "book", method="tsne", color=books["genre"], labels=None, ax=ax
    )
    ax.set_title("Books by the pages they link to, coloured by genre")
    save_figure(figure, options, "wiki_books_map.png")


def draw_authors(vectors: pd.DataFrame, books: pd.DataFrame, options: argparse.Namespace) -> None:
    """Similarities of some books by the authors of most books."""
    authors = books["author"].value_counts().index[:8]
    chosen = pd.concat([books[books["author"] == author][:4] for author in authors])
    named = vectors.loc[chosen.index].set_axis(
        [f"{author.split()[-1]}: {title}" for title, author in chosen["author"].items()]
    )
    figure, ax = plt.subplots(figsize=(12, 10), layout="constrained")
    SimilarityDisplay.from_estimator(named, "book", ax=ax)
    ax.title.set_text("Four books of each of eight authors, ordered by similarity alone")
    save_figure(figure, options, "wiki_books_authors.png")


# %%
# Learn from all links
# --------------------

options = read_options(__doc__, "books to use")
pairs, books = read_books(options)
vectors = learn_all(pairs, books.index)
tables = {"all links": compare(vectors, books)}

# %%
# Without links that give the answer away
# ---------------------------------------

fewer = leave_out_answers(pairs, books)
if len(fewer) < len(pairs):
    print(f"without links that name author or genre: {describe(fewer)}")
    named = books.loc[sorted(fewer["book"].unique())]
    tables["answers left out"] = compare(learn_all(fewer, named.index), named)

# %%
# Shares of neighbours with the same author and genre
# ---------------------------------------------------

table = pd.concat(tables, axis=1)
print(f"\nshare of a book's {NEIGHBOURS} nearest that have its author, its genre:")
print(table.round(3).to_string())
print("\nembedding by links, times as much as")
rows = ["SVD of pairs", "SVD of TF-IDF"]
print((table.loc["embedding by links"] / table.loc[rows]).round(2).to_string())


# %%
# A book and its neighbours
# -------------------------

learned = vectors["embedding by links"]
query = QUERY if QUERY in learned.index else learned.index[0]
print(f"\nbooks closest to {query}:")
print(closest(learned, books, query).to_string(index=False))
draw_map(learned, books, options)
draw_authors(learned, books, options)
