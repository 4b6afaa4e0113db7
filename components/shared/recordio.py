"""RecordIO files: a plain writer (im2rec writes the same in blocks), a reader, and the folder."""

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from components.shared.closing import Closing
from components.shared.errors import UserError
from components.shared.recordio_format import Label, Record, framed_pieces, read_payload, unpack
from components.shared.task import Split, Task

DETECTION_HEADER = (2.0, 5.0)  # header width, values an object: SageMaker and MXNet's SSD
VERSION = "1"


class RecordWriter(Closing):
    """Write a `.rec` file and its `.idx` (lines of `index<TAB>offset`).

    Use as a context manager.
    """

    def __init__(self, rec: Path, idx: Path) -> None:
        rec.parent.mkdir(parents=True, exist_ok=True)
        self._rec = rec.open("wb", buffering=1 << 20)
        self._idx = idx
        self._offsets: list[tuple[int, int]] = []
        self._offset = 0

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
    """Random access to the records of one or several `.rec` files, memory-mapped.

    Opening reads the indices alone. Records are in the order of one file's index; of several
    files, in the order of the ids. Instances can be pickled: a worker process maps the files
    anew.

    Raises:
        UserError: naming the file, if one of them or its index is missing or damaged.
    """

    def __init__(self, *recs: Path) -> None:
        self._paths = recs
        indices = [_read_index(rec.with_suffix(".idx")) for rec in recs]
        self._offsets = np.concatenate([offsets for _, offsets in indices])
        sizes = [len(offsets) for _, offsets in indices]
        self._files = np.repeat(np.arange(len(recs), dtype=np.int32), sizes)
        if len(recs) > 1:
            order = np.argsort(np.concatenate([ids for ids, _ in indices]), kind="stable")
            self._offsets, self._files = self._offsets[order], self._files[order]
        self._maps: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, item: int) -> Record:
        """Return the record at a position of the index."""
        offset, file = int(self._offsets[item]), int(self._files[item])
        try:
            return unpack(read_payload(self._mapped(file), offset))
        except ValueError as error:
            raise UserError(
                f"{self._paths[file]}: damaged at byte {offset} ({error}); run im2rec again"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}

    def _mapped(self, number: int) -> mmap.mmap:
        if number not in self._maps:
            path = self._paths[number]
            try:
                with path.open("rb") as file:
                    self._maps[number] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: cannot be read ({error})") from None
        return self._maps[number]


def _read_index(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the ids and the offsets of an `.idx` file, in its order.

    Read as CSV by Arrow: millions of lines in a fraction of a second.
    """
    try:
        if not path.stat().st_size:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=["id", "offset"]),
            parse_options=csv.ParseOptions(delimiter="\t", ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types={"id": pa.int64(), "offset": pa.int64()}, null_values=[]
            ),
        )
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run im2rec again") from None
    except pa.ArrowInvalid:
        raise UserError(f"{path}: not an index of 'id<TAB>offset' lines") from None
    return table["id"].to_numpy(), table["offset"].to_numpy()


def read_list(path: Path) -> list[str]:
    """Return the image ids of a `.lst` file, in its order: the last column without extension.

    Raises:
        UserError: if the file cannot be read.
    """
    return [image_id for _, image_id, _ in _list_entries(path)]


def _list_entries(path: Path) -> Iterator[tuple[int, str, float]]:
    """Yield index, image id and first label value of each line of a `.lst` file."""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                index, label, rest = line.rstrip("\n").split("\t", 2)
                yield int(index), rest.rsplit("\t", 1)[-1].rsplit(".", 1)[0], float(label)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run im2rec again") from None
    except ValueError:
        problem = f"{path}: a line is not index, labels and path; run im2rec again"
        raise UserError(problem) from None


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


def part_stems(split: Split, parts: int) -> list[str]:
    """Return the names, without suffix, of the files that hold a split's records."""
    if parts == 1:
        return [split]
    return [f"{split}-{number:05d}-of-{parts:05d}" for number in range(parts)]


class RecordSet:
    """The folder that im2rec writes: `{train,val,test}.{rec,idx,lst}` and `meta.json`.

    A split in several parts has `train-00000-of-00002.rec` and so on, each with `.idx` and
    `.lst`; here they are one.

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
        self._parts: dict[Split, int] = meta.get("parts", {})

    def reader(self, split: Split) -> RecordReader:
        """Return a reader of one split's records."""
        return RecordReader(*self._files(split, ".rec"))

    def ids(self, split: Split) -> list[str]:
        """Return one split's image ids in record order."""
        return [image_id for _, image_id, _ in self._entries(split)]

    def labels(self, split: Split) -> npt.NDArray[np.float32]:
        """Return one split's classes or counts in record order: (N,)."""
        return np.array([label for _, _, label in self._entries(split)], dtype=np.float32)

    def digest(self, splits: Sequence[Split] = ("train", "val")) -> str:
        """Return a SHA-256 over the metadata and the indices of some splits.

        Raises:
            UserError: if an index is missing.
        """
        total = hashlib.sha256()
        indices = [path for split in splits for path in self._files(split, ".idx")]
        for path in (self._folder / "meta.json", *indices):
            try:
                total.update(path.read_bytes())
            except OSError as error:
                problem = f"{path}: cannot be read ({error.strerror}); run im2rec again"
                raise UserError(problem) from None
        return total.hexdigest()

    def _entries(self, split: Split) -> Iterable[tuple[int, str, float]]:
        """Return what one split's lists say of each image, in record order."""
        lists = self._files(split, ".lst")
        entries = chain(*map(_list_entries, lists))
        return entries if len(lists) == 1 else sorted(entries)

    def _files(self, split: Split, suffix: str) -> list[Path]:
        stems = part_stems(split, self._parts.get(split, 1))
        return [self._folder / f"{stem}{suffix}" for stem in stems]
