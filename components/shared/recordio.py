"""RecordIO files: one writer, one memory-mapped reader, and the folder that im2rec writes."""

import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.recordio_format import Label, Record, framed_pieces, read_payload, unpack
from components.shared.task import Split, Task

DETECTION_HEADER = (2.0, 5.0)  # header width, values an object: SageMaker and MXNet's SSD
VERSION = "1"


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
        for piece in framed_pieces(index, label, image):
            self._rec.write(piece)
            self._offset += len(piece)

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
            return unpack(read_payload(self._mapped(), offset))
        except ValueError as error:
            raise UserError(
                f"{self._path}: damaged at byte {offset} ({error}); run im2rec again"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

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
