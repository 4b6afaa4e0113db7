"""The sections of the exploration report, in reading order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np

from components.explore import figures
from components.explore.samples import Sample
from components.explore.statistics import AREA_EDGES, NO_SPLIT, Statistics, summarize
from components.shared.report import SERIES, DrawnBox, Picture, Report, Tile, draw_boxes

_MANY: Final = 30  # classes above which only the most and least frequent are drawn
_FEW: Final = 12  # different numbers that are worth a table
_TOGETHER: Final = 20  # classes in the co-occurrence matrix
_EXTREMES: Final = 4
_REASONS: Final = 50


def add_overview(report: Report, found: Statistics, set_aside: int) -> None:
    """Headline numbers."""
    tiles = [Tile("Images", found.images, _splits_text(found))]
    if found.info.classes:
        tiles.append(Tile("Classes", len(found.info.classes)))
    if found.info.task == "detect":
        share = found.boxes / max(found.images, 1)
        tiles.append(Tile("Boxes", found.boxes, f"{share:.2f} an image"))
    report.tiles([*tiles, Tile("Set aside", set_aside, "files or annotations")])


def add_pictures(report: Report, samples: Sequence[Sample], found: Statistics, edge: int) -> None:
    """The sample grid, boxes and labels drawn."""
    report.section("Sample", "Drawn at random, the same for the same seed.")
    if not samples:
        report.note("No picture could be drawn.", "bad")
        return
    report.gallery(_picture(one, found, edge) for one in samples)


def add_classes(report: Report, found: Statistics) -> None:
    """Images (and boxes) of each class, by split of the source."""
    if not found.info.classes:
        return
    ranked = found.images_of_class().most_common()
    text = "Images that show each class, by split of the source."
    report.section("Classes", text)
    shown = ranked if len(ranked) <= _MANY else [*ranked[: _MANY // 2], *ranked[-_MANY // 2 :]]
    names = [found.class_name(index) for index, _ in shown]
    parts = {
        split: [found.classes[split, index] for index, _ in shown] for split in _by_size(found)
    }
    caption = f"The {_MANY // 2} most and least frequent of {len(ranked)} classes."
    figure = figures.stacked_bars(names, parts, "images")
    report.figure(figure, "Images of each class", caption if len(ranked) > _MANY else "")
    report.table(*_class_table(found, ranked))


def add_numbers(report: Report, found: Statistics) -> None:
    """How many objects the images hold: counts, or boxes."""
    if not found.numbers:
        return
    what = "objects an image" if found.info.task == "count" else "boxes an image"
    report.section("Counts" if found.info.task == "count" else "Boxes an image")
    by_split = {
        split: Counter({n: k for (name, n), k in found.numbers.items() if name == split})
        for split in _by_size(found)
    }
    by_split = {split: numbers for split, numbers in by_split.items() if numbers}
    report.figure(figures.number_bars(by_split, what), f"Images by number of {what}")
    whole: Counter[int] = sum(by_split.values(), Counter())
    rows = {"all images": summarize(whole)}
    if len(by_split) > 1:
        rows |= {split: summarize(numbers) for split, numbers in by_split.items()}
    headers = ["", *rows["all images"]]
    report.table(headers, [[name, *values.values()] for name, values in rows.items()])
    if len(whole) <= _FEW:
        share = [[n, whole[n], f"{whole[n] / found.images:.1%}"] for n in sorted(whole)]
        report.table([what.capitalize(), "Images", "Share"], share)


def add_sizes(report: Report, found: Statistics) -> None:
    """Image sizes, aspect ratios and formats."""
    report.section("Sizes", "Pixels as decoded, EXIF orientation applied.")
    weights = list(found.sizes.values())
    formats = ", ".join(f"{name} {number:,}" for name, number in found.formats.most_common())
    if len(found.sizes) == 1:
        ((width, height),) = found.sizes
        report.note(f"All images have {width}x{height} pixels. Formats: {formats}.")
        return
    widths = [width for width, _ in found.sizes]
    heights = [height for _, height in found.sizes]
    ratios = [width / height for width, height in found.sizes]
    report.figure(figures.histogram(widths, weights, "width, pixels", log=True), "Image widths")
    report.figure(figures.histogram(heights, weights, "height, pixels", log=True), "Image heights")
    report.figure(
        figures.histogram(ratios, weights, "aspect ratio, width over height", log=True),
        "Aspect ratios",
    )
    common = [[f"{w}x{h}", number] for (w, h), number in found.sizes.most_common(10)]
    report.table(["Size", "Images"], common, f"The most frequent sizes. Formats: {formats}.")


def add_boxes(report: Report, found: Statistics) -> None:
    """Where boxes lie and how large they are; which classes share images."""
    if found.info.task != "detect":
        return
    report.section("Boxes", "All boxes, relative to their image.")
    if not found.boxes:
        report.note("No image has a box.", "bad")
        return
    report.figure(
        figures.heat_map(found.centres, "left to right", "top to bottom", upwards=False),
        "Heat map of the boxes' centres",
        "Where the centres of the boxes lie.",
    )
    report.figure(
        figures.heat_map(found.shapes, "box width", "box height", upwards=True),
        "Heat map of the boxes' widths and heights",
        "Widths and heights as shares of the image's.",
    )
    report.figure(figures.area_histogram(found.areas, AREA_EDGES), "Histogram of box areas")
    _add_together(report, found)


def add_pixels(report: Report, samples: Sequence[Sample], found: Statistics, edge: int) -> None:
    """Brightness and contrast of the sampled images, and the extremes among them."""
    report.section("Brightness and contrast", f"Measured on {len(samples):,} sampled images.")
    if not samples:
        report.note("No image could be measured.", "bad")
        return
    brightness = [one.brightness for one in samples]
    contrast = [one.contrast for one in samples]
    axes = ("brightness: mean luma, 0 to 1", "contrast: standard deviation of the luma")
    figure = figures.scatter(brightness, contrast, axes)
    report.figure(figure, "Brightness against contrast of the sampled images")
    rows = [_spread("brightness", brightness), _spread("contrast", contrast)]
    report.table(["", "mean", "min", "25 %", "median", "75 %", "max"], rows)
    low, high = min(one.darkest for one in samples), max(one.brightest for one in samples)
    report.note(f"Channel values range from {low} to {high} (of 0 to 255).")
    by_light = sorted(samples, key=lambda one: one.brightness)
    by_contrast = sorted(samples, key=lambda one: one.contrast)
    report.gallery(
        _picture(one, found, edge, f"{why}: ")
        for why, some in (
            ("dark", by_light[:_EXTREMES]),
            ("bright", by_light[-_EXTREMES:]),
            ("flat", by_contrast[:_EXTREMES]),
        )
        for one in some
    )


def add_rejected(report: Report, reasons: Mapping[str, tuple[int, str]]) -> None:
    """What was set aside, by reason: how often, and one example."""
    report.section("Set aside", "What could not be used, by reason.")
    if not reasons:
        report.note("Nothing was set aside.", "good")
        return
    rows = [[why, number, where] for why, (number, where) in islice(reasons.items(), _REASONS)]
    report.table(["Reason", "Rows", "For example"], rows)


def _class_table(
    found: Statistics, ranked: Sequence[tuple[int, int]]
) -> tuple[list[str], list[list[Any]]]:
    splits = [split for split in _by_size(found) if split != NO_SPLIT or len(found.splits) > 1]
    boxes = found.info.task == "detect"
    headers = ["Class", "Images", "Share", *splits, *(["Boxes"] if boxes else [])]
    rows = [
        [
            found.class_name(index),
            number,
            f"{number / max(found.images, 1):.1%}",
            *(found.classes[split, index] for split in splits),
            *([found.boxes_of_class[index]] if boxes else []),
        ]
        for index, number in ranked
    ]
    return headers, rows


def _add_together(report: Report, found: Statistics) -> None:
    """Show which classes share images: of those with the row's class, the share with both."""
    counts = np.diag(found.together)
    if (counts > 0).sum() < 2:
        return
    top = [int(index) for index in np.argsort(-counts, kind="stable")[:_TOGETHER] if counts[index]]
    shares = found.together[np.ix_(top, top)] / counts[top][:, None]
    names = [found.class_name(index) for index in top]
    label = "share of the row's images"
    caption = "Of the images that show the row's class, the share that also shows the column's."
    report.figure(figures.matrix(shares, names, label), "Classes that occur together", caption)


