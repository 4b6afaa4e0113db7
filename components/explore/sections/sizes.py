"""How large the images are, of what shape and in which format."""

from typing import Final

import numpy as np

from components.explore.material import Material
from components.explore.sections.shared import add_histograms, log_edges, number_table
from components.shared.report import Report, charts

_COMMON: Final = 6
_CELLS: Final = 40


def add_sizes(report: Report, material: Material) -> None:
    """Image sizes, aspect ratios and formats."""
    found = material.found
    report.section("Image sizes", "Pixels as decoded, EXIF orientation applied.")
    formats = ", ".join(f"{name} {number:,}" for name, number in found.formats.most_common())
    widths, heights, counts = found.size_table()
    if not widths.size:
        report.note("There is no image.", "bad")
        return
    if widths.size == 1:
        report.note(f"All images have {widths[0]} x {heights[0]} pixels. Formats: {formats}.")
        return
    totals = counts.sum(axis=0)
    edges = tuple(log_edges(one.min(), one.max() + 1.0, _CELLS) for one in (widths, heights))
    cells = np.histogram2d(heights, widths, bins=[edges[1], edges[0]], weights=totals)[0]
    report.figure(
        charts.heat_map(
            cells.astype(np.int64),
            (edges[0], edges[1]),
            ("width, pixels", "height, pixels", "images"),
            log=True,
        ),
        f"Heat map of image widths and heights: {widths.size:,} different sizes",
        "Widths and heights.",
    )
    ratios = found.size_distribution("ratio")
    words = ("aspect ratio, width over height", "images")
    ends = log_edges(ratios.values[0], ratios.values[-1])
    add_histograms(report, material, ratios, ends, words, log=True)
    quantities = {
        "Width, pixels": found.size_distribution("width"),
        "Height, pixels": found.size_distribution("height"),
        "Aspect ratio": ratios,
    }
    report.table(*number_table(material, quantities))
    order = np.argsort(-totals, kind="stable")[:_COMMON]
    common = [
        [f"{widths[one]} x {heights[one]}", int(totals[one]), f"{totals[one] / found.total:.1%}"]
        for one in order
    ]
    text = f"The most frequent of {widths.size:,} sizes. Formats: {formats}."
    report.table(["Size", "Images", "Share"], common, text)
