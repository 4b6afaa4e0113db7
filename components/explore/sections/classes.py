"""Which classes there are: how often, with examples, and which occur together."""

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.explore.material import Material
from components.explore.palette import Palette
from components.explore.sections.shared import columns, pictures
from components.explore.statistics import Statistics
from components.explore.words import numbered
from components.shared.report import Report, charts

_MANY: Final = 30  # classes above which only the most and least frequent are drawn
_TABLE: Final = 1000  # rows of the table of classes

Ranked = list[tuple[int, int]]  # class and its images, the most frequent first


def add_classes(report: Report, material: Material, palette: Palette) -> None:
    """Images (and boxes) of each class by split and source, and examples of some."""
    found = material.found
    if found.info.task == "count" or not found.info.classes:
        return
    ranked = found.categories().most_common()
    report.section("Classes", "In how many images each class is seen.")
    _add_bars(report, found, ranked)
    _add_tables(report, material, ranked[:_TABLE], len(ranked))
    if len(material.examples) > 1:
        _add_examples(report, material, palette, len(ranked))
    _add_together(report, material)


def _add_bars(report: Report, found: Statistics, ranked: Ranked) -> None:
    if len(ranked) < 2:
        return
    half = _MANY // 2
    shown = ranked if len(ranked) <= _MANY else [*ranked[:half], *ranked[-half:]]
    parts = {
        split: [found.by_split[index, one] for one, _ in shown]
        for index, split in enumerate(found.splits.names)
    }
    names = [found.name(one) for one, _ in shown]
    alt = "Bars: images of each class: "
    alt += ", ".join(f"{name} {number:,}" for name, (_, number) in zip(names, shown, strict=True))
    caption = f"The {half} most and the {half} least frequent of {len(ranked):,} classes."
    figure = charts.stacked_bars(names, parts, "images")
    report.figure(figure, alt, caption if len(ranked) > _MANY else "")


def _add_tables(report: Report, material: Material, listed: Ranked, classes: int) -> None:
    found = material.found
    names = [found.name(one) for one, _ in listed]
    more = f" The {len(listed):,} most frequent of {classes:,}." if len(listed) < classes else ""
    splits = len(found.splits)
    caption = f"Images of each class, with their share of the column.{more}"
    counts = _table(found.by_split, listed, splits)
    if found.info.task != "detect":
        report.cross_table("Class", names, columns(material), counts, caption)
    else:
        caption = f"Images that show each class, and their share of all images.{more}"
        images = found.images.tolist()
        report.cross_table("Class", names, columns(material), counts, caption, images)
        counts = _table(found.boxes, listed, splits)
        caption = f"Boxes of each class.{more}"
        report.cross_table("Class", names, columns(material, "boxes"), counts, caption)
    sources = found.parts.sources
    if len(sources) > 1 and classes > 1:
        counts = _table(found.by_source, listed, len(sources))
        caption = f"Images that show each class, by the folder they come from.{more}"
        images = found.sources.sum(axis=0).tolist()
        report.cross_table("Class", names, sources.names, counts, caption, images)


def _table(counted: Counter[tuple[int, int]], listed: Ranked, parts: int) -> list[list[int]]:
    return [[counted[part, category] for part in range(parts)] for category, _ in listed]


def _add_examples(report: Report, material: Material, palette: Palette, classes: int) -> None:
    text = "Drawn at random among the images that show the class."
    if len(material.examples) < classes:
        text += f" {len(material.examples)} of {classes:,} classes, the most and least frequent."
    report.heading("Examples of each class", text)
    report.legend(palette.keys())
    counted = material.found.categories()
    for category, ids in material.examples.items():
        report.heading(
            f"{material.found.name(category)}: {numbered(counted[category], 'image', 'images')}"
        )
        report.gallery(
            pictures(material, palette, ids, words=material.found.info.task == "detect"), dense=True
        )


def _add_together(report: Report, material: Material) -> None:
    """Show which classes share images: of those with the row's class, the share with both."""
    classes, together = material.together
    if len(classes) < 2:
        return
    names = [material.found.name(one) for one in classes]
    shares = together / np.maximum(np.diag(together), 1)[:, None]
    caption = "Of the images that show the row's class, the share that also shows the column's."
    if len(classes) < len(material.found.info.classes):
        caption += f" The {len(classes)} most frequent classes."
    alt = f"Matrix of the classes that share images. {_strongest(shares, names)}"
    report.heading("Classes that occur together")
    report.figure(charts.matrix(shares, names, "share of the row's images"), alt, caption)


def _strongest(shares: NDArray[np.float64], names: list[str]) -> str:
    others = shares - 2 * np.eye(len(names))  # not with itself
    row, column = np.unravel_index(int(others.argmax()), others.shape)
    share = f"{shares[row, column]:.0%}"
    return f"The strongest: of the images with {names[row]}, {share} show {names[column]}."
