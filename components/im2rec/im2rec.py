"""Pack images and labels into RecordIO: `{train,val,test}.{rec,idx,lst}`."""

import json
import shutil
from pathlib import Path

import pyarrow as pa

from components.im2rec.coco import write_coco
from components.im2rec.config import Im2RecSection
from components.im2rec.lists import write_lists
from components.im2rec.pack import write_records
from components.im2rec.plan import read_plan
from components.im2rec.shard_rows import find_rows
from components.shared.recordio import VERSION, RecordSet
from components.shared.table import fingerprint, read_info
from components.shared.task import Split, Task


def im2rec(
    section: Im2RecSection,
    task: Task,
    images: Path,
    augmented_images: Path,
    table: Path,
    records: Path,
) -> dict[Split, int]:
    """Write one record an image; return the number of records in each split.

    Indices follow the table's order within each split. Bytes pass through untouched unless the
    settings ask for a size.

    Args:
        section: the step's settings.
        task: what the labels are for.
        images: shards of the ingested images.
        augmented_images: shards of the augmented copies.
        table: the image table, with splits.
        records: the folder to write; appears whole or not at all.

    Raises:
        UserError: if the table and the shards do not hold the same images, each once, or if
            a split is empty.
    """
    groups = find_rows(table, (images, augmented_images))
    pa.default_memory_pool().release_unused()  # all ids were in memory, which is much
    plan = read_plan(table, task)
    info = read_info(table)
    aside = records.with_name(f".{records.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    parts = write_records(aside, groups, plan, section)
    write_lists(aside, table, plan, section, parts)
    if task == "detect" and section.coco:
        write_coco(aside, table, plan, section, info.classes)
    meta = {
        "version": VERSION,
        "task": task,
        "classes": list(info.classes),
        "counts": plan.counts,
        "parts": {split: len(written.stems) for split, written in parts.items()},
        "images": section.model_dump(include={"resize", "resize_to", "fit", "enlarge", "quality"}),
        "fingerprint": fingerprint(table),
    }
    (aside / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
    _verify(aside)
    shutil.rmtree(records, ignore_errors=True)
    aside.rename(records)
    print("im2rec: " + ", ".join(f"{name} {count:,}" for name, count in plan.counts.items()))
    return plan.counts


def _verify(folder: Path) -> None:
    """Read what was written: the number of records, and the last one of each split."""
    records = RecordSet(folder)
    for split, count in records.counts.items():
        reader = records.reader(split)
        if len(reader) != count or reader[count - 1].index != count - 1:
            raise RuntimeError(f"{folder / split}.rec: {len(reader):,} records, not {count:,}")
