"""A sheet that shows what augmentation does: counts and pictures, before and after."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from components.augment.augment import POOL
from components.augment.config import AugmentSection
from components.augment.counts import Change
from components.augment.originals import Originals
from components.augment.rows import SIDES, Stored
from components.augment.transform import Example
from components.augment.versions import DRAWS, Version, offline_versions, training_versions
from components.shared.augmentation.config import Operations, check_operations
from components.shared.report import SERIES, DrawnBox, Key, Picture, Report, Tile, draw_boxes
from components.shared.table import TableInfo, read_info
from components.shared.task import Task
from components.shared.training.config import TrainSection

_SMALLEST: Final = 160  # pixels; smaller pictures are shown enlarged
_ROWS: Final = 300  # of the table by class, at most
_LABELLED: Final = 8  # boxes in a picture above which their names would hide it
_HOW: Final = (
    f"Of each operation alone the strongest of {DRAWS} draws is shown, at probability 1 where it "
    "has one; then all together, as drawn. "
)


def write_demo(
    section: AugmentSection,
    train: TrainSection | None,
    task: Task,
    seed: int,
    images: Path,
    table: Path,
    change: Change,
    report: Path,
) -> None:
    """Write the sheet, one self-contained HTML file.

    Args:
        section: the step's settings.
        train: training's settings, of which `augment` and `image_size` count; None leaves out
            what training will see.
        task: what the labels are for.
        seed: of the run.
        images: shards.
        table: the image table, with splits.
        change: what `augment` returned.
        report: HTML file to write.

    Raises:
        UserError: if training's settings do not suit the task.
    """
    if train is not None:
        check_operations(train.augment, task, "train.augment")
    info, originals = read_info(table), Originals(table)
    samples = originals.sample(images, section.samples, seed, "demo")
    page = Report("Augmentation", f"{len(originals):,} training images, task {task}")
    _add_counts(page, change, info)
    if section.copies and samples:
        pool = originals.sample(images, POOL, seed, "mosaic") if section.mosaic > 0 else []
        page.section("Stored copies", _HOW + "The last ones are the copies that are trained on.")
        _add_settings(page, section)
        _add_legend(page, info)
        page.gallery(_pictures(samples, offline_versions(samples, section, task, seed, pool), info))
    if train is not None and samples:
        page.section(
            "What training sees",
            _HOW + f"Images as the model gets them, {train.image_size} pixels square; each is "
            "changed anew whenever it is seen. Validation and test images are never changed.",
        )
        _add_settings(page, train.augment, mixup=train.augment.mixup)
        _add_legend(page, info)
        page.gallery(_pictures(samples, training_versions(samples, train, task, seed), info))
    page.write(report)


def _add_counts(page: Report, change: Change, info: TableInfo) -> None:
    """Add images and boxes before and after, in all and by class or count."""
    before, copies = change.originals, change.copies
    after = before.images + copies.images
    page.tiles(
        [
            Tile("Training images before", before.images),
            Tile("Copies", copies.images),
            Tile("Training images after", after),
        ]
    )
    if info.task == "detect":
        boxes = before.boxes + copies.boxes
        page.tiles([Tile("Boxes before", before.boxes), Tile("Boxes after", boxes)])
    page.section("Before and after", "Training images only; the other splits stay as they are.")
    if not copies.images:
        page.note("No copies are stored (augment.copies is 0): after is as before.")
    keys = sorted({*range(len(info.classes)), *before.images_of, *copies.images_of})
    headers = ["Count" if info.task == "count" else "Class", "Images before", "Images after"]
    rows: list[list[object]] = [
        [_name(key, info), before.images_of[key], before.images_of[key] + copies.images_of[key]]
        for key in keys[:_ROWS]
    ]
    if info.task == "detect":
        headers += ["Boxes before", "Boxes after"]
        for row, key in zip(rows, keys, strict=False):
            row += [before.boxes_of[key], before.boxes_of[key] + copies.boxes_of[key]]
    caption = f"The first {_ROWS} of {len(keys):,} classes." if len(keys) > _ROWS else ""
    page.table(headers, rows, caption)


def _add_settings(page: Report, section: Operations, mixup: float = 0.0) -> None:
    """Add what is switched on, and what it means."""
    rows: list[list[object]] = [
        [name, f"{getattr(section, name):g}", type(section).model_fields[name].description]
        for name in section.active()
    ]
    if mixup > 0:
        rows.append(["mixup", f"{mixup:g}", "alpha of the Beta distribution of the shares"])
    if not rows:
        page.note("Every operation is off.")
        return
    page.table(["Operation", "Setting", "Meaning"], rows)


def _add_legend(page: Report, info: TableInfo) -> None:
    """Add the colours of the boxes; beyond as many as there are colours, names must do."""
    if info.task == "detect" and len(info.classes) <= len(SERIES):
        page.legend(Key(name, _color(index)) for index, name in enumerate(info.classes))


def _pictures(
    samples: Sequence[Stored], versions: Sequence[Sequence[Version]], info: TableInfo
) -> Iterator[Picture]:
    for (row, _), shown in zip(samples, versions, strict=True):
        label = row["count"] if info.task == "count" else row["label"]
        what = "" if label is None else f" ({_name(label, info)})"
        for version in shown:
            boxes = len(version.example.target)
            number = f", boxes: {boxes}" if info.task == "detect" else ""
            yield Picture(
                _drawn(version.example, info),
                f"Training image {row['image_id']}: {version.operation}",
                f"{version.operation} · {row['image_id']}{what}{number}",
            )


def _drawn(example: Example, info: TableInfo) -> Image.Image:
    image: Image.Image = transforms.to_pil_image(example.image)
    factor = _SMALLEST // max(image.size)
    if factor > 1:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    boxes = [
        DrawnBox(
            **dict(zip(SIDES, sides, strict=True)),
            label=_name(int(label), info) if len(example.target) <= _LABELLED else "",
            color=_color(int(label)),
        )
        for label, *sides in example.target.tolist()
    ]
    return draw_boxes(image, boxes)


def _color(label: int) -> str:
    return SERIES[label % len(SERIES)]


def _name(key: int, info: TableInfo) -> str:
    known = info.task != "count" and 0 <= key < len(info.classes)
    return info.classes[key] if known else str(key)
