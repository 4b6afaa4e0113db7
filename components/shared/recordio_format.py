"""The bytes of RecordIO, MXNet's packed image format.

The container is dmlc-core's RecordIO (`dmlc/recordio.h`): each part is
`magic: uint32 | flag and length: uint32 | payload | zeros up to 4 bytes`, little-endian. The
upper 3 bits of the second word say which part of a record it is (0 whole, 1 first, 2 middle,
3 last), the lower 29 its length. A payload that holds the magic number at a 4-byte boundary is
cut there, and the number itself is left out; the reader puts it back.

A record's payload is MXNet's image record (`mxnet/recordio.py`, `IRHeader`):
`flag: uint32 | label: float32 | id: uint64 | id2: uint64 | flag × float32 | image bytes`. A flag
of 0 means that `label` is the label; otherwise `flag` floats follow the header.
"""

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = 0xCED7230A
_MAGIC = struct.pack("<I", MAGIC)
_WORD = np.dtype("<u4")
_MAGIC_WORD = np.uint32(MAGIC)
_PART = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
MOST_BYTES = (1 << 29) - 1  # of a record's payload
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


Label = float | Sequence[float] | npt.NDArray[Any]


@dataclass(frozen=True)
class Record:
    """One image of a RecordIO file.

    Attributes:
        index: the record's id.
        label: float32, shape (1,) for a class or count, (2 + 5 N,) for N boxes.
        image: the encoded bytes.
    """

    index: int
    label: npt.NDArray[np.float32]
    image: bytes


def pack(index: int, label: Label, image: bytes) -> bytes:
    """Return a record's payload: header, label and image."""
    return _header(index, label) + image


def _header(index: int, label: Label) -> bytes:
    """Return what stands before the image; its length is a multiple of 4."""
    if isinstance(label, int | float):
        return _HEADER.pack(0, float(label), index, 0)
    values = np.asarray(label, dtype="<f4").ravel()
    return _HEADER.pack(values.size, 0.0, index, 0) + values.tobytes()


def unpack(payload: bytes) -> Record:
    """Return the record that a payload holds.

    Raises:
        ValueError: if the payload is shorter than its header says.
    """
    if len(payload) < _HEADER.size:
        raise ValueError(f"{len(payload)} bytes are no image record")
    flag, single, index, _ = _HEADER.unpack_from(payload)
    if flag == 0:
        label = np.array([single], dtype=np.float32)
        return Record(index, label, payload[_HEADER.size :])
    start = _HEADER.size + 4 * flag
    if len(payload) < start:
        raise ValueError(f"a label of {flag} values does not fit in {len(payload)} bytes")
    label = np.frombuffer(payload, dtype="<f4", count=flag, offset=_HEADER.size)
    return Record(index, label.astype(np.float32), payload[start:])


def frame(payload: bytes) -> bytes:
    """Return a payload as RecordIO parts, padded.

    Raises:
        ValueError: if the payload has 2**29 bytes or more, which the format cannot hold.
    """
    _check_length(len(payload))
    cuts = _aligned_magic(payload)
    if not cuts:
        return _part(_WHOLE, payload)
    starts = [0, *(cut + 4 for cut in cuts)]
    ends = [*cuts, len(payload)]
    flags = [_FIRST, *[_MIDDLE] * (len(cuts) - 1), _LAST]
    return b"".join(
        _part(flag, payload[start:end])
        for flag, start, end in zip(flags, starts, ends, strict=True)
    )


def _check_length(length: int) -> None:
    if length > MOST_BYTES:
        raise ValueError(f"a record of {length} bytes; RecordIO holds up to {MOST_BYTES}")


def _part(flag: int, data: bytes) -> bytes:
    return _PART.pack(MAGIC, flag << 29 | len(data)) + data + _padding(len(data))


def _padding(length: int) -> bytes:
    return b"\0" * (-length % 4)


def _aligned_magic(payload: bytes) -> list[int]:
    """Return where the magic number stands at a 4-byte boundary."""
    words = np.frombuffer(payload, dtype=_WORD, count=len(payload) // 4)
    same = words == _MAGIC_WORD
    if not np.count_nonzero(same):  # nearly always, and twice as fast as finding
        return []
    positions: list[int] = (4 * np.flatnonzero(same)).tolist()
    return positions


def framed_pieces(index: int, label: Label, image: bytes) -> list[bytes]:
    """Return `frame(pack(index, label, image))` in pieces, which usually copy no image.

    Raises:
        ValueError: if the record has 2**29 bytes or more, which the format cannot hold.
    """
    header = _header(index, label)
    # A header ends at a 4-byte boundary: what is aligned in the image is so in the payload.
    if _aligned_magic(header) or _aligned_magic(image):
        return [frame(header + image)]
    length = len(header) + len(image)
    _check_length(length)
    return [_PART.pack(MAGIC, _WHOLE << 29 | length), header, image, _padding(length)]


def read_payload(data: bytes | mmap.mmap, offset: int) -> bytes:
    """Return the payload of the record at `offset`: its parts, joined at the numbers left out.

    Raises:
        ValueError: if no whole record is there.
    """
    parts: list[bytes] = []
    while True:
        flag, part, offset = _read_part(data, offset)
        parts.append(part)
        expected = (_WHOLE, _FIRST) if len(parts) == 1 else (_MIDDLE, _LAST)
        if flag not in expected:
            raise ValueError(f"a part of kind {flag} where {expected} is expected")
        if flag in (_WHOLE, _LAST):
            return _MAGIC.join(parts)


def _read_part(data: bytes | mmap.mmap, offset: int) -> tuple[int, bytes, int]:
    """Return a part's flag, its bytes, and where the next one starts."""
    if not 0 <= offset <= len(data) - _PART.size:
        raise ValueError(f"the file has {len(data)} bytes")
    magic, word = _PART.unpack_from(data, offset)
    if magic != MAGIC:
        raise ValueError("no record starts here")
    start, length = offset + _PART.size, word & MOST_BYTES
    part = data[start : start + length]
    if len(part) != length:
        raise ValueError("the file ends inside a record")
    return word >> 29, part, start + length + (-length % 4)
