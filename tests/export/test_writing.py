"""File names for columns, and lines of text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sk_entity_embed._writing import write_whole
from sk_entity_embed.export._text import as_lines, file_names


def test_file_names_are_safe_and_distinct():
    names = [
        "plain",
        "a b",
        "a/b",
        "a-b",
        "A-B",
        "../up",
        "con",
        "é",
        "",
        ".",
        "x" * 300,
        "x" * 301,
    ]
    found = file_names(names)
    assert found[0] == "plain"
    assert len({name.casefold() for name in found}) == len(names)
    assert all(name.isascii() and 0 < len(name) < 100 for name in found)
    assert not any(set(name) & set("/\\. *:") for name in found)
    assert file_names(["a b"]) == found[1:2]
    assert all("-" in name for name in found[1:])


@given(st.lists(st.text(), unique=True, max_size=6))
def test_any_names_give_different_files(names):
    found = file_names(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(
        name.isascii() and name.replace("-", "").replace("_", "").isalnum() for name in found
    )


def test_lines_end_the_same_way_everywhere(tmp_path):
    write_whole(tmp_path / "file", as_lines(["é", "b"]))
    assert (tmp_path / "file").read_bytes() == "é\nb\n".encode()
