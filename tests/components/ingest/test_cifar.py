"""Pickles from strangers: plain values come out, and nothing else happens."""

import io
import os
import pickle
import struct
import tarfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.ingest.formats import plain_pickle
from components.ingest.formats.cifar import load_pickle
from components.ingest.formats.plain_pickle import PickleError, read_plain_pickle
from components.shared.errors import UserError

ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
DTYPE = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR"
STATE = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i4", "<f8", "b1"])
def test_values_and_arrays(protocol: int, dtype: str) -> None:
    content = {
        "data": np.arange(6).reshape(2, 3).astype(dtype),
        "column": np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
        "list": [1, -1, 2**40, 2**70, 1.5, True, None, "é", b"\xff\x00", b"", (), (1, (2, 3))],
        "dict": {"a": {}, 1: []},
        "again": ["same"] * 3,
    }
    found = read_plain_pickle(pickle.dumps(content, protocol=protocol))
    for name in ("data", "column"):
        np.testing.assert_array_equal(found.pop(name), content[name])
        content.pop(name)
    assert found == content


def test_the_archive_of_python_2(shared_data: Path) -> None:
    with tarfile.open(shared_data / "cifar-100-python.tar.gz") as tar:
        for name in ("meta", "train", "test"):
            stream = tar.extractfile(f"cifar-100-python/{name}")
            assert stream is not None
            data = stream.read()
            mine, theirs = read_plain_pickle(data), pickle.loads(data, encoding="bytes")  # noqa: S301
            assert mine.keys() == theirs.keys()
            for key, value in theirs.items():
                assert np.array_equal(mine[key], value)


class _Attack:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "attack",
    [
        _Attack(print, "this must not run"),
        _Attack(os.system, "echo this must not run"),
        _Attack(eval, "print('this must not run')"),
        _Attack(getattr, "text", "upper"),
        Path("/etc/passwd"),
        np.array([object], dtype=object),
        np.zeros(2, dtype=[("a", "u1")]),
        np.array(["text"]),
        np.float64(1),
        {1, 2},
        bytearray(b"1"),
        complex(1, 2),
    ],
)
def test_what_is_more_than_plain_values(
    attack: Any, protocol: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"train: not a pickle of arrays \(it "):
        load_pickle(pickle.dumps({b"data": attack}, protocol=protocol), "train")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # An array of a record with a hidden object: its bytes would be taken for an address.
        (
            b"}U\x01d" + ARRAY + b"(K\x01(K\x01tcnumpy\ndtype\n(U\x02V8K\x00K\x01tR"
            b"(K\x03U\x01|N(U\x01at}U\x01a(cnumpy\ndtype\n(U\x02O8K\x00K\x01tRK\x00tsK\x08K\x01K\x00tb"
            b"\x89U\x08AAAAAAAAtbs.",
            "something else than numbers",
        ),
        # A real dtype of numbers, given the fields of a record afterwards.
        (b"}U\x01d" + DTYPE + b"(K\x03U\x01|N(U\x01at}K\x08K\x01K\x00tbs.", "else than numbers"),
        # ndarray called by itself, with a shape of a terabyte.
        (b"cnumpy\nndarray\n(J\x00\x00\x00\x7fK\xfftR.", "in a strange way"),
        (ARRAY + b"(K\x01(J\x00\x00\x00\x7ft" + DTYPE + STATE + b"\x89U\x01atb.", "wrong size"),
        (ARRAY + b"(K\x01(J\xff\xff\xff\xfft" + DTYPE + STATE + b"\x89U\x01atb.", "strange shape"),
        (b"}U\x01d" + ARRAY + b"s.", "without its bytes"),
        # The state of a function, of a class and of a list.
        (b"c_codecs\nencode\n}U\x01aK\x01sb.", "no array"),
        (b"cnumpy\nndarray\n}U\x01aK\x01sb.", "no array"),
        (b"]}U\x01aK\x01sb.", "no array"),
        (b"c_codecs\nencode\n.", "no plain value"),
        (b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aU\x06utf-16tR.", "else than text"),
        (b"(ios\nsystem\n.", "instruction INST"),
        (b"(cos\nsystem\n.", "would load os.system"),
        (b"\x82\x01.", "instruction EXT1"),
        (b"Pabc\n.", "instruction PERSID"),
        (b"\x80\x05\x97.", "instruction NEXT_BUFFER"),
        (b"K\x01K\x02a.", "no list"),
        (b"]K\x01K\x02s.", "no dict"),
        (b"(.", "no plain value"),
        (b".", "pop from empty list"),
        (b"", "exhausted"),
        (b"K\x01", "exhausted"),
        (b"h\x05.", "5"),
        (b"\xff", "unknown"),
    ],
)
def test_pickles_made_by_hand(data: bytes, message: str) -> None:
    with pytest.raises(PickleError, match=message):
        read_plain_pickle(data)


