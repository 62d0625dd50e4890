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

from sk_entity_embed.export import _values
from sk_entity_embed.export._values import KINDS, Packer, Unpacker, UnrepresentableError
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


def there_and_back(value):
    """A value after packing, JSON and unpacking."""
    packer = Packer()
    text = json.dumps(packer.pack(value, "value"), allow_nan=False)
    unpacker = Unpacker({name: array.copy() for name, array in packer.arrays.items()})
    found = unpacker.unpack(json.loads(text))
    assert unpacker.arrays == {}
    return found


def refused(value, match):
    with pytest.raises(UnrepresentableError, match=match):
        Packer().pack(value, "here")


def unpack_fails(packed, arrays=None, match=None):
    errors = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError)
    with pytest.raises((*errors, TypeError, ValueError), match=match):
        Unpacker(arrays or {}).unpack(packed)


def by_type(values):
    """Values in groups of one type, as cases of a test."""
    groups = {}
    for value in values:
        groups.setdefault(type(value).__name__, []).append(value)
    return [pytest.param(group, id=name) for name, group in groups.items()]


@pytest.mark.parametrize("values", by_type(SCALARS + CONTAINERS))
def test_values_and_cells(values):
    for value in values:
        assert_same(there_and_back(value), value)
        assert_same(there_and_back([value, (value,)]), [value, (value,)])
        if type(value) in (list, dict, set) or str(value) == "sNaN12":
            continue  # no category, since it has no hash
        cells = np.empty(3, dtype=object)
        cells[:] = [value, "a", (value, (value,))]
        assert_same(there_and_back(cells), cells)


@pytest.mark.parametrize("values", by_type(ARRAYS + FRAMES))
def test_arrays_and_frames(values):
    for value in values:
        assert_same(there_and_back(value), value)


def test_every_kind_is_tried():
    tried = {*map(type, SCALARS + FRAMES), WindowsPath, int, float, str}
    tried |= {np.dtype(name).type for name in _values.NUMBERS}
    splitters = {*KINDS["splitter"][0], np.random.RandomState}
    others = {np.longlong, np.ulonglong, pd.DatetimeIndex, pd.TimedeltaIndex, *splitters}
    assert {kind for kinds, _, _ in KINDS.values() for kind in kinds} <= tried | others


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.text(st.characters(categories=["Cs", "Lu"])) | st.datetimes()
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)  # fmt: skip


@given(json_like, st.lists(st.text() | st.text(st.characters(categories=["Cs", "Lu"]))))
def test_any_values_and_strings(value, texts):
    assert_same(there_and_back(value), value)
    array = np.array([*texts, None], dtype=object)[:-1]
    assert_same(there_and_back(array), array)


def test_random_states_and_splitters():
    random = np.random.RandomState(3)
    random.standard_normal(5)  # an odd number keeps one in reserve
    found = there_and_back({"random_state": random})["random_state"]
    assert found.standard_normal(700).tolist() == random.standard_normal(700).tolist()
    for splitter in (
        KFold(3, shuffle=True, random_state=np.random.RandomState(1)),
        GroupKFold(4),
        LeaveOneOut(),
        PredefinedSplit([0, 1, 0, 1]),
    ):
        assert_same(there_and_back(splitter), splitter)


def test_arrays_have_names_that_tell_where_they_are():
    packer = Packer()
    packer.pack({"a": [np.arange(2), np.arange(3)], ("k",): (np.arange(4),)}, "params")
    packer.pack(np.arange(5), "params.a.0")
    packer.pack(np.arange(6), "params.ü")
    lengths = {name: len(array) for name, array in packer.arrays.items()}
    expected = {"params.a.0": 2, "params.a.1": 3, "params.0": 4, "params.a.0#0": 5, "params.?": 6}
    assert lengths == expected


def test_crowded_text_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(_values, "MAX_MARKS", 10)
    for crowd in ("[]," * 200, "{}," * 200):
        raw = np.frombuffer(f"[{crowd}0]".encode(), np.uint8)
        unpack_fails({"cells": "x"}, {"x": raw}, "too many lists and objects")
    refused(np.array([":[" * 20, 1], dtype=object), "here has too many containers")
    cells = np.empty(300, dtype=object)
    cells[:] = [(), ((),), ((), (), ((),))] * 100  # the shortest ones have room
    assert_same(there_and_back(cells), cells)


COLLIDING = [k * (2**61 - 1) for k in range(101)]  # all of them hash to 0


