"""What was set aside, by reason."""

import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from PIL import Image

from components.shared.report import thumbnail
from components.shared.table import iter_batches

THUMBNAIL: Final = "thumbnail"  # optional column: a small picture of the file, encoded
_EXAMPLES: Final = 4  # of each reason
_REASONS: Final = 200  # different ones held in memory
_PICTURED: Final = 60  # rows whose pictures are read
_FORMATS: Final = ("JPEG", "PNG", "WEBP")  # of such a picture
_BATCH: Final = 256  # rows of pictures in memory at a time
OTHER: Final = "other reasons"

# What differs from row to row within one kind of reason.
_VARIABLE: Final = (
    (re.compile(r"\s*\([^)]*\d[^)]*\)"), ""),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "\N{HORIZONTAL ELLIPSIS}"),
    (re.compile(r"\S*/\S+|\S+\.[A-Za-z]\w{1,4}(?=[\s;:,]|$)"), "\N{HORIZONTAL ELLIPSIS}"),
    (re.compile(r"[+-]?\d[\d.,x]*"), "n"),
)


@dataclass(frozen=True)
class Example:
    """A row of the table of what was set aside."""

    path: str
    reason: str
    row: int

    @property
    def file(self) -> str:
        """The file, without the place inside it, as in `labels/a.xml#object3`."""
        return self.path.rsplit("#", 1)[0]


@dataclass
class Rejected:
    """What was set aside.

    Attributes:
        counts: kind of reason to rows.
        examples: kind of reason to some of its rows.
        pictures: row to its picture, where the table has one that decodes.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    pictures: dict[int, Image.Image] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All rows."""
        return self.counts.total()

    def by_frequency(self) -> list[tuple[str, int]]:
        """Return kinds of reasons and their rows, the most frequent first."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))


def kind_of(reason: str) -> str:
    """Return a reason without what differs from row to row: names, paths, numbers."""
    for pattern, instead in _VARIABLE:
        reason = pattern.sub(instead, reason)
    return reason.strip()


def read_rejected(path: Path) -> Rejected:
    """Count the reasons, and take the first few rows of each with their pictures.

    The table has `path` and `reason`. If it has a column `thumbnail` (binary, null where there
    is no picture; a JPEG of some 200 pixels), pictures of the examples are read from it.
    """
    found = Rejected()
    file = pq.ParquetFile(path)
    row = 0
    for batch in iter_batches(path, ["path", "reason"]):
        pairs = zip(batch["path"].to_pylist(), batch["reason"].to_pylist(), strict=True)
        for where, reason in pairs:
            _add(found, Example(where, reason, row))
            row += 1
    if THUMBNAIL in file.schema_arrow.names:
        _read_pictures(found, file)
    return found


def _add(found: Rejected, example: Example) -> None:
    kind = kind_of(example.reason)
    if kind not in found.counts and len(found.counts) >= _REASONS:
        kind = OTHER
    found.counts[kind] += 1
    examples = found.examples.setdefault(kind, [])
    if len(examples) < _EXAMPLES:
        examples.append(example)


def _read_pictures(found: Rejected, file: pq.ParquetFile) -> None:
    kinds = [kind for kind, _ in found.by_frequency()]
    wanted = [one.row for kind in kinds for one in found.examples[kind]][:_PICTURED]
    start = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=[THUMBNAIL]):
        for row in wanted:
            if start <= row < start + batch.num_rows:
                picture = _decoded(batch[THUMBNAIL][row - start].as_py())
                if picture is not None:
                    found.pictures[row] = picture
        start += batch.num_rows


def _decoded(data: bytes | None) -> Image.Image | None:
    if data is None:
        return None
    try:
        return thumbnail(Image.open(io.BytesIO(data), formats=_FORMATS), 320)
    except Exception:  # a damaged picture of a damaged file is no news
        return None
