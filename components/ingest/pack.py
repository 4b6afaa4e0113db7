"""Decode-check images in parallel, and write them with their rows."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.ingest.boxes import Cleaned, clean_boxes
from components.ingest.catalogue import Catalogue
from components.ingest.config import IngestSection
from components.ingest.formats.base import Format
from components.ingest.notes import count_notes
from components.ingest.records import Record
from components.ingest.select import is_above
from components.ingest.sources.base import Source, Unread, read_each
from components.shared.images_io import (
    ImageFacts,
    UnreadableImageError,
    encode_png,
    encode_thumbnail,
    inspect_image,
    open_image,
)
from components.shared.parallel import chunked, map_chunks
from components.shared.progress import progress
from components.shared.shards import ShardWriter
from components.shared.task import Task


@dataclass
class Outcome:
    """What became of a record.

    Attributes:
        row: of the image table; None when the image is not used.
        image: its encoded bytes.
        rejected: `(path, reason)` of the image or of some of its boxes.
        thumbnail: of an image of which something is rejected, if it decodes.
        left_out: under which heading the section leaves the image out; empty if it does not.
    """

    row: dict[str, Any] | None = None
    image: bytes = b""
    rejected: list[tuple[str, str]] = field(default_factory=list)
    thumbnail: bytes | None = None
    left_out: str = ""


@dataclass(frozen=True)
class Packer:
    """Turn chunks of records into outcomes. Picklable: this is what workers run."""

    source: Source
    format: Format
    section: IngestSection
    task: Task
    classes: tuple[str, ...]

    def __call__(self, records: list[Record]) -> list[Outcome]:
        """Read, check and describe each record's image."""
        images = read_each(lambda some: self.format.load(self.source, some), records)
        return [self._outcome(record, data) for record, data in zip(records, images, strict=True)]

    def _outcome(self, record: Record, data: bytes | Unread) -> Outcome:
        if isinstance(data, Unread):
            return _rejected(record, data.reason)
        attributes = dict(record.attributes)
        try:
            facts = inspect_image(data, self.section.max_pixels)
            if not facts.passes_through:
                data = encode_png(open_image(data, self.section.max_pixels))
                attributes["converted_from"] = facts.format
        except UnreadableImageError as error:
            return _rejected(record, str(error))
        cleaned = clean_boxes(record, facts)
        if cleaned.fault:
            return _rejected(record, cleaned.fault, encode_thumbnail(data))
        if record.boxes and not cleaned.boxes:
            fault = "none of its boxes can be used"
            outcome = _rejected(record, fault, encode_thumbnail(data))
            outcome.rejected += cleaned.rejected
            return outcome
        row = self._row(record, facts, cleaned, attributes | cleaned.notes, data)
        if row["count"] is not None and is_above(row["count"], self.section):
            return Outcome(left_out="images above max_count")
        thumbnail = encode_thumbnail(data) if cleaned.rejected else None
        return Outcome(row, data, cleaned.rejected, thumbnail)

    def _row(
        self,
        record: Record,
        facts: ImageFacts,
        cleaned: Cleaned,
        attributes: dict[str, str],
        data: bytes,
    ) -> dict[str, Any]:
        has_boxes = record.boxes is not None
        count = len(cleaned.boxes) if has_boxes else record.count
        return {
            "image_id": record.image_id,
            "sha256": hashlib.sha256(data).hexdigest(),
            "width": facts.width,
            "height": facts.height,
            "format": facts.format if facts.passes_through else "png",
            "group": record.image_id,
            "split": None,
            "label": self.classes.index(record.label or "") if self.task == "classify" else None,
            "count": count if self.task == "count" else None,
            "boxes": self._boxes(cleaned) if self.task == "detect" else None,
            "source": record.path,
            "attributes": attributes,
        }

    def _boxes(self, cleaned: Cleaned) -> list[dict[str, Any]]:
        return [
            {
                "label": self.classes.index(box.name),
                "xmin": box.xmin, "ymin": box.ymin, "xmax": box.xmax, "ymax": box.ymax,
            }
            for box in cleaned.boxes
        ]  # fmt: skip


def _rejected(record: Record, reason: str, thumbnail: bytes | None = None) -> Outcome:
    annotation = record.attributes.get("annotation")
    unused = f"; '{annotation}' is not used either" if annotation else ""
    return Outcome(rejected=[(record.path, reason + unused)], thumbnail=thumbnail)


def pack(
    packer: Packer,
    records: Iterable[Record],
    total: int,
    shards: Path,
    catalogue: Catalogue,
    workers: int,
) -> Iterator[dict[str, Any]]:
    """Write the images that can be used into shards, and yield their rows.

    The order is that of `records`, so the result is the same for any number of workers.
    What cannot be used is rejected in the catalogue, which counts what was mended too.
    """
    results = map_chunks(packer, chunked(records, lambda record: record.size), workers)
    outcomes = (outcome for chunk in results for outcome in chunk)
    left_out: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    with ShardWriter(shards) as writer:
        for outcome in progress(outcomes, total, "reading images"):
            for path, reason in outcome.rejected:
                catalogue.reject(path, reason, outcome.thumbnail)
            if outcome.left_out:
                left_out[outcome.left_out] += 1
            if outcome.row is not None:
                writer.add(outcome.row["image_id"], outcome.image)
                noted += count_notes(outcome.row["attributes"])
                yield outcome.row
    catalogue.tally.update(left_out)
    catalogue.noted.update(noted)
