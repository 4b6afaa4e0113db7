"""Ingest in parts, each a task of its own: a plan, the parts, and their merger.

Together they give the very artifacts that `ingest` gives. Every part opens the source for
itself: right for files that can be read one by one, wasteful for an archive behind https://,
which every part downloads.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingest.catalogue import Catalogue
from components.ingest.config import IngestSection
from components.ingest.finish import Piece, clear, finish, table_info
from components.ingest.formats.registry import format_for
from components.ingest.pack import Packer, pack
from components.ingest.records import Record
from components.ingest.sources.base import Source
from components.ingest.sources.locate import open_source
from components.ingest.survey import surveyed
from components.shared.addresses import shown
from components.shared.errors import UserError
from components.shared.files import sha256_of, write_text
from components.shared.parallel import worker_count
from components.shared.table import iter_rejected, write_rejected, write_rows
from components.shared.task import Task

_RECORDS: Final = pa.schema([("record", pa.string()), ("data", pa.binary())])
_ROWS: Final = 2_000  # records held in memory; some carry pixels
_REJECTED, _TABLE, _IMAGES, _NUMBERS = "rejected.parquet", "table.parquet", "images", "numbers.json"


@dataclass(frozen=True)
class Plan:
    """A folder that says which part reads which images.

    Attributes:
        folder: holds the records of each part, and what is rejected already.
        classes: class names, in the order of their labels.
        totals: images of each part.
        archive: SHA-256 of the archive that holds the images; empty where there is none.
    """

    folder: Path
    classes: tuple[str, ...]
    totals: tuple[int, ...]
    archive: str

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """Read what `plan` wrote."""
        content = json.loads((folder / "plan.json").read_text("utf-8"))
        classes, totals = tuple(content["classes"]), tuple(content["totals"])
        return cls(folder, classes, totals, content["archive"])

    def records(self, part: int) -> Iterator[Record]:
        """Yield a part's records, by image id."""
        file = pq.ParquetFile(_part_file(self.folder, part), pre_buffer=False)
        for batch in file.iter_batches(batch_size=_ROWS):
            columns = (batch["record"].to_pylist(), batch["data"].to_pylist())
            for text, data in zip(*columns, strict=True):
                yield Record.from_json(text, data)


def plan(section: IngestSection, task: Task, seed: int, parts: int, folder: Path) -> None:
    """Select the images as `ingest` does, and deal them out in the order of their ids.

    Args:
        section: where the images come from, and which to keep.
        task: what the labels are for.
        seed: decides the subset of `section.limit`, and the drawn scenes.
        parts: number of parts; the first may be empty where there are fewer images.
        folder: the plan to write.

    Raises:
        UserError: as `ingest`, but for images that cannot be used.
    """
    with (
        TemporaryDirectory(prefix="sightline-plan-") as scratch,
        surveyed(section, task, seed, Path(scratch)) as survey,
    ):
        edges = [survey.total * part // parts for part in range(parts + 1)]
        totals = [stop - start for start, stop in pairwise(edges)]
        folder.mkdir(parents=True, exist_ok=True)
        for part, total in enumerate(totals):
            _write_records(_part_file(folder, part), islice(survey.records, total))
        _write_findings(folder, survey.catalogue)
        archive = _digest(survey.source)
        content = {"classes": survey.classes, "totals": totals, "archive": archive}
        write_text(folder / "plan.json", json.dumps(content))
    print(f"ingest: {sum(totals):,} images in {parts} parts")


def read_part(section: IngestSection, task: Task, folder: Path, part: int, piece: Path) -> None:
    """Read, check and pack the images of one part.

    Args:
        section: where the images come from.
        task: what the labels are for.
        folder: the plan.
        part: which part, from 0.
        piece: folder to write shards, rows and what was rejected into.

    Raises:
        UserError: if the archive is another one than the plan saw.
    """
    found = Plan.read(folder)
    with (
        TemporaryDirectory(prefix="sightline-part-") as scratch,
        Catalogue(Path(scratch) / "catalogue.sqlite") as catalogue,
        open_source(section) as source,
    ):
        if _digest(source) != found.archive:
            raise UserError(
                f"ingest.uri: {shown(section.uri)}: has changed since the parts were planned; "
                "run the pipeline again"
            )
        packer = Packer(source, format_for(section, task), section, task, found.classes)
        clear(piece / _IMAGES)
        workers = worker_count(section.workers)
        records, total = found.records(part), found.totals[part]
        rows = pack(packer, records, total, piece / _IMAGES, catalogue, workers)
        written = write_rows(piece / _TABLE, rows, table_info(task, found.classes))
        _write_findings(piece, catalogue)
    print(f"ingest: part {part}: {written:,} of {total:,} images can be used")


def merge(
    section: IngestSection,
    task: Task,
    folder: Path,
    pieces: Sequence[Path],
    images: Path,
    table: Path,
    rejected: Path,
) -> None:
    """Write the artifacts of `ingest` from a plan and the pieces of its parts, in their order.

    Raises:
        UserError: if no image can be used.
    """
    found = Plan.read(folder)
    if len(pieces) != len(found.totals):
        raise RuntimeError(f"{len(pieces)} pieces for a plan of {len(found.totals)} parts")
    with (
        TemporaryDirectory(prefix="sightline-merge-") as scratch,
        Catalogue(Path(scratch) / "catalogue.sqlite") as catalogue,
    ):
        for one in (folder, *pieces):
            _read_findings(one, catalogue)
        made = [Piece(piece / _IMAGES, piece / _TABLE) for piece in pieces]
        info = table_info(task, found.classes)
        finish(section, info, catalogue, made, images, table, rejected, Path(scratch))


def _digest(source: Source) -> str:
    """Return the SHA-256 of a source's archive: its members are found by their names alone."""
    return sha256_of(source.archive) if source.archive else ""


def _part_file(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05d}.parquet"


def _write_records(path: Path, records: Iterable[Record]) -> None:
    with pq.ParquetWriter(path, _RECORDS, compression="zstd") as writer:
        while chunk := list(islice(records, _ROWS)):
            rows = [{"record": one.to_json(), "data": one.data} for one in chunk]
            writer.write_table(pa.Table.from_pylist(rows, schema=_RECORDS))


def _write_findings(folder: Path, catalogue: Catalogue) -> None:
    """Write what was rejected, left out and noted so far."""
    write_rejected(folder / _REJECTED, catalogue.rejected())
    numbers = {"tally": catalogue.tally, "noted": catalogue.noted}
    write_text(folder / _NUMBERS, json.dumps(numbers))


def _read_findings(folder: Path, catalogue: Catalogue) -> None:
    for rejection in iter_rejected(folder / _REJECTED):
        catalogue.reject(*rejection)
    numbers = json.loads((folder / _NUMBERS).read_text("utf-8"))
    catalogue.tally.update(Counter(numbers["tally"]))
    catalogue.noted.update(Counter(numbers["noted"]))
