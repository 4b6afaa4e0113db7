"""The boxes of detection records as COCO JSON, for the tools that read that."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from components.im2rec.config import Im2RecSection
from components.im2rec.lists import Named, iter_named
from components.im2rec.plan import Plan
from components.im2rec.size import target_size
from components.shared.task import SPLITS, Split

_DECIMALS = 3  # of a pixel


def write_coco(
    folder: Path, table: Path, plan: Plan, section: Im2RecSection, classes: tuple[str, ...]
) -> None:
    """Write `{train,val,test}.coco.json`, in the form of https://cocodataset.org/#format-data.

    An image's id is its record's; sizes and boxes are in pixels of the image as it is in the
    record, EXIF orientation applied. Categories count from 1, in label order.
    """
    with ExitStack() as stack:
        files: dict[Split, TextIO] = {
            split: stack.enter_context((folder / f"{split}.coco.json").open("w", encoding="utf-8"))
            for split in SPLITS
        }
        separators = dict.fromkeys(SPLITS, '{"images": [\n')
        for named in iter_named(table, plan, section):
            text = ",\n".join(map(json.dumps, _images(named, plan, section)))
            if text:
                files[named.split].write(separators[named.split] + text)
                separators[named.split] = ",\n"
        for split, file in files.items():
            file.write('\n], "annotations": [')
            _write_items(file, _annotations(split, plan, section))
            categories = [
                {"id": number, "name": name, "supercategory": "object"}
                for number, name in enumerate(classes, start=1)
            ]
            file.write(f'], "categories": {json.dumps(categories)}}}\n')


def _write_items(file: TextIO, items: Iterable[dict[str, Any]]) -> None:
    separator = "\n"
    for item in items:
        file.write(separator + json.dumps(item))
        separator = ",\n"


def _images(named: Named, plan: Plan, section: Im2RecSection) -> Iterator[dict[str, Any]]:
    for row, path in zip(named.rows.tolist(), named.paths, strict=True):
        width, height = target_size(plan.size(row), section)
        index = int(plan.indices[row])
        yield {"id": index, "file_name": path, "width": width, "height": height}


def _annotations(split: Split, plan: Plan, section: Im2RecSection) -> Iterator[dict[str, Any]]:
    number = 0
    for row in plan.rows(split).tolist():
        width, height = target_size(plan.size(row), section)
        for label, xmin, ymin, xmax, ymax in plan.labels.boxes_of(row).tolist():
            number += 1  # from 1: evaluators take 0 for "no annotation"
            box = (xmin * width, ymin * height, (xmax - xmin) * width, (ymax - ymin) * height)
            yield {
                "id": number,
                "image_id": int(plan.indices[row]),
                "category_id": int(label) + 1,
                "bbox": [round(value, _DECIMALS) for value in box],
                "area": round(box[2] * box[3], _DECIMALS),
                "iscrowd": 0,
            }
