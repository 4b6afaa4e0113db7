"""Narrow the records of a source to those the section asks for."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from components.ingest.catalogue import Catalogue
from components.ingest.config import IngestSection
from components.ingest.records import Record
from components.shared.errors import UserError
from components.shared.task import Task


def select_records(
    catalogue: Catalogue, section: IngestSection, task: Task, seed: int, classes: Sequence[str]
) -> None:
    """Select the records to pack; count what the section leaves out, list what is unusable.

    Raises:
        UserError: if images to classify hold boxes of several classes.
    """
    kept = frozenset(classes)
    for record in catalogue.records():
        narrowed = _narrow(record, catalogue, section, task, kept)
        if narrowed is not None:
            catalogue.select(narrowed, rank(seed, record.image_id))


def rank(seed: int, image_id: str) -> bytes:
    """Return an image's place in the random order of a seed; no other image changes it."""
    return hashlib.sha256(f"{seed}:{image_id}".encode()).digest()


def _narrow(
    record: Record,
    catalogue: Catalogue,
    section: IngestSection,
    task: Task,
    classes: frozenset[str],
) -> Record | None:
    if record.boxes is not None:
        return _narrow_boxes(record, catalogue, section, task, classes)
    if record.label is not None and record.label not in classes:
        catalogue.tally["images of other classes"] += 1
        return None
    if record.count is not None and is_above(record.count, section):
        catalogue.tally["images above max_count"] += 1
        return None
    return record


def is_above(count: int, section: IngestSection) -> bool:
    """Whether a count is left out by `max_count`."""
    return section.max_count is not None and count > section.max_count


def _narrow_boxes(
    record: Record,
    catalogue: Catalogue,
    section: IngestSection,
    task: Task,
    classes: frozenset[str],
) -> Record | None:
    boxes = record.boxes or ()
    kept = tuple(box for box in boxes if box.name in classes)
    catalogue.tally["boxes of other classes"] += len(boxes) - len(kept)
    if task == "classify" and kept:
        return _labelled(replace(record, boxes=kept))
    # For counting, no object is a count like any other.
    if kept or task == "count" or (section.keep_empty and task != "classify"):
        return replace(record, boxes=kept)
    if boxes:
        catalogue.tally["images without a box that is asked for"] += 1
    else:
        catalogue.reject(record.path, "image without any box (ingest.keep_empty keeps such images)")
    return None


def _labelled(record: Record) -> Record:
    """Give an image the class of its boxes."""
    names = sorted({box.name for box in record.boxes or ()})
    if len(names) > 1:
        raise UserError(
            f"{record.path}: has boxes of {' and '.join(names)}; task 'classify' needs images "
            "of one class each; keep one of them with ingest.classes, or use task 'detect'"
        )
    return replace(record, label=names[0])
