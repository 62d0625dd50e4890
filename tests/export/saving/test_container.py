"""Bytes on disk: what is written is read, what was changed is refused, nothing is half done."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from sk_entity_embed.exceptions import InvalidFileError, InvalidParameterError
from sk_entity_embed.export.saving import container
from sk_entity_embed.export.saving.container import read, write
from tests.export.saved import BLANK, put_together, take_apart

DOCUMENT = {"text": 'ü漢"\\\n</script>', "list": [1, -0.0, None, True], "sha256": BLANK}
ARRAYS = {
    "flags": np.array([True, False, True]),
    "small": np.arange(7, dtype=np.int8),
    "wide": np.arange(6.0).reshape(2, 3),
    "ü": np.array(3, dtype=np.uint64),
    "empty": np.empty((3, 0), dtype=np.float32),
    "half": np.array([np.nan, -0.0, np.inf], dtype=np.float16),
}


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "file.safetensors"
    write(found, DOCUMENT, ARRAYS, version=1)
    return found


def refused(path, raw, match):
    """Check that a file of these bytes is refused with a reason."""
    path.write_bytes(raw)
    with pytest.raises(InvalidFileError, match=match):
        read(path, newest=1)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def forged(path, change, *, data=None):
    """The file with its header changed in place, and a checksum that fits."""
    header, metadata, document, old = take_apart(path.read_bytes())
    change(header, metadata)
    return put_together(header, metadata, document, old if data is None else data)


def test_what_is_written_is_read(path):
    version, document, arrays = read(path, newest=1)
    assert version == 1
    assert json.dumps(document) == json.dumps(DOCUMENT)
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()
        assert arrays[name].flags.writeable
        assert arrays[name].flags.aligned


def test_other_programs_can_read_the_file(path):
    found = safetensors.numpy.load_file(path)
    assert {n: a.tolist() for n, a in found.items() if n != "half"} == {
        n: a.tolist() for n, a in ARRAYS.items() if n != "half"
    }
    with safetensors.safe_open(path, "np") as file:
        assert json.loads(file.metadata()["document"]) == DOCUMENT
        assert file.metadata()["format"] == "sk_entity_embed"


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    write(tmp_path / "again", DOCUMENT, dict(reversed(ARRAYS.items())), version=1)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_checksum_is_that_of_the_whole_file(path):
    raw = path.read_bytes()
    digest = take_apart(raw)[1]["sha256"]
    blank = raw.replace(digest.encode(), BLANK.encode())
    assert hashlib.sha256(blank).hexdigest() == digest


def test_arrays_are_stored_in_c_order_and_little_endian(tmp_path):
    wide = np.arange(6.0).reshape(2, 3)
    arrays = {"f": np.asfortranarray(wide), "big": wide.astype(">f8"), "part": wide[:, ::2]}
    write(tmp_path / "file", {}, arrays, version=1)
    found = read(tmp_path / "file", newest=1)[2]
    assert found["f"].tolist() == found["big"].tolist() == wide.tolist()
    assert found["part"].tolist() == wide[:, ::2].tolist()
    assert found["big"].dtype == np.dtype("=f8")


def test_every_change_of_one_bit_is_found(path):
    raw = path.read_bytes()
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(InvalidFileError):
            read(path, newest=1)


def test_every_truncation_is_found(path):
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(InvalidFileError):
            read(path, newest=1)


def test_what_is_too_long_is_found(path):
    refused(path, path.read_bytes() + b"\0", "too long")


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "0 bytes"),
        (b"\0" * 9, "9 bytes"),
        (b"\0" * 100, "does not begin"),
        (b"\xff" * 100, "does not begin"),
        (pickle.dumps({"a": 1}, 2), "does not begin"),
        ((3).to_bytes(8, "little") + b"[1]", "does not begin"),
        ((3).to_bytes(8, "little") + b"{1}", "no valid JSON"),
        ((4).to_bytes(8, "little") + b'{"\xff}', "no valid JSON"),
        ((2).to_bytes(8, "little") + b"{}", "not one of sk_entity_embed"),
        ((100_005).to_bytes(8, "little") + b'{"a":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_foreign_bytes(tmp_path, raw, match):
    refused(tmp_path / "file", raw, match)


def test_foreign_files(tmp_path):
    path = tmp_path / "file"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", "b")
    refused(path, path.read_bytes(), "does not begin")
    refused(path, safetensors.numpy.save(ARRAYS), "not one of sk_entity_embed")
    refused(path, safetensors.numpy.save(ARRAYS, {"format": "np"}), "not one of sk_entity_embed")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing", newest=1)
    with pytest.raises(InvalidFileError, match="no file"):
        read(tmp_path, newest=1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are of POSIX")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidFileError, match="no file"):
        read(tmp_path / "pipe", newest=1)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40, 100_000_001, 10_000])
def test_the_length_of_the_header_is_not_believed(path, length):
    raw = length.to_bytes(8, "little") + path.read_bytes()[8:]
    tracemalloc.start()
    try:
        refused(path, raw, "does not begin")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("described", "match"),
    [
        (entry("U8", [2**40], 0, 2**40), "beyond the file"),
        (entry("U8", [2**40], 0, 0), "beyond the file"),
        (entry("U8", [2**40, 0], 0, 0), "beyond the file"),
        (entry("U8", [300, 300, 0], 0, 0), "larger than the file"),
        (entry("U8", [0] * 65, 0, 0), "65 dimensions"),
        (entry("U8", [2] * 65, 0, 0), "65 dimensions"),  # of a million, no product is made
        (entry("U8" * 10_000, [1], 0, 1), r"dtype 'U8U8.{10,100}U8'$"),
        (entry("U8", [-1], 0, 0), "beyond the file"),
        (entry("U8", [True], 0, 1), "beyond the file"),
        (entry("U8", [1.0], 0, 1), "beyond the file"),
        (entry("U8", "11", 0, 1), "beyond the file"),
        (entry("U8", [2], 0, 1), "does not fit its 1 bytes"),
        (entry("F64", [1], 0, 1), "does not fit its 1 bytes"),
        (entry("U8", [1], 1, 0), "does not fit its -1 bytes"),
        (entry("U8", [1], 1, 2), "begins at byte 1 instead of 0"),
        (entry("U8", [1], 0, 1), "describes 1 bytes"),
        (entry("F8_E4M3", [1], 0, 1), "unknown dtype"),
        (entry(["U8"], [1], 0, 1), "unknown dtype"),
        ({"dtype": "U8", "shape": [1]}, "not described"),
        ({**entry("U8", [1], 0, 1), "more": 1}, "not described"),
        ({"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2]}, "3 offsets"),
        (None, "not described"),
        (entry("BOOL", [6], 0, 6), "neither true nor false"),
    ],
)
def test_what_tensors_declare_is_not_believed(path, described, match):
    def change(header, metadata):
        header.clear()
        header["x"] = described

    raw = forged(path, change, data=b"\1\0\1\0\2\0")
    tracemalloc.start()
    try:
        refused(path, raw, match)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_tensors_neither_overlap_nor_repeat(path):
    good = path.read_bytes()
    twice = forged(path, lambda header, _: header.update(x=header["wide"]))
    gap = forged(path, lambda header, _: header.pop("wide"))
    refused(path, twice, "begins at byte 0 instead of 48")
    refused(path, gap, "begins at byte 48 instead of 0")
    refused(path, good.replace(b'"small"', b'"flags"'), "repeated")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": "pt"}, "not one of sk_entity_embed"),
        ({"format_version": "2"}, "reads up to 1.*pip install --upgrade"),
        ({"format_version": "0"}, "no number"),
        ({"format_version": "1e9"}, "no number"),
        ({"format_version": "9" * 10_000}, "no number"),
        ({"format_version": 1}, "no number"),
        ({"more": ""}, "metadata are"),
    ],
)
def test_metadata_are_checked(path, changes, match):
    raw = forged(path, lambda _, metadata: metadata.update(changes))
    refused(path, raw, match)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sha256": 3}, "no text"),
        ({"sha256": "A" * 64}, "no sha256"),
        ({"sha256": "0" * 63}, "no sha256"),
        ({"sha256": "0" * 64}, "does not fit"),
    ],
)
def test_the_checksum_is_checked(path, changes, match):
    header, metadata, document, data = take_apart(path.read_bytes())
    raw = put_together(header, {**metadata, **changes}, document, data, sign=False)
    refused(path, raw, match)


def test_a_checksum_spelled_in_another_way_is_refused(path):
    raw = path.read_bytes()
    digest = take_apart(raw)[1]["sha256"]
    spelled = "".join(f"\\u{ord(c):04x}" for c in digest).encode()
    header = raw[8 : 8 + int.from_bytes(raw[:8], "little")].replace(digest.encode(), spelled)
    data = raw[8 + int.from_bytes(raw[:8], "little") :]
    refused(path, len(header).to_bytes(8, "little") + header + data, "not where it should be")


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": ' + "9" * 5000 + "}", "3"),
        '{"a": "\ud800"}',
    ],
)
def test_the_document_is_strict_json(path, text):
    header, metadata, _, data = take_apart(path.read_bytes())
    refused(path, put_together(header, metadata, text, data), "its document is no")


@pytest.mark.parametrize(
    ("limit", "document", "match"),
    [
        ("MAX_HEADER", {"text": "x" * 400}, r"bytes of text .* room for 400.* NumPy arrays"),
        ("MAX_NODES", {"list": [0] * 400}, r"values .* room for 400.* NumPy arrays"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, monkeypatch, limit, document, match):
    monkeypatch.setattr(container, limit, 400)
    with pytest.raises(InvalidParameterError, match=match):
        write(tmp_path / "file", document, {}, version=1)
    assert list(tmp_path.iterdir()) == []


def test_what_has_just_room_is_written_and_read(tmp_path, monkeypatch):
    document, path = {"list": [[]] * 40}, tmp_path / "file"
    write(path, document, {}, version=1)
    marks = sum(map(path.read_bytes().decode().count, "[{,:"))
    monkeypatch.setattr(container, "MAX_NODES", marks)
    write(path, document, {}, version=1)
    assert read(path, newest=1)[1] == document


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [' + "[]," * 2_600_000 + "[]]}",
        "{" + ",".join(f'"{i}":0' for i in range(2_600_000)) + "}",
    ],
    ids=["lists", "keys"],
)
def test_a_crowded_file_costs_no_more_memory_than_a_good_one(path, text):
    header, metadata, _, data = take_apart(path.read_bytes())
    raw = put_together(header, metadata, text, data)
    tracemalloc.start()
    try:
        refused(path, raw, "its header has more than 5000000 values")
        assert tracemalloc.get_traced_memory()[1] < 5 * len(raw)
    finally:
        tracemalloc.stop()


def test_values_are_counted_before_they_are_made(path, monkeypatch):
    header, metadata, _, data = take_apart(path.read_bytes())
    raw = put_together(header, metadata, {"a": [[]] * 500}, data, escaped=True)
    monkeypatch.setattr(container, "MAX_NODES", 1000)
    made = []
    monkeypatch.setattr(container, "parse_json", lambda text: made.append(text) or json.loads(text))
    refused(path, raw, "its document has more than 1000 values")
    assert len(made) == 1  # the header, which has few: there the document is one text


@pytest.mark.parametrize(("by", "match"), [(-1, "while it was read"), (1, "grew")])
def test_a_file_that_changes_while_it_is_read(path, monkeypatch, by, match):
    size = path.stat().st_size
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] if by < 0 else raw + b"\0")

    class Stat:
        st_size = size
        st_mode = stat.S_IFREG

    monkeypatch.setattr(container.os, "fstat", lambda _: Stat)
    with pytest.raises(InvalidFileError, match=match):
        read(Path(path), newest=1)