@pytest.mark.parametrize("keys", [COLLIDING, [uuid.UUID(int=k) for k in COLLIDING]])
def test_values_that_hash_alike_are_refused_before_they_are_compared(keys):
    packed = Packer().pack(keys, "here")
    cells = np.frombuffer(json.dumps([{"frozenset": packed}]).encode(), np.uint8)
    pairs = {"dict": [[k, 1] for k in packed]}
    for crowd in ({"set": packed}, {"frozenset": packed}, pairs, {"cells": "x"}):
        unpack_fails(crowd, {"x": cells}, "too many .* of the same hash")
    for crowd in (set(keys), [frozenset(keys)], dict.fromkeys(keys)):
        refused(crowd, "more than 100 entries of the same hash.*give them as strings")
    few = [set(keys[1:]), dict.fromkeys(keys[1:])]
    assert there_and_back(few) == few


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


def test_other_members_are_refused_with_what_to_do():
    for member in (Color.red, Hashed.one, Unequal.a, Listed.a):
        refused([member], rf"here\.0 is {member}, a member of an enum.*`\.name` or its `\.value`")


class Text(str):
    pass


class Odd:
    pass


OTHERS = [
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
    (pd.Period(ordinal=10**6, freq="Y-DEC"), "is not a period of frequency 'Y-DEC'"),
    (pd.Period(ordinal=8030, freq="Y-DEC"), "is not a period of frequency 'Y-DEC' up to"),
    (pd.Period(ordinal=-(2**63) + 1, freq="D"), "is not a period of frequency 'D'"),
    (pd.Interval(np.longdouble(0), np.longdouble(1)), "of type numpy.longdouble"),
    (Fraction(1, 10**20_000), "number of 16612 characters"),
    (ZoneInfo.no_cache("Europe/Oslo"), "a time zone of its own"),
    (dt.datetime(2026, 1, 1, tzinfo=ODD_ZONE), "here has a time zone of the unknown name"),
    (type("Here", (PurePosixPath,), {})("a"), "of type .*Here"),
    (pd.offsets.MonthEnd(), "of type .*MonthEnd"),
    (pd.Timestamp(np.datetime64("20000-01-01", "s")), "in the year 20000"),
    ({1, Odd()}, "of type .*Odd"),
    (pd.Series([1, None], dtype="Int64"), "is a series of dtype Int64"),
    (pd.DataFrame({"a": ["x"]}), "has a column 'a' of dtype"),
    (pd.DataFrame([[1.0]], index=pd.CategoricalIndex(["a"])), "CategoricalIndex"),
    (pd.DataFrame([[1.0]], index=pd.DatetimeIndex([0], tz="UTC")), "has an index of dtype"),
    (np.random.default_rng(0), "of type numpy.random"),
    (np.random.RandomState(np.random.PCG64(0)), "runs on PCG64"),
    (ShuffleSplit(), "of type sklearn.*ShuffleSplit"),
]  # fmt: skip


def test_other_values_are_refused_by_name():
    for value, match in OTHERS:
        refused(value, match)
    own = []
    own.append(own)
    refused(own, "nested too deeply, or holds itself")
    deep = ()
    for _ in range(50):
        deep = (deep,)
    cells = np.empty(2, dtype=object)
    cells[:] = [deep, 1]
    refused(cells, "nested too deeply")
    cells[0] = [1]
    refused(cells, "here, position 0 is of type builtins.list")


