"""Whether a JPEG is surely upright; in doubt, it is not."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.im2rec.exif import is_upright
from tests.components.im2rec.support import as_jpeg, with_orientation

PLAIN = as_jpeg(np.zeros((8, 8, 3), np.uint8))


def with_exif(tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + PLAIN[2:]


def tiff(order: str, tag: int, value: int) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    make = struct.pack(f"{order}HHII", 0x010F, 2, 4, 0)  # another tag stands first
    entry = struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return mark + struct.pack(f"{order}IH", 8, 2) + make + entry + bytes(4)


def test_a_jpeg_without_exif_is_upright() -> None:
    assert is_upright(memoryview(PLAIN))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(10))
def test_only_orientation_1_is_upright(order: str, value: int) -> None:
    assert is_upright(memoryview(with_exif(tiff(order, 0x0112, value)))) == (value == 1)


def test_exif_without_an_orientation_is_upright() -> None:
    assert is_upright(memoryview(with_exif(tiff("<", 0x0100, 6))))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8", b"\x89PNG", PLAIN[:20], with_exif(b"II*\0"), with_exif(b"what is this?")],
)
def test_what_is_not_quite_in_order_is_not_surely_upright(data: bytes) -> None:
    assert not is_upright(memoryview(data))


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_damage_never_raises(place: int, damage: bytes) -> None:
    whole = with_orientation(PLAIN, 1)
    is_upright(memoryview(whole[:place] + damage + whole[place + len(damage) :]))
