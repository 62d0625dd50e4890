"""Explorer: a page to walk through embeddings with, in a notebook or as one file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sk_entity_embed._access import check_column, fitted_model
from sk_entity_embed._writing import write_whole
from sk_entity_embed.exceptions import InvalidParameterError
from sk_entity_embed.input.messages import shown
from sk_entity_embed.inspection.column_vectors import (
    ColumnVectors,
    Pair,
    Source,
    column_vectors_of,
    source_of,
)
from sk_entity_embed.inspection.displays.docs import documented
from sk_entity_embed.inspection.explorer import notebook
from sk_entity_embed.inspection.explorer.page import (
    build_page,
    iframe,
    library_script,
    plotly_source,
)
from sk_entity_embed.inspection.explorer.payload import (
    column_payload,
    metadata_by_column,
    target_names,
)
from sk_entity_embed.inspection.projection import METHODS, Method

_LARGEST = 200_000_000
"""Bytes of vectors that a browser still opens."""


class Explorer:
    """An interactive page of embeddings, made by :func:`~sk_entity_embed.inspection.explore`.

    In a notebook it shows itself, in a frame of its own. As a file it needs no server and no
    network, and neither does a notebook that is saved or exported with its outputs.

    Parameters
    ----------
    payload : dict
        Data of the page.
    title : str
        Title of the page and of its frame.
    height : int, default=760
        Height in a notebook, in pixels.

    Attributes
    ----------
    columns : tuple of str
        The columns shown.
    title : str
        Title of the page.

    See Also
    --------
    explore : Make an explorer.
    nearest : Return the neighbours that the page shows, as a table.

    Notes
    -----
    The CSV files that you save from the page are UTF-8 with a byte-order mark and follow RFC 4180.
    A spreadsheet would run text that begins with ``=``, ``+``, ``-``, ``@`` or a tab as a formula.
    Such text gets an apostrophe in front, unless it is a number. The missing category is an empty
    cell.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import explore
    >>> vectors = pd.DataFrame([[1, 0], [0, 1], [1, 1]], index=["a", "b", "c"])
    >>> explore(vectors, title="Three letters")
    Explorer(columns=('category',), title='Three letters')
    """

    def __init__(self, payload: dict[str, Any], title: str, height: int = 760) -> None:
        self._payload = payload
        self.title = title
        self.height = height

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns shown."""
        return tuple(column["name"] for column in self._payload["columns"])

    def to_html(self) -> str:
        """Return the whole page as HTML, with its scripts and data.

        Returns
        -------
        str
            The page. Equal data and versions of the libraries give equal pages.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import explore
        >>> explore(pd.DataFrame([[1, 0], [0, 1]])).to_html()[:15]
        '<!DOCTYPE html>'
        """
        return build_page(self._payload, self.title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file that opens in any browser, without a network.

        Parameters
        ----------
        path : str or path-like
            The file, usually with a name that ends in ``.html``. An existing file is replaced
            atomically: if writing fails, it is not damaged.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        OSError
            If the folder does not exist or cannot be written to.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> from sk_entity_embed.inspection import explore
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     explore(pd.DataFrame([[1, 0], [0, 1]])).save(Path(folder) / "page.html").name
        'page.html'
        """
        page = self.to_html().encode()
        write_whole(path, lambda file: file.write(page))
        return Path(path)

    def _repr_html_(self) -> str:
        shared = notebook.is_shared()
        library = library_script() if shared and notebook.carries() else ""
        page = build_page(self._payload, self.title, alone=not shared)
        return library + iframe(page, self.title, self.height)

    def __repr__(self) -> str:
        return f"Explorer(columns={self.columns}, title={self.title!r})"


@documented()
def explore(
    encoder: Source,
    column: str | Sequence[str] | None = None,
    metadata: Any = None,
    *,
    methods: Method | Sequence[Method] = ("pca",),
    title: str | None = None,
    random_state: Any = 0,
    height: int = 760,
) -> Explorer:
    """Make an interactive page to explore embeddings, with a map, a search box and neighbours.

    The page draws the categories in two or three dimensions. Colours show the mean target, the
    count or metadata. Search for a category or click it to see its nearest ones, by cosine,
    Euclidean distance or dot product. They are computed from the full vectors and equal those of
    :func:`~sk_entity_embed.inspection.nearest`. You can save the selected categories as CSV.

    Parameters
    ----------
    %(vectors_of_columns)s
    column : str or sequence of str, default=None
        Columns to show. None shows all, except lists that were all empty in fit. The page opens on
        the first column that you name here, else on the column with most categories.
    metadata : Series, DataFrame or mapping of these, default=None
        More about the categories, indexed by category. Categories may be missing from it. If the
        page has several columns, give a mapping from columns to frames, or a frame whose index is
        named after its column. Numbers are drawn on a colour scale, anything else as kinds.
    methods : sequence of {"pca", "tsne", "umap"}, default=("pca",)
        Projections that the page offers. They are computed here, each in two and in three
        dimensions. Principal components are always there. "umap" needs the extra ``umap``.
    title : str, default=None
        Title of the page. None uses the names of the columns.
    %(random_state)s
    height : int, default=760
        Height in a notebook, in pixels.

    Returns
    -------
    Explorer
        The page. A notebook shows it; ``save(path)`` writes one HTML file.

    Raises
    ------
    InvalidParameterError
        If a column or method does not exist, or there are metadata for a column that is not shown.
    InvalidDataError
        If the metadata have none of the categories.
    %(not_fitted)s
    ImportError
        If plotly is not installed; the extra is ``explore``.

    See Also
    --------
    nearest : Return the same neighbours as a table.
    project : Return the coordinates as a table.
    EmbeddingDisplay : Draw the map with matplotlib.

    Notes
    -----
    The file holds plotly's JavaScript (5 MB), and for each category its name, 5.4 bytes for each
    number of its vector, and 16 bytes of coordinates. In a notebook the first explorer's output has
    plotly, compressed (2 MB), and hands it over to all others; where each output is a page of its
    own, as in Google Colab and Databricks, each has it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from sk_entity_embed.inspection import explore
    >>> vectors = pd.DataFrame(
    ...     [[2.0, 0.1], [1.8, 0.0], [-1.0, 0.9]], index=["Oslo", "Bergen", "Rome"]
    ... )
    >>> country = pd.Series({"Oslo": "Norway", "Bergen": "Norway", "Rome": "Italy"}, name="country")
    >>> page = explore(vectors, metadata=country, title="Cities")
    >>> page
    Explorer(columns=('category',), title='Cities')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page.save(Path(folder) / "cities.html").name
    'cities.html'
    """
    plotly_source()  # before the work, not after it
    chosen, encoder = _check_methods(methods), source_of(encoder)
    catalogues = [column_vectors_of(encoder, name) for name in _columns(encoder, column)]
    names = [str(c.name) for c in catalogues]
    n_bytes = sum(c.vectors.nbytes for c in catalogues)
    if n_bytes > _LARGEST:
        raise InvalidParameterError(
            f"The vectors of columns {names} have {n_bytes / 1e6:,.0f} MB, more than browsers open "
            f"({_LARGEST / 1e6:,.0f} MB); choose fewer columns by `column`."
        )
    described = metadata_by_column(metadata, [c.name for c in catalogues])
    classes = getattr(encoder, "classes_", None)
    payload = {
        "first": _largest(catalogues) if column is None else 0,
        "columns": [
            column_payload(c, chosen, random_state, target_names(c, classes), described.get(c.name))
            for c in catalogues
        ],
    }
    return Explorer(payload, _title(names) if title is None else str(title), height)


def _columns(source: Source, column: str | Sequence[str] | None) -> list[str | None]:
    """Return the names of the columns to show; None is the only one of a frame."""
    if isinstance(source, pd.DataFrame | ColumnVectors):
        if column is None or isinstance(column, str):
            return [column]
        raise InvalidParameterError(
            f"`column` must be one name for the column of vectors, got {shown(column)}."
        )
    if isinstance(source, Mapping):
        known = filled = list(source)
    else:
        vocabularies = [t.vocabulary for t in fitted_model(source).tables]
        known = [v.name for v in vocabularies]
        filled = [v.name for v in vocabularies if len(v.labels)]
    if column is None:
        chosen = filled
    else:
        given: list[Any] = [column] if isinstance(column, str) or column in known else [*column]
        chosen = [check_column(name, known) for name in given]
    if not chosen or len(set(map(str, chosen))) < len(chosen):
        raise InvalidParameterError(
            "`column` must name one or more of the embedded columns, each once: "
            f"{shown(known)}; got {shown(column)}."
        )
    return chosen


def _largest(catalogues: Sequence[ColumnVectors]) -> int:
    """Return the place of the column with most categories; pairs count where there is none."""
    sizes = [(not isinstance(c.labels[0], Pair), len(c)) for c in catalogues]
    return max(range(len(sizes)), key=sizes.__getitem__)


def _check_methods(methods: Method | Sequence[Method]) -> list[Method]:
    """Return the projections, of which principal components are always one."""
    given: list[Method] = [methods] if isinstance(methods, str) else list(methods)
    for method in given:
        if method not in METHODS:
            raise InvalidParameterError(
                f"`methods` must be a selection of {METHODS}, got {shown(method)}."
            )
    return list(dict.fromkeys(["pca", *given]))


def _title(names: Sequence[str]) -> str:
    named = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"Embeddings of {named}"