BAD_ZONES = (
    *("../../etc/passwd", "Nowhere/City", "Europe", "Europe/Oslo\n", "Europe/" * 4 + "Oslo"),
    *("a/" * 500 + "b", 10**12, [9, 0, 0], 0.5),
)
HUGE = {"range": [0, 2**40, 1, None]}
NEVER_PACKED = [
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
    ({"int": ["0x" + "f" * 20_000]}, {}),
    ({"int": [5]}, {}),
    ({"float": ["x"]}, {}),
    ({"str": ["fffe"]}, {}),
    ({"Decimal": ["9" * 20_000]}, {}),
    ({"Decimal": ["x"]}, {}),
    ({"date": ["2026-13-01"]}, {}),
    *(({"clock": ["datetime", "2026-01-01", 0, zone]}, {}) for zone in BAD_ZONES),
    *(({"timestamp": [0, "ns", zone]}, {}) for zone in BAD_ZONES),
    *(({"zone": [zone]}, {}) for zone in BAD_ZONES),
    ({"clock": ["date", "2026-01-01", 0, None]}, {}),
    ({"timestamp": [2**80, "ns", None]}, {}),
    ({"timestamp": [0, "fortnight", None]}, {}),
    ({"timestamp": [2**62, "s", None]}, {}),
    ({"number": ["object", 1]}, {}),
    ({"number": ["int8", 300]}, {}),
    ({"number": ["float64", [1]]}, {}),
    ({"time64": ["O", 1]}, {}),
    ({"bytes_": ["x"]}, {}),
    *(({"period": [0, f]}, {}) for f in ("X", "B", "0D", "1D1h", "W-JAN", "Y", "M\n", ["D"])),
    ({"period": [0, "9" * 20_000 + "D"]}, {}),
    *(({"period": [n, "D"]}, {}) for n in (True, 0.5, "2026")),
    *(({"period": [n, "ns"]}, {}) for n in (2**63, -(2**63))),
    ({"period": [-(2**63) + 1, "Y-DEC"]}, {}),
    *(({"interval": [0, 1, closed]}, {}) for closed in ("open", None)),
    *(
        ({"interval": [*ends, "left"]}, {})
        for ends in ((1, 0), ("a", "b"), (None, None), (0, {"float": ["nan"]}), ([0], 1))
    ),
    ({"interval": [0, {"timestamp": [0, "ns", None]}, "left"]}, {}),
    ({"interval": [{"interval": [0, 1, "left"]}, 2, "left"]}, {}),
    *(({"fraction": parts}, {}) for parts in ([1, 0], [1.5, 1], ["1/2", 1], [True, 1], [1])),
    ({"IPv4Address": ["300.0.0.1"]}, {}),
    ({"IPv4Address": [5]}, {}),
    ({"IPv4Network": ["10.0.0.1/8"]}, {}),
    ({"Path": ["a"]}, {}),
    ({"PosixPath": [["a"]]}, {}),
    ({"array": "x"}, {}),
    ({"array": ["x"]}, {}),
    ({"array": [["x"]]}, {"x": np.arange(3)}),
    ({"tuple": [{"array": "x"}, {"array": "x"}]}, {"x": np.arange(3)}),
    ({"times": ["x", "datetime64[s]"]}, {"x": np.arange(3.0)}),
    ({"times": ["x", "O"]}, {"x": np.arange(3)}),
    ({"unicode": "x"}, {"x": np.full((2, 1), 0x110000, np.uint32)}),
    ({"unicode": "x"}, {"x": np.empty((5, 0), np.uint32)}),
    ({"unicode": "x"}, {"x": np.array(5, np.uint32)}),
    ({"unicode": "x"}, {"x": np.arange(3)}),
    ({"cells": "x"}, {"x": np.arange(3)}),
    *(
        ({"cells": "x"}, {"x": np.frombuffer(text, np.uint8)})
        for text in (
            *(b"[[1]]", b'{"tuple": []}', b'[{"set": []}]', b'[{"array": "y"}]', b'["\xff"]'),
            *(b"[" * 100_000, b'[{"tuple":' * 300, b'[{"tuple":[' * 50 + b"]}" * 50 + b"]"),
        )
    ),
    ({"frame": [{"array": "x"}, 1, 2]}, {"x": np.arange(3)}),
    ({"frame": [[{"array": "x"}], HUGE, {"range": [0, 1, 1, None]}]}, {"x": np.arange(3.0)}),
    ({"frame": [[1], {"range": [0, 1, 1, None]}, {"range": [0, 1, 1, None]}]}, {}),
    ({"series": [{"array": "x"}, None, None]}, {"x": np.arange(3)}),
    ({"series": [[1], {"range": [0, 1, 1, None]}, None]}, {}),
    ({"series": [{"array": "x"}, HUGE, None]}, {"x": np.array(1.0)}),
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
]  # fmt: skip


@pytest.mark.parametrize("tag", sorted({next(iter(packed), "") for packed, _ in NEVER_PACKED}))
def test_what_no_packer_makes_is_refused(tag):
    for packed, arrays in NEVER_PACKED:
        if next(iter(packed), "") == tag:
            unpack_fails(packed, arrays)


def test_paths_of_another_system_are_loaded_as_what_needs_no_disk():
    other = "WindowsPath" if type(Path()) is PosixPath else "PosixPath"
    found = Unpacker({}).unpack({other: ["a/b"]})
    assert type(found).__name__ == f"Pure{other}"
    assert found.parts == ("a", "b")
