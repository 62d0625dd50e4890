"""Values of a closed set of types come back equal in type and value; all others are refused."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
from collections import OrderedDict
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path, PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, PredefinedSplit, ShuffleSplit

from sk_entity_embed.export.saving import container
from sk_entity_embed.export.saving.container import read, write
from sk_entity_embed.export.saving.kinds import KINDS
from sk_entity_embed.export.saving.plain import UnrepresentableError
from sk_entity_embed.export.saving.values import Packer, Unpacker
from tests.export.saved import assert_same

OSLO = ZoneInfo("Europe/Oslo")
ODD_ZONE = ZoneInfo.from_file(
    io.BytesIO(b"TZif" + bytes(35) + b"\1\0\0\0\1" + bytes(7)), key="a/" * 99
)
WHEN = dt.datetime(2026, 10, 25, 2, 30, 1, 7)
LONE = ["a\ud800", "\ud83d\ude00", "\U0001f600", "", "a\0b"]

SCALARS = [
    *(None, True, False, 0, -1, 2**53, -(2**64), 10**3000, 0.1, -0.0, 5e-324, 1e308),
    *(float("nan"), float("inf"), -float("inf"), "", "ü漢\n\t\"'</script>", *LONE),
    *(b"", b"\0\xff", dt.date(1, 1, 1), WHEN, WHEN.replace(fold=1, tzinfo=OSLO)),
    *(WHEN.replace(tzinfo=dt.UTC), WHEN.replace(tzinfo=dt.timezone(dt.timedelta(minutes=-90)))),
    *(dt.time(1, 2, 3, 4, fold=1), dt.time(0, tzinfo=dt.UTC), dt.timedelta(-1, 2, 3)),
    *(Decimal("1.50"), Decimal("-0"), Decimal("1E+30"), Decimal("-Infinity"), uuid.UUID(int=7)),
    *(pd.NA, pd.NaT, pd.Timestamp("2026-01-01"), pd.Timestamp(1, unit="ns", tz="UTC")),
    *(
        pd.Timestamp("2026-10-25 00:30", tz="UTC").tz_convert(OSLO),
        pd.Timedelta("1ns"),
        pd.Timedelta("-3D"),
    ),
    *(np.int8(-3), np.uint64(2**64 - 1), np.float16(0.1), np.float32(np.nan), np.float64(-0.0)),
    *(
        np.bool_(True),
        np.str_("a"),
        np.str_("a\ud800"),
        np.datetime64("2026"),
        np.datetime64("NaT"),
    ),
    *(np.datetime64(25, "3s"), np.timedelta64(2**62, "ns")),
]

OSLO_TIME = pd.Timestamp("2026-03-29 01:30", tz="UTC").tz_convert(OSLO)
FREQUENCIES = ["Y-JAN", "Y-DEC", "Q-FEB", "M", "W-WED", "D", "h", "min", "s", "ms", "us", "ns"]
SCALARS += [
    *(pd.Period("2026-03-29 01:02:03.000000004", freq) for freq in FREQUENCIES),
    *(pd.Period("0001-01-02", "D"), pd.Period("9999-12-31", "h"), pd.Period("2026-01", "25h")),
    *(pd.Period("1969-12", "3M"), pd.Period(ordinal=2**63 - 1, freq="ns")),
    *(pd.Interval(0, 1, closed) for closed in ("left", "right", "both", "neither")),
    *(pd.Interval(-0.059, 14.75), pd.Interval(-np.inf, 2**70), pd.Interval(0.1, 0.1)),
    pd.Interval(np.int64(3), np.float32(7.5)),
    *(pd.Interval(pd.Timedelta("-1ns"), pd.Timedelta("1D")), pd.Interval(OSLO_TIME, OSLO_TIME)),
    *(Fraction(-1, 3), Fraction(0), Fraction(10**3000, 7), IPv4Address("10.0.0.1")),
    *(IPv6Address("fe80::1%eth0"), IPv4Network("10.0.0.0/8"), IPv6Network("::/0")),
    *(IPv4Interface("10.0.0.1/8"), IPv6Interface("::1/64"), PurePosixPath("a//b/../\ud800")),
    *(PurePosixPath(), PureWindowsPath("C:a\\B"), Path("a/b"), OSLO, dt.UTC),
    *(dt.timezone(dt.timedelta(minutes=-90)), np.bytes_(b"\0a"), Decimal("NaN"), Decimal("sNaN12")),
]

CONTAINERS = [
    *([], (), {}, set(), frozenset(), [[]], [(1, [2.5])], {"a": {"b": [1]}}, {1, "a"}),
    *({1: "int", "1": "str", 2.5: None, None: 0, (1, "a"): 3, b"x": 1, frozenset({1}): 2},),
    *(frozenset({(1, 2)}), [{"tuple": [1]}], {"array": "x"}),
]

ARRAYS = [
    *(np.arange(3), np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.array(3.5)),
    *(np.array([True, False]), np.array([np.nan, -0.0, np.inf], np.float16), np.empty((0, 4))),
    *(np.arange(3, dtype=d) for d in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4")),
    *(np.array(["a", "ü漢", ""]), np.array([["a"], ["bb"]]), np.array("x"), np.empty(0, "U3")),
    *(np.array(["\ud800"]), np.array(["2026-01-01", "NaT"], "M8[D]"), np.array([1, 2], "m8[25s]")),
    *(np.array(c, dtype=object) for c in (["a", "ü漢", ""], LONE, [], [None, np.nan, pd.NA])),
    *(np.array(c, dtype=object) for c in ([1, 1.0, True, "1"], [np.str_("a"), "a"], [Decimal(1)])),
]
MIXED = np.empty(4, dtype=object)
MIXED[:] = [(1, ("a", LONE[0])), frozenset({1}), WHEN, 2**70]
ARRAYS.append(MIXED)

TUPLES = pd.Index([("a", 1)], tupleize_cols=False)

FRAMES = [
    pd.DataFrame(np.arange(6.0).reshape(3, 2), index=["a", "b", "c"]),
    pd.DataFrame(np.arange(6, dtype=np.float32).reshape(3, 2), index=pd.Index([3, 1, 2], name="n")),
    pd.DataFrame(
        {"x": [1.0, 2.0], "y": [1, 2], "z": [True, False]}, index=[dt.date(2026, 1, 1), 1]
    ),
    pd.DataFrame([[1.0]], index=TUPLES, columns=TUPLES),
    pd.DataFrame([[1.0], [2.0]], index=pd.to_datetime(["2026-01-01", "2026-01-03"])),
    pd.DataFrame([[1.0], [2.0]], index=pd.Index(["a", np.nan])),
    pd.DataFrame([[1.0], [2.0]], index=pd.Index(["a", "\ud800"], dtype=object)),
    pd.DataFrame(index=["a"]),
    pd.Series([True, False], index=["a", "b"], name="mask"),
    pd.Series(["a", 1], dtype=object),
    pd.RangeIndex(1, 9, 3, name="r"),
    pd.Index([1.5, 2.5]),
]


def there_and_back(value, path=None):
    """A value after packing, JSON (and a file, if there is a path) and unpacking."""
    packer = Packer()
    document, arrays = {"value": packer.pack(value, "value")}, packer.arrays
    document = json.loads(json.dumps(document, allow_nan=False))
    if path is not None:
        write(path, document, arrays, version=1)
        _, document, arrays = read(path, newest=1)
    unpacker = Unpacker(arrays)
    found = unpacker.unpack(document["value"])
    assert unpacker.arrays == {}
    return found


def refused(value, match):
    with pytest.raises(UnrepresentableError, match=match):
        Packer().pack(value, "here")


@pytest.mark.parametrize("value", SCALARS + CONTAINERS, ids=lambda v: type(v).__name__)
def test_values(value):
    assert_same(there_and_back(value), value)
    assert_same(there_and_back([value, (value,)]), [value, (value,)])


@pytest.mark.parametrize("value", SCALARS, ids=lambda v: type(v).__name__)
def test_values_as_cells(value):
    cells = np.empty(3, dtype=object)
    cells[:] = [value, "a", (value, (value,))]
    assert_same(there_and_back(cells), cells)


@pytest.mark.parametrize("value", ARRAYS + FRAMES, ids=lambda v: type(v).__name__)
def test_arrays_and_frames(value, tmp_path):
    assert_same(there_and_back(value, tmp_path / "file"), value)


def test_crowded_cells_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(container, "MAX_NODES", 10)
    for crowd in ("[]," * 200, "{}," * 200):
        raw = np.frombuffer(f"[{crowd}0]".encode(), np.uint8)
        with pytest.raises(ValueError, match="too many lists and objects"):
            Unpacker({"cells": raw}).unpack({"objects": "cells"})
    refused(np.array([":[" * 20, 1], dtype=object), "too many brackets .* make all values strings")


COLLIDING = [k * (2**61 - 1) for k in range(101)]  # all of them hash to 0


@pytest.mark.parametrize("keys", [COLLIDING, [uuid.UUID(int=k) for k in COLLIDING]])
def test_values_that_hash_alike_are_refused_before_they_are_compared(keys):
    packed = Packer().pack(keys, "here")
    cells = np.frombuffer(json.dumps([{"frozenset": packed}]).encode(), np.uint8)
    for crowd in (
        {"set": packed},
        {"frozenset": packed},
        {"dict": [[k, 1] for k in packed]},
        {"objects": "cells"},
    ):
        with pytest.raises(ValueError, match=r"too many .* of the same hash"):
            Unpacker({"cells": cells}).unpack(crowd)
    advice = "more than 100 entries of the same hash.*give them as strings"
    refused(set(keys), advice)
    refused([frozenset(keys)], advice)
    refused(dict.fromkeys(keys), advice)
    refused(np.array([frozenset(keys), 1], dtype=object), advice)
    few = [set(keys[1:]), dict.fromkeys(keys[1:])]
    assert there_and_back(few) == few


def test_the_shortest_cells_are_not_too_many(monkeypatch):
    monkeypatch.setattr(container, "MAX_NODES", 1)
    cells = np.empty(300, dtype=object)
    cells[:] = [(), ((),), ((), (), ((),))] * 100
    assert_same(there_and_back(cells), cells)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.text(st.characters(categories=["Cs", "Lu"])) | st.datetimes()
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)  # fmt: skip


@given(json_like)
def test_any_values(value):
    assert_same(there_and_back(value), value)


@given(st.lists(st.text() | st.text(st.characters(categories=["Cs", "Lu"]))))
def test_any_strings(texts):
    array = np.array([*texts, None], dtype=object)[:-1]
    assert_same(there_and_back(array), array)


def test_random_states_go_on(tmp_path):
    random = np.random.RandomState(3)
    random.standard_normal(5)  # an odd number keeps one in reserve
    found = there_and_back({"random_state": random}, tmp_path / "file")["random_state"]
    assert found.standard_normal(700).tolist() == random.standard_normal(700).tolist()


def test_splitters():
    for splitter in (
        KFold(3, shuffle=True, random_state=np.random.RandomState(1)),
        GroupKFold(4),
        LeaveOneOut(),
        PredefinedSplit([0, 1, 0, 1]),
    ):
        assert_same(there_and_back(splitter), splitter)


def test_arrays_in_containers_keep_names_that_tell_where_they_are():
    packer = Packer()
    packer.pack({"a": [np.arange(2), np.arange(3)], ("k",): (np.arange(4),)}, "params")
    packer.pack(np.arange(5), "params.a.0")
    packer.pack(np.arange(6), "params.ü\n")
    assert {n: len(a) for n, a in packer.arrays.items()} == {
        "params.a.0": 2,
        "params.a.1": 3,
        "params.0": 4,
        "params.a.0#0": 5,
        "params.?\n": 6,
    }


class Color(Enum):
    red = 1


class Hashed(int, Enum):
    """Members that do not hash as their values do."""

    one = 1

    def __hash__(self):
        return 7


class Unequal(StrEnum):
    """Members that differ from their values."""

    a = "b"

    def __new__(cls, value):
        made = str.__new__(cls, "a")
        made._value_ = value
        return made


class Pair(tuple, Enum):
    first = (1, "a")


class Group(frozenset, Enum):
    first = frozenset({Pair.first})


Listed = Enum("Listed", {"a": [1]})
Number = IntEnum("Number", {"two": 2})
Name = StrEnum("Name", {"oslo": "Oslo", "lone": LONE[0]})
Mixed = Enum("Mixed", {"a": "A"}, type=str)
Flags = IntFlag("Flags", {"read": 1, "write": 2})
Day = Enum("Day", {"first": (2026, 1, 1)}, type=dt.date)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (Number.two, 2),
        (Name.oslo, "Oslo"),
        (Name.lone, LONE[0]),
        (Mixed.a, "A"),
        (Flags.read | Flags.write, 3),
        (Day.first, dt.date(2026, 1, 1)),
        (Pair.first, (1, "a")),
        (Group.first, frozenset({(1, "a")})),
        ((Number.two, frozenset({Name.oslo})), (2, frozenset({"Oslo"}))),
    ],
    ids=str,
)
def test_members_that_equal_a_plain_value_come_back_as_it(member, value):
    found = there_and_back([member])
    assert_same(found, [value])
    assert (found[0], hash(found[0])) == (member, hash(member))
    cells = np.empty(2, dtype=object)
    cells[:] = [member, None]
    assert_same(there_and_back(cells).tolist(), [value, None])


@pytest.mark.parametrize("member", [Color.red, Hashed.one, Unequal.a, Listed.a], ids=str)
def test_other_members_are_refused_with_what_to_do(member):
    refused(
        [member], rf"here\.0 is {member}, a member of an enum.*`\.name` or its `\.value` before fit"
    )


class Text(str):
    pass


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (lambda n: n, "here is the function or class .*<lambda>"),
        (Odd, "the function or class Odd"),
        ([1, Odd()], r"here\.1 is of type .*Odd"),
        ({"a": {"b": Odd()}}, r"here\.a\.b is of type"),
        ({Odd(): 1}, "a key of here is of type"),
        ((i for i in range(3)), "of type builtins.generator"),
        (Text("a"), "of type .*Text"),
        (OrderedDict(a=1), "of type collections.OrderedDict"),
        (10**20_000, "number of 16612 characters"),
        (1j, "of type builtins.complex"),
        (np.longdouble(1), "of type numpy.longdouble"),
        (np.array([1j]), "array of dtype complex128"),
        (np.array([b"a"]), r"array of dtype \|S1"),
        (np.array([["a"]], dtype=object), "array of dtype object and shape"),
        (np.array(["a", Odd()], dtype=object), "here, position 1 is of type .*Odd"),
        (np.array([("a", [1])], dtype=[("a", "U1"), ("b", object)]), "array of dtype"),
        (np.ma.masked_array([1]), "of type numpy.ma"),
        (dt.datetime(2026, 1, 1, tzinfo=type("Zone", (dt.tzinfo,), {})()), "time zone of type"),
        (pd.Period(ordinal=10**6, freq="Y-DEC"), "is no period of frequency 'Y-DEC'"),
        (pd.Period(ordinal=8030, freq="Y-DEC"), "a period is in the year 10000"),
        (pd.Period(ordinal=-(2**63) + 1, freq="D"), "is no period of frequency 'D'"),
        (pd.Interval(np.longdouble(0), np.longdouble(1)), "of type numpy.longdouble"),
        (Fraction(1, 10**20_000), "number of 16612 characters"),
        (ZoneInfo.no_cache("Europe/Oslo"), "a time zone of its own"),
        (dt.datetime(2026, 1, 1, tzinfo=ODD_ZONE), "here has a time zone of the unknown name"),
        (type("Here", (PurePosixPath,), {})("a"), "of type .*Here"),
        (pd.offsets.MonthEnd(), "of type .*MonthEnd"),
        (pd.Timestamp(np.datetime64("20000-01-01", "s")), "in the year 20000"),
        ({1, Odd()}, "of type .*Odd"),
        (pd.Series([1, None], dtype="Int64"), "series is of dtype Int64"),
        (pd.DataFrame({"a": ["x"]}), "column 'a' of a data frame is of dtype"),
        (pd.DataFrame([[1.0]], index=pd.CategoricalIndex(["a"])), "CategoricalIndex"),
        (pd.DataFrame([[1.0]], index=pd.DatetimeIndex([0], tz="UTC")), "index is of"),
        (np.random.default_rng(0), "of type numpy.random"),
        (np.random.RandomState(np.random.PCG64(0)), "runs on PCG64"),
        (ShuffleSplit(), "of type sklearn.*ShuffleSplit"),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_other_values_are_refused(value, match):
    refused(value, match)


def test_values_that_hold_themselves_are_refused():
    value = []
    value.append(value)
    refused(value, "nested too deeply")
    deep = ()
    for _ in range(50):
        deep = (deep,)
    cells = np.empty(1, dtype=object)
    cells[0] = deep
    refused(cells, "is nested more than 40 deep")


UTF8 = {"t": np.frombuffer(b"ab\xff", np.uint8), "o": np.array([0, 1, 2])}


@pytest.mark.parametrize(
    ("packed", "arrays"),
    [
        ({"os.system": "true"}, {}),
        ({"eval": ["1"]}, {}),
        ({}, {}),
        ({"tuple": [], "list": []}, {}),
        ({"tuple": "ab"}, {}),
        ({"tuple": {"dict": []}}, {}),
        ({"set": [[1]]}, {}),
        ({"dict": [[[1], 2]]}, {}),
        ({"dict": [1]}, {}),
        ({"dict": None}, {}),
        ({"int": "0x" + "f" * 20_000}, {}),
        ({"int": 5}, {}),
        ({"float": "1.5"}, {}),
        ({"str": "fffe"}, {}),
        ({"decimal": "9" * 20_000}, {}),
        ({"decimal": "x"}, {}),
        ({"date": "2026-13-01"}, {}),
        ({"datetime": ["2026-01-01", 0, "../../etc/passwd"]}, {}),
        ({"datetime": ["2026-01-01", 0, "Nowhere/City"]}, {}),
        ({"datetime": ["2026-01-01", 0, "Europe"]}, {}),
        ({"datetime": ["2026-01-01", 0, [9, 0, 0]]}, {}),
        ({"timestamp": [2**80, "ns", None]}, {}),
        ({"timestamp": [0, "fortnight", None]}, {}),
        ({"timestamp": [2**62, "s", None]}, {}),
        ({"scalar": ["object", 1]}, {}),
        ({"scalar": ["int8", 300]}, {}),
        ({"scalar": ["float64", [1]]}, {}),
        ({"scalar": ["float64", {"tuple": []}]}, {}),
        ({"time64": ["O", 1]}, {}),
        ({"np_bytes": "x"}, {}),
        ({"period": [0, "X"]}, {}),
        ({"period": [0, "B"]}, {}),
        ({"period": [0, "0D"]}, {}),
        ({"period": [0, "1D1h"]}, {}),
        ({"period": [0, "W-JAN"]}, {}),
        ({"period": [0, "Y"]}, {}),
        ({"period": [0, "M\n"]}, {}),
        ({"period": [0, "9" * 20_000 + "D"]}, {}),
        ({"period": [0, ["D"]]}, {}),
        ({"period": [True, "D"]}, {}),
        ({"period": [0.5, "D"]}, {}),
        ({"period": [2**63, "ns"]}, {}),
        ({"period": [-(2**63), "ns"]}, {}),
        ({"period": [-(2**63) + 1, "Y-DEC"]}, {}),
        ({"period": ["2026", "D"]}, {}),
        ({"interval": [1, 0, "left"]}, {}),
        ({"interval": [0, 1, "open"]}, {}),
        ({"interval": [0, 1, None]}, {}),
        ({"interval": ["a", "b", "left"]}, {}),
        ({"interval": [None, None, "left"]}, {}),
        ({"interval": [0, {"float": "nan"}, "left"]}, {}),
        ({"interval": [0, {"timestamp": [0, "ns", None]}, "left"]}, {}),
        ({"interval": [{"interval": [0, 1, "left"]}, 2, "left"]}, {}),
        ({"interval": [{"time64": ["datetime64[D]", 0]}, 2, "left"]}, {}),
        ({"interval": [[0], 1, "left"]}, {}),
        ({"fraction": [1, 0]}, {}),
        ({"fraction": [1.5, 1]}, {}),
        ({"fraction": ["1/2", 1]}, {}),
        ({"fraction": [True, 1]}, {}),
        ({"fraction": [1]}, {}),
        ({"fraction": [1, {"int": "0x" + "f" * 20_000}]}, {}),
        ({"of_text": ["IPv4Address", "300.0.0.1"]}, {}),
        ({"of_text": ["IPv4Address", 5]}, {}),
        ({"of_text": ["IPv4Network", "10.0.0.1/8"]}, {}),
        ({"of_text": ["Path", "a"]}, {}),
        ({"of_text": ["os.system", "true"]}, {}),
        ({"of_text": ["PosixPath", ["a"]]}, {}),
        ({"zone": None}, {}),
        ({"zone": 5}, {}),
        ({"zone": "../../etc/passwd"}, {}),
        ({"zone": "Europe"}, {}),
        ({"zone": [9, 0, 0]}, {}),
        ({"array": "x"}, {}),
        ({"array": ["x"]}, {}),
        ([{"array": "x"}, {"array": "x"}], {"x": np.arange(3)}),
        ({"times": ["x", "datetime64[s]"]}, {"x": np.arange(3.0)}),
        ({"times": ["x", "O"]}, {"x": np.arange(3)}),
        ({"unicode": "x"}, {"x": np.full((2, 1), 0x110000, np.uint32)}),
        ({"unicode": "x"}, {"x": np.empty((5, 0), np.uint32)}),
        ({"unicode": "x"}, {"x": np.array(5, np.uint32)}),
        ({"unicode": "x"}, {"x": np.arange(3)}),
        ({"objects": "x"}, {"x": np.frombuffer(b"[[1]]", np.uint8)}),
        ({"objects": "x"}, {"x": np.frombuffer(b'{"tuple": []}', np.uint8)}),
        ({"objects": "x"}, {"x": np.frombuffer(b'[{"set": []}]', np.uint8)}),
        ({"objects": "x"}, {"x": np.frombuffer(b'[{"array": "y"}]', np.uint8)}),
        ({"objects": "x"}, {"x": np.frombuffer(b"[" * 100_000, np.uint8)}),
        ({"objects": "x"}, {"x": np.frombuffer(b'[{"tuple":' * 300, np.uint8)}),
        ({"strings": ["t", "o"]}, UTF8),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.array([0, 3])}),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.array([1, 3])}),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.array([0, 2, 1, 3])}),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.array([0, 2**62, -(2**62), 3])}),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.array([0, 2**40])}),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.empty(0, np.int64)}),
        ({"strings": ["t", "o"]}, {**UTF8, "o": np.array([[0, 3]])}),
        ({"frame": [{"array": "x"}, 1, 2]}, {"x": np.arange(3)}),
        ({"frame": [{"array": "x"}, {"range": [0, 2**40, 1, None]}, {"range": [0, 1, 1, None]}]},
         {"x": np.arange(3.0)[:, None]}),
        ({"frame": [[{"array": "x"}], {"range": [0, 2**40, 1, None]}, {"range": [0, 1, 1, None]}]},
         {"x": np.arange(3.0)}),
        ({"frame": [[1], {"range": [0, 1, 1, None]}, {"range": [0, 1, 1, None]}]}, {}),
        ({"series": [{"array": "x"}, None, None]}, {"x": np.arange(3)}),
        ({"series": [[1], {"range": [0, 1, 1, None]}, None]}, {}),
        ({"series": [{"array": "x"}, {"range": [0, 2**40, 1, None]}, None]}, {"x": np.array(1.0)}),
        ({"range": [0, "a", 1, None]}, {}),
        ({"index": [[1], None, None]}, {}),
        ({"index": [{"array": "x"}, None, "category"]}, {"x": np.arange(3)}),
        ({"index": [{"array": "x"}, None, "str"]}, {"x": np.arange(3)}),
        ({"random_state": [{"array": "x"}, 625, 0, 0.0]}, {"x": np.zeros(624, np.uint32)}),
        ({"random_state": [{"array": "x"}, -1, 0, 0.0]}, {"x": np.zeros(624, np.uint32)}),
        ({"random_state": [{"array": "x"}, 0, 0, 0.0]}, {"x": np.zeros(3, np.uint32)}),
        ({"splitter": ["ShuffleSplit", {"dict": []}]}, {}),
        ({"splitter": ["KFold", {"dict": [["n_splits", 3]]}]}, {}),
        ({"splitter": ["KFold", 3]}, {}),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_what_no_packer_makes_is_refused(packed, arrays):
    with pytest.raises(
        (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
    ):
        Unpacker(arrays).unpack(packed)


def test_paths_of_another_system_are_loaded_as_what_needs_no_disk():
    other = "WindowsPath" if type(Path()) is PosixPath else "PosixPath"
    found = Unpacker({}).unpack({"of_text": [other, "a/b"]})
    assert type(found).__name__ == f"Pure{other}"
    assert found.parts == ("a", "b")


def test_every_kind_is_tried():
    assert {kind for found in KINDS for kind in found.types} <= {
        *map(type, SCALARS),
        WindowsPath,
    }


def test_depth_is_limited():
    packed = 1
    for _ in range(50):
        packed = {"tuple": [packed]}
    with pytest.raises(ValueError, match="too deeply"):
        Unpacker({}).unpack(packed)
    text = json.dumps([packed]).encode()
    with pytest.raises(ValueError, match="too deeply"):
        Unpacker({"x": np.frombuffer(text, np.uint8)}).unpack({"objects": "x"})
