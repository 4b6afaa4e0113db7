"""How many objects an image holds: counts, or boxes."""

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.explore.material import Material
from components.explore.palette import Palette
from components.explore.sections.shared import add_histograms, columns, number_table, pictures
from components.explore.statistics import CROWDS
from components.explore.words import numbered
from components.shared.report import Report

_BARS: Final = 40
_FEW: Final = 24  # different numbers that are worth a table


def add_numbers(report: Report, material: Material, palette: Palette) -> None:
    """The distribution of the number of objects, over all images and by split."""
    task = material.found.info.task
    if task == "classify":
        return
    what = "objects an image" if task == "count" else "boxes an image"
    report.section("Counts" if task == "count" else "Boxes an image", f"How many {what} holds.")
    numbers = material.found.numbers.distribution()
    if not numbers.values.size:
        report.note("No image has a count.", "bad")
        return
    edges = _edges(int(numbers.values[-1]))
    add_histograms(report, material, numbers, edges, (what, "images"))
    report.table(*number_table(material, {what.capitalize(): numbers}))
    if numbers.values.size <= _FEW:
        names = [f"{value:g}" for value in numbers.values]
        counts = numbers.counts.T.tolist()
        report.cross_table(what.capitalize(), names, columns(material), counts)
    if task == "count":
        _add_count_examples(report, material, palette)
    else:
        _add_crowds(report, material, palette)


def _edges(last: int) -> NDArray[np.float64]:
    """Return edges between whole numbers, several to a bar where there are many."""
    step = max(1, (last + _BARS) // _BARS)
    return np.arange(0, last + step + 1, step, dtype=np.float64) - 0.5


def _add_count_examples(report: Report, material: Material, palette: Palette) -> None:
    if not material.examples:
        return
    report.heading("Examples of each count", "Drawn at random among the images with that count.")
    counted = material.found.categories()
    for count, ids in material.examples.items():
        objects = numbered(count, "object", "objects")
        report.heading(f"{objects}: {numbered(counted[count], 'image', 'images')}")
        report.gallery(pictures(material, palette, ids, words=False), dense=True)


def _add_crowds(report: Report, material: Material, palette: Palette) -> None:
    if not material.crowds:
        return
    report.heading("Examples by number of boxes", "Drawn at random.")
    report.legend(palette.keys())
    limits = [0, *CROWDS]
    names = [_interval(first, after) for first, after in pairwise(limits)]
    names.append(f"{limits[-1]} boxes or more")
    for interval, ids in material.crowds.items():
        report.heading(names[interval])
        report.gallery(pictures(material, palette, ids), dense=True)


def _interval(first: int, after: int) -> str:
    if after - first > 1:
        return f"{first} to {after - 1} boxes"
    return {0: "No box", 1: "1 box"}.get(first, f"{first} boxes")
