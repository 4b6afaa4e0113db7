"""RecordIO, MXNet's packed image format: one writer, one memory-mapped reader.

The container is dmlc-core's RecordIO (`dmlc/recordio.h`): each part is
`magic: uint32 | flag and length: uint32 | payload | zeros up to 4 bytes`, little-endian. The
upper 3 bits of the second word say which part of a record it is (0 whole, 1 first, 2 middle,
3 last), the lower 29 its length. A payload that holds the magic number at a 4-byte boundary is
cut there, and the number itself is left out; the reader puts it back.

A record's payload is MXNet's image record (`mxnet/recordio.py`, `IRHeader`):
`flag: uint32 | label: float32 | id: uint64 | id2: uint64 | flag × float32 | image bytes`. A flag
of 0 means that `label` is the label; otherwise `flag` floats follow the header.
"""

import json
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.task import Split, Task

MAGIC = 0xCED7230A
_MAGIC = struct.pack("<I", MAGIC)
_WORD = np.dtype("<u4")
_MAGIC_WORD = np.uint32(MAGIC)
_PART = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
_LENGTH = (1 << 29) - 1
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)

DETECTION_HEADER = (2.0, 5.0)  # header width, values an object: SageMaker and MXNet's SSD
VERSION = "1"

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
    if length > _LENGTH:
        raise ValueError(f"a record of {length} bytes; RecordIO holds up to {_LENGTH}")


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


class RecordWriter:
    """Write a `.rec` file and its `.idx` (lines of `index<TAB>offset`).

    Use as a context manager.
    """

    def __init__(self, rec: Path, idx: Path) -> None:
        rec.parent.mkdir(parents=True, exist_ok=True)
        self._rec = rec.open("wb", buffering=1 << 20)
        self._idx = idx
        self._offsets: list[tuple[int, int]] = []
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, index: int, label: Label, image: bytes) -> None:
        """Append one record.

        Raises:
            ValueError: if the record has 2**29 bytes or more, which the format cannot hold.
        """
        self._offsets.append((index, self._offset))
        header = _header(index, label)
        length = len(header) + len(image)
        # A header ends at a 4-byte boundary: what is aligned in the image is so in the payload.
        if _aligned_magic(header) or _aligned_magic(image):
            self._append(frame(header + image))
            return
        _check_length(length)
        self._append(_PART.pack(MAGIC, length))  # _WHOLE is 0
        self._append(header)
        self._append(image)  # the usual case copies no image
        self._append(_padding(length))

    def _append(self, data: bytes) -> None:
        self._rec.write(data)
        self._offset += len(data)

    def close(self) -> None:
        """Finish both files; the index is in the order of the ids, whatever was written first."""
        self._rec.close()
        with self._idx.open("w", encoding="ascii") as lines:
            lines.writelines(f"{index}\t{offset}\n" for index, offset in sorted(self._offsets))


class RecordReader:
    """Random access to a `.rec` file through its `.idx`, memory-mapped.

    Opening reads the index alone. Instances can be pickled: a worker process maps the file anew.

    Raises:
        UserError: naming the file, if it or its index is missing or damaged.
    """

    def __init__(self, rec: Path) -> None:
        self._path = rec
        self._offsets = _read_index(rec.with_suffix(".idx"))
        self._map: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, item: int) -> Record:
        """Return the record at a position of the index."""
        offset = int(self._offsets[item])
        try:
            return unpack(self._payload(offset))
        except (ValueError, struct.error) as error:
            raise UserError(
                f"{self._path}: damaged at byte {offset} ({error}); run im2rec again"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

    def _payload(self, offset: int) -> bytes:
        """Read the parts of one record and join them at the magic numbers left out."""
        parts = []
        while True:
            flag, data, offset = self._part(offset)
            parts.append(data)
            expected = (_WHOLE, _FIRST) if len(parts) == 1 else (_MIDDLE, _LAST)
            if flag not in expected:
                raise ValueError(f"a part of kind {flag} where {expected} is expected")
            if flag in (_WHOLE, _LAST):
                return _MAGIC.join(parts)

    def _part(self, offset: int) -> tuple[int, bytes, int]:
        mapped = self._mapped()
        magic, word = _PART.unpack_from(mapped, offset)
        if magic != MAGIC:
            raise ValueError("no record starts here")
        start, length = offset + _PART.size, word & _LENGTH
        data = mapped[start : start + length]
        if len(data) != length:
            raise ValueError("the file ends inside a record")
        return word >> 29, data, start + length + (-length % 4)

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            try:
                with self._path.open("rb") as file:
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise UserError(f"{self._path}: cannot be read ({error})") from None
        return self._map


def _read_index(path: Path) -> npt.NDArray[np.int64]:
    """Return the offsets of an `.idx` file, in its order."""
    try:
        values = np.array(path.read_bytes().split(), dtype=np.int64)
        return values.reshape(-1, 2)[:, 1]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run im2rec again") from None
    except ValueError:
        raise UserError(f"{path}: not an index of 'id<TAB>offset' lines") from None


def read_list(path: Path) -> list[str]:
    """Return the image ids of a `.lst` file, in its order: the last column without extension.

    Raises:
        UserError: if the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            return [line.rstrip("\n").rsplit("\t", 1)[-1].rsplit(".", 1)[0] for line in lines]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run im2rec again") from None


def detection_label(boxes: Sequence[Sequence[float]]) -> npt.NDArray[np.float32]:
    """Return the label of one image's boxes `(class, xmin, ymin, xmax, ymax)`, normalized."""
    values = [*DETECTION_HEADER, *(value for box in boxes for value in box)]
    return np.array(values, dtype=np.float32)


def detection_boxes(label: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the boxes of a detection label: (N, 5) of class, xmin, ymin, xmax, ymax.

    Raises:
        ValueError: if the header is not the one that detection labels have.
    """
    if label.size < 2 or label[0] < 2 or label[1] < 5:
        raise ValueError(f"not a detection label: {label[:4].tolist()}")
    boxes: npt.NDArray[np.float32] = label[int(label[0]) :].reshape(-1, int(label[1]))[:, :5]
    return boxes


class RecordSet:
    """The folder that im2rec writes: `{train,val,test}.{rec,idx,lst}` and `meta.json`.

    Attributes:
        task: what the labels are for.
        classes: class names, in label order.
        fingerprint: of the image table that the records were made from.
        counts: records in each split.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: no records here ({error}); run im2rec first") from None
        if meta.get("version") != VERSION:
            raise UserError(f"{folder}: records of version {meta.get('version')}, not {VERSION}")
        self.task: Task = meta["task"]
        self.classes: tuple[str, ...] = tuple(meta["classes"])
        self.fingerprint: str = meta["fingerprint"]
        self.counts: dict[Split, int] = meta["counts"]

    def reader(self, split: Split) -> RecordReader:
        """Return a reader of one split's records."""
        return RecordReader(self._folder / f"{split}.rec")

    def ids(self, split: Split) -> list[str]:
        """Return one split's image ids in record order."""
        return read_list(self._folder / f"{split}.lst")
