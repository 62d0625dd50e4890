"""A block of rows of a source, read: features, target, weights and groups apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_entity_embed.exceptions import InvalidDataError, InvalidParameterError
from sk_entity_embed.input.columns import read_table
from sk_entity_embed.input.messages import shown
from sk_entity_embed.input.table import Table
from sk_entity_embed.input.target import check_target
from sk_entity_embed.input.values import read_array, to_float64

_INDEX = re.compile(r"__index_level_\d+__")
"""Names under which pandas writes an index without a name to files."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a block are, by name: features are all others, or those named."""

    y: str | Sequence[str]
    sample_weight: str | None = None
    groups: str | None = None
    features: Sequence[str] | None = None

    @property
    def names(self) -> list[str]:
        """Those that are not features."""
        targets = [self.y] if isinstance(self.y, str) else list(self.y)
        return targets + [name for name in (self.sample_weight, self.groups) if name is not None]

    def chosen(self, columns: Sequence[str]) -> list[str]:
        """Return the features among the columns of a source, in their order."""
        if self.features is not None:
            return [name for name in columns if name in self.features]
        names = self.names
        return [n for n in columns if n not in names and not _INDEX.fullmatch(str(n))]

    def check(self, columns: Sequence[str]) -> None:
        """Refuse names that the columns of a source lack, or that stand for two things."""
        for parameter in ("y", "sample_weight", "groups"):
            named = getattr(self, parameter)
            several = parameter == "y" and isinstance(named, list | tuple) and len(named) > 0
            if (
                not several
                and not isinstance(named, str)
                and (parameter == "y" or named is not None)
            ):
                what = "a column, or a list of names" if parameter == "y" else "a column"
                raise InvalidParameterError(
                    f"`{parameter}` must be the name of {what}, got {shown(named)}."
                )
            for name in named if several else [] if named is None else [named]:
                if not isinstance(name, str) or name not in columns:
                    raise InvalidParameterError(
                        f"`{parameter}` names {shown(name)}, which is not a column of the source: "
                        f"{shown(list(columns))}."
                    )
        if len(set(self.names)) < len(self.names):
            raise InvalidParameterError(
                f"`y`, `sample_weight` and `groups` name a column more than once: "
                f"{shown(self.names)}."
            )
        self._check_features(columns)
        if not self.chosen(columns):
            raise InvalidDataError(
                "The source has no column to learn from: it has only those that `y`, "
                "`sample_weight` and `groups` name."
            )

    def _check_features(self, columns: Sequence[str]) -> None:
        features = self.features
        if features is None:
            return
        if isinstance(features, str) or not features:
            raise InvalidParameterError(
                f"`features` must be a list of names of columns, got {shown(features)}."
            )
        for name in features:
            if name not in columns:
                raise InvalidParameterError(
                    f"`features` names {shown(name)}, which is not a column of the source: "
                    f"{shown(list(columns))}."
                )
            if name in self.names:
                raise InvalidParameterError(
                    f"`features` names {shown(name)}, which is already named in `y`, "
                    "`sample_weight` or `groups`."
                )


@dataclass(frozen=True, slots=True)
class BlockRows:
    """A block of rows, read: features, target, weights and groups, all rows of zero weight left.

    `weights` are None where none are given. `X` are the features in the container they came in.
    """

    X: Any
    table: Table
    y: NDArray[Any]
    weights: NDArray[np.float64] | None
    groups: NDArray[Any] | None

    def __len__(self) -> int:
        return self.table.n_rows

    def take(self, at: NDArray[np.intp]) -> BlockRows:
        """Return some of the rows."""
        return BlockRows(
            None,
            self.table.take(at),
            self.y[at],
            None if self.weights is None else self.weights[at],
            None if self.groups is None else self.groups[at],
        )


def read_block(frame: Any, roles: Roles) -> BlockRows:
    """Read a block: a table with named columns, of any library."""
    data = nw.from_native(frame, eager_only=True)
    X = data.select(roles.chosen(data.columns)).to_native()
    table = read_table(X)
    named = roles.y if isinstance(roles.y, str) else list(roles.y)
    target = data.get_column(named) if isinstance(named, str) else data.select(named)
    weights = groups = None
    if roles.sample_weight is not None:
        values = read_array(data.get_column(roles.sample_weight).to_native(), "sample_weight")
        weights = to_float64(values, "sample_weight", "Weights must be numbers")
        if not (weights >= 0).all():
            raise InvalidDataError(
                f"Column {roles.sample_weight!r} of weights has negative or missing values."
            )
    if roles.groups is not None:
        labels = read_array(data.get_column(roles.groups).to_native(), "groups")
        if pd.isna(labels).any():
            raise InvalidDataError("groups has missing values; give each row a group.")
        groups = labels
    y = check_target(target.to_native(), table.n_rows)
    return BlockRows(X, table, y, weights, groups)
