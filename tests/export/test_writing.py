"""File names for columns, and files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_entity_embed.export.writing import file_names, write_lines, write_whole


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


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)

    def fail(file):
        file.write(b"half")
        raise RuntimeError("disk is full")

    with pytest.raises(RuntimeError, match="full"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(IsADirectoryError, match="in the way"):
        write_whole(tmp_path, fail)
    with pytest.raises(FileNotFoundError):
        write_whole(Path(tmp_path, "no", "folder"), fail)


@given(st.lists(st.text(), unique=True, max_size=6))
def test_any_names_give_different_files(names):
    found = file_names(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(
        name.isascii() and name.replace("-", "").replace("_", "").isalnum() for name in found
    )


def test_lines_end_the_same_way_everywhere(tmp_path):
    write_lines(tmp_path / "file", ["é", "b"])
    assert (tmp_path / "file").read_bytes() == "é\nb\n".encode()