def _picture(one: Sample, found: Statistics, edge: int, prefix: str = "") -> Picture:
    image_id = one.row["image_id"]
    boxes = _drawn(one.row["boxes"] or (), found)
    image = draw_boxes(one.image, boxes, edge) if boxes else one.image
    words = _words(one.row, found)
    return Picture(image, f"{image_id}: {words}", f"{prefix}{words} ({image_id})")


def _drawn(boxes: Sequence[dict[str, Any]], found: Statistics) -> list[DrawnBox]:
    """Return boxes in their class's colour; the first of each class bears its name.

    With one class, or on every box of a crowd, names would only hide the picture.
    """
    drawn: list[DrawnBox] = []
    named: set[int] = set()
    for box in boxes:
        label = box["label"]
        new = len(found.info.classes) > 1 and label not in named
        named.add(label)
        corners = (box["xmin"], box["ymin"], box["xmax"], box["ymax"])
        name = found.class_name(label) if new else ""
        drawn.append(DrawnBox(*corners, label=name, color=SERIES[label % len(SERIES)]))
    return drawn


def _words(row: dict[str, Any], found: Statistics) -> str:
    if found.info.task == "classify":
        return "no label" if row["label"] is None else found.class_name(row["label"])
    number = row["count"] if found.info.task == "count" else len(row["boxes"] or ())
    noun = "object" if found.info.task == "count" else "box"
    plural = "" if number == 1 else ("s" if noun == "object" else "es")
    return f"{number} {noun}{plural}"


def _spread(name: str, values: Sequence[float]) -> list[object]:
    quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return [name, float(np.mean(values)), *quantiles]


def _by_size(found: Statistics) -> list[str]:
    return [split for split, _ in found.splits.most_common()]


def _splits_text(found: Statistics) -> str:
    if set(found.splits) <= {NO_SPLIT}:
        return "the source has no splits"
    return ", ".join(f"{split} {number:,}" for split, number in found.splits.most_common())
