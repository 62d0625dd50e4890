"""Loads mutated files in a process of limited memory: ``python -m tests.export.mutate FILE N``.

Needs ``ARROW_DEFAULT_MEMORY_POOL=system``: Arrow's other pools reserve gigabytes of addresses.

Prints how many of them were refused and how many were loaded; any other end of a load is a
failure of this process.
"""

from __future__ import annotations

import copy
import faulthandler
import json
import random
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

from sk_entity_embed.exceptions import EntityEmbedError, InvalidDataError, InvalidFileError
from sk_entity_embed.export import load
from tests.export.make_golden import answer, rows_for
from tests.export.saved import put_together, take_apart

GIGABYTE = 2**30

PLAIN = [
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**40, 2**63, -(2**70), 0.5, 1e308, "", "a", "nan"),
    *([], {}, [[]], {"tuple": []}, {"int": ["0x1"]}, {"float": ["nan"]}, {"zone": ["../x"]}),
    *({"array": "model.scale.width"}, {"cells": "model.tables.0.vocabulary.categories.json"}),
    *({"MLPHead": {}}, {"dict": [[1, 2]]}, {"os.system": ["true"]}, {"period": [2**62, "D"]}),
    *("EntityEmbeddingEncoder", "int64", "large_string", {"random_state": [1, 2, 3, 4]}),
    *({"interval": [1, 0, "left"]}, {"fraction": [1, 0]}, {"period": [0, "B"]}, "D", "M", "left"),
    *({"PosixPath": ["/etc"]}, {"IPv4Address": [5]}, {"number": ["int8", 300]}),
]


def flip_bits(draw, raw):
    changed = bytearray(raw)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def change_bytes(draw, raw):
    begin = draw.randrange(len(raw))
    length = draw.randint(1, 64)
    return raw[:begin] + draw.randbytes(length) + raw[begin + length :]


def truncate(draw, raw):
    return raw[: draw.randrange(len(raw))]


def insert(draw, raw):
    begin = draw.randint(0, len(raw))
    return raw[:begin] + draw.randbytes(draw.randint(1, 5000)) + raw[begin:]


def lengthen_header(draw, raw):
    length = draw.choice([0, 1, 2**16, 2**31, 2**40, 2**63, 2**64 - 1, len(raw), len(raw) - 8])
    return length.to_bytes(8, "little") + raw[8:]


def declare(draw, raw):
    """Other shapes, dtypes and offsets, under a checksum that fits."""
    header, document, data = take_apart(raw)
    entry = header[draw.choice(list(header))]
    what = draw.choice(["shape", "dtype", "data_offsets"])
    entry[what] = {
        "shape": draw.choice([[], [0], [2**40], [2**40, 0], [-1], entry["shape"][::-1], [1e9]]),
        "dtype": draw.choice(["U8", "I64", "F32", "BOOL", "F8", None]),
        "data_offsets": draw.choice([[0, 0], [0, 2**40], [0, len(data)], [2**63, 2**64], [1]]),
    }[what]  # fmt: skip
    return put_together(header, document, data)


def shuffle_tensors(draw, raw):
    """Names of tensors on other data, under a checksum that fits."""
    header, document, data = take_apart(raw)
    names = draw.sample(list(header), draw.randint(2, 6))
    entries = [header[name] for name in names]
    header.update(zip(names, entries[1:] + entries[:1], strict=True))
    return put_together(header, document, data)


def change_data(draw, raw):
    """Other numbers in a tensor, under a checksum that fits."""
    header, document, data = take_apart(raw)
    changed = bytearray(data)
    entry = header[draw.choice(list(header))]
    begin, end = entry["data_offsets"]
    for _ in range(draw.randint(1, 4)):
        if end > begin:
            changed[draw.randrange(begin, end)] = draw.choice([0, 1, 127, 128, 255])
    return put_together(header, document, bytes(changed))


def places(value, found=()):
    """Every place in nested JSON, as keys."""
    yield found
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield from places(inner, (*found, key))


def change(draw, document):
    """Another value, or one more or fewer, at a place in nested JSON."""
    *before, last = draw.choice([p for p in places(document) if p])
    inside = document
    for key in before:
        inside = inside[key]
    if draw.random() < 0.15:
        del inside[last]
    elif isinstance(inside, list) and draw.random() < 0.3:
        inside.insert(last, copy.deepcopy(inside[last]))
    else:
        inside[last] = copy.deepcopy(draw.choice(PLAIN))


def edit(draw, raw):
    """Other values in the document, under a checksum that fits."""
    header, document, data = take_apart(raw)
    for _ in range(draw.randint(1, 2)):
        change(draw, document)
    return put_together(header, document, data)


def edit_cells(draw, raw):
    """Other values in the cells of a column of objects, under a checksum that fits."""
    header, document, data = take_apart(raw)
    texts = [name for name in header if name.endswith("categories.json")]
    if not texts:
        return edit(draw, raw)
    chosen, parts, end = draw.choice(texts), [], 0
    for name, entry in sorted(header.items(), key=lambda pair: pair[1]["data_offsets"]):
        part = data[slice(*entry["data_offsets"])]
        if name == chosen:
            cells = json.loads(part)
            change(draw, cells)
            part = json.dumps(cells).encode()
            entry["shape"] = [len(part)]
        entry["data_offsets"] = [end, end + len(part)]
        end += len(part)
        parts.append(part)
    return put_together(header, document, b"".join(parts))


def nest(draw, raw):
    """A document nested as deeply as it gets, under a checksum that fits."""
    header, document, data = take_apart(raw)
    name = draw.choice(list(document["parameters"]))
    depth = draw.choice([50, 500, 900, 100_000])
    text = json.dumps(document).replace(
        f'"{name}": ', f'"{name}": ' + '{"tuple": [' * depth + "1" + "]}" * depth + ', "x": ', 1
    )
    return put_together(header, text, data)


DAMAGE = [flip_bits, change_bytes, truncate, insert, lengthen_header]
FORGERY = [declare, shuffle_tensors, change_data, edit, edit, edit, change_data, nest, edit_cells]


def use(estimator):
    """Everything a loaded encoder is asked; its own errors are answers, too."""
    repr(estimator)
    if not hasattr(estimator, "_model"):
        return None
    estimator.get_feature_names_out()
    try:
        out = answer(estimator)
        if estimator._model.output.vectors and not any(estimator._model.poolings):
            estimator.inverse_transform(estimator.transform(rows_for(estimator)))
    except InvalidDataError:
        return None
    for frame in estimator.embeddings_.values():
        assert len(frame)
    return out


def main(path, n):
    """Mutate a file `n` times, half of them with a checksum that fits."""
    raw = Path(path).read_bytes()
    expected = use(load(path)).tobytes()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + GIGABYTE, used + GIGABYTE))
    refused = loaded = 0
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "mutated"
        for seed in range(n):
            draw = random.Random(seed)
            mutation = draw.choice(FORGERY if seed % 2 else DAMAGE)
            changed = mutation(draw, raw)
            target.write_bytes(changed)
            faulthandler.dump_traceback_later(60, exit=True)
            try:
                with np.errstate(all="ignore"):
                    out = use(load(target))
                loaded += 1
                same = out is not None and out.tobytes() == expected
                assert mutation in FORGERY or same, (seed, mutation.__name__)
            except InvalidFileError:
                refused += 1
            except Exception as error:
                error.add_note(f"{seed=}, {mutation.__name__}")
                raise
            finally:
                faulthandler.cancel_dump_traceback_later()
    assert issubclass(InvalidFileError, EntityEmbedError)
    print(json.dumps({"refused": refused, "loaded": loaded}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