def _quickly(data: bytes) -> None:
    """Read a pickle that must neither take long nor much memory, whatever comes out."""
    tracemalloc.start()
    start = time.monotonic()
    try:
        load_pickle(data, "train")
    except UserError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.monotonic() - start < 5
    assert peak < 10 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"K\x01r\xff\xff\xff\x7f.",  # the memo's last place
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"a.",  # a byte array of a terabyte
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".",  # a frame
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",  # bytes
        b"T" + struct.pack("<i", 2**31 - 1) + b"a.",  # a string of Python 2
        b"L" + b"9" * 100_000 + b"L\n.",  # a number of many digits
        b"}\x8b" + struct.pack("<i", 50_000) + b"\x01" * 50_000 + b"K\x01s.",  # as a key
        # Values that hold each other many times over: as a key, a name, a list, a byte order.
        b"}" + b")q\x00" + b"h\x00h\x00\x86q\x00" * 90 + b"K\x01s.",
        b"\x80\x04)q\x00" + b"h\x00h\x00\x86q\x00" * 90 + b"U\x01a\x93.",
        b"}U\x01a]q\x00" + b"(h\x00h\x00lq\x00" * 90 + b"s.",
        DTYPE
        + b"(K\x03)q\x00"
        + b"h\x00h\x00\x86q\x00" * 90
        + b"NNNJ\xff\xff\xff\xffK\x01K\x00tb.",
    ],
)
def test_pickles_that_would_take_all_time_or_memory(data: bytes) -> None:
    _quickly(data)


def test_too_many_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_pickle, "MAX_INSTRUCTIONS", 1_000)
    with pytest.raises(PickleError, match="more than 1,000 instructions"):
        read_plain_pickle(b"(" + b"]" * 2_000 + b"l.")


def _archive(path: Path, **changes: Any) -> str:
    """Write a CIFAR-100 archive of two images; `changes` are to its training pickle."""
    rng = np.random.default_rng(0)
    split = {
        "data": rng.integers(0, 256, (2, 3072), np.uint8),
        "fine_labels": [0, 1], "filenames": ["a.png", "b.png"],
    }  # fmt: skip
    names = changes.pop("names", ["bicycle", "bus"])
    members = {"meta": {"fine_label_names": names}, "train": split | changes, "test": split}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": [1, 2]}, "data must be uint8 of 2 x 3072.* found list"),
        ({"data": np.zeros((2, 3071), np.uint8)}, r"found \(2, 3071\)"),
        ({"data": np.zeros((2, 3072), np.int32)}, "data must be uint8"),
        ({"fine_labels": 7}, "fine_labels must be a list, not int"),
        ({"fine_labels": [1]}, "data must be uint8 of 1 x 3072"),
        ({"filenames": "ab"}, "filenames must be a list of text"),
        ({"filenames": [["a"], "b"]}, "filenames must be a list of text"),
        ({"names": {"bicycle": 1}}, "fine_label_names must be a list of text"),
        ({"data": _Attack(print, "x")}, "train: not a pickle of arrays .*would load"),
    ],
)
def test_archives_of_other_contents(
    changes: dict[str, Any], message: str, tmp_path: Path, run: Any
) -> None:
    with pytest.raises(UserError, match=message):
        run("classify", format="cifar", uri=_archive(tmp_path / "c.tar.gz", **changes))


def test_labels_of_other_kinds_are_set_aside(tmp_path: Path, run: Any) -> None:
    archive = _archive(
        tmp_path / "c.tar.gz", fine_labels=[10**5_000, ["a"]], filenames=["\ud800", ""]
    )
    got = run("classify", format="cifar", uri=archive)
    assert set(got.rows) == {"test/00000", "test/00001"}
    assert got.rejected == {
        "cifar-100-python/train#0": "label of type int is not one of 2 classes",
        "cifar-100-python/train#1": "label of type list is not one of 2 classes",
    }
