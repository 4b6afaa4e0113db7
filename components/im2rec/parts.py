"""The `.rec` and `.idx` files of one split, as one part or several."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.im2rec.frames import Block
from components.shared.closing import Closing
from components.shared.recordio import part_stems
from components.shared.task import Split

_WRITE_BYTES = (
    256 * 1024
)  # larger writes make Linux look for larger pages, at several times the cost
_LINES = 100_000  # index lines made at a time


@dataclass(frozen=True)
class Parts:
    """What was written of a split.

    Attributes:
        stems: the files' names without suffix.
        part_of: int32 (N,), the number of the part that holds each index.
    """

    stems: list[str]
    part_of: npt.NDArray[np.int32]


class PartsWriter(Closing):
    """Append blocks of records to a split's part, and begin another when that one is full.

    Use as a context manager. `finish` gives the files their names, which hold how many there are.
    """

    def __init__(self, folder: Path, split: Split, count: int, part_bytes: int) -> None:
        """Begin the first part.

        Args:
            folder: where the files go.
            split: what they are named after.
            count: records there will be; their ids are all numbers below it.
            part_bytes: the largest part; only a record that is larger by itself exceeds it. 0:
                all is one part.
        """
        self._folder = folder
        self._split: Split = split
        self._limit = part_bytes
        self._files = ExitStack()
        self._starts = np.empty(count, np.int64)
        self._part_of = np.empty(count, np.int32)
        self._parts = 0
        self._begin()

    def close(self) -> None:
        """Close the part that is open."""
        self._files.close()

    def append(self, indices: npt.NDArray[np.int64], block: Block) -> None:
        """Append the records of a block, whose ids are `indices`."""
        ends = np.append(block.starts[1:], block.data.nbytes)
        first = 0
        while first < indices.size:
            start = int(block.starts[first])
            last = self._fitting(ends, first, start)
            if last == first:
                self._begin()
                continue
            written = indices[first:last]
            self._starts[written] = block.starts[first:last] - start + self._offset
            self._part_of[written] = self._parts - 1
            self._write(block.data[start : int(ends[last - 1])])
            first = last

    def finish(self) -> Parts:
        """Write the indices, in the order of the ids, and name the files."""
        self._files.close()
        stems = part_stems(self._split, self._parts)
        for number, stem in enumerate(stems):
            ids = np.flatnonzero(self._part_of == number)
            _write_index(self._folder / f"{stem}.idx", ids, self._starts)
            self._path(number).rename(self._folder / f"{stem}.rec")
        return Parts(stems, self._part_of)

    def _fitting(self, ends: npt.NDArray[np.int64], first: int, start: int) -> int:
        """Return up to which record of a block the part has room, from `first` on."""
        if not self._limit:
            return len(ends)
        room = start + self._limit - self._offset
        last = int(np.searchsorted(ends, room, side="right"))
        return max(last, first + 1 if self._offset == 0 else first)

    def _begin(self) -> None:
        self._files.close()
        path = self._path(self._parts)
        self._file = self._files.enter_context(path.open("wb", buffering=0))
        self._parts += 1
        self._offset = 0

    def _write(self, data: memoryview) -> None:
        for start in range(0, data.nbytes, _WRITE_BYTES):
            piece = data[start : start + _WRITE_BYTES]
            while piece.nbytes:  # a write may take less than it was given
                piece = piece[self._file.write(piece) :]
        self._offset += data.nbytes

    def _path(self, number: int) -> Path:
        return self._folder / f".{self._split}-{number}"


def _write_index(path: Path, ids: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> None:
    """Write a line of `id, start` for each id."""
    with path.open("w", encoding="ascii") as lines:
        for begin in range(0, ids.size, _LINES):
            chosen = ids[begin : begin + _LINES]
            lines.writelines(map("{}\t{}\n".format, chosen.tolist(), starts[chosen].tolist()))
