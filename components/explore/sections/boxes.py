"""Where boxes lie, how large they are and what shape they have."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.explore.geometry import AREA_EDGES, CELLS, RATIO_EDGES, SIZES
from components.explore.material import Material
from components.explore.sections.shared import add_histograms, columns, number_table
from components.shared.report import Report, charts

_COARSER: Final = 6  # bins of the statistics that make one of a plot
_UNIT: Final = np.linspace(0, 1, CELLS + 1)


def add_boxes(report: Report, material: Material) -> None:
    """Heat maps of place and size, areas, shapes, and how many are small."""
    found = material.found
    if found.info.task != "detect":
        return
    report.section("Boxes", "Where all boxes lie and how large they are, relative to their image.")
    if not found.all_boxes:
        report.note("No image has a box.", "bad")
        return
    geometry = found.geometry
    report.figure(
        charts.heat_map(
            geometry.centres,
            (_UNIT, _UNIT),
            ("left to right", "top to bottom", "boxes"),
            downwards=True,
        ),
        f"Heat map of the centres of {found.all_boxes:,} boxes, {_densest(geometry.centres)}",
        "Place: where the centres of the boxes lie.",
    )
    report.figure(
        charts.heat_map(
            geometry.shapes, (_UNIT, _UNIT), ("width of the box", "height of the box", "boxes")
        ),
        "Heat map of the boxes' widths and heights as shares of the image's",
        "Size: widths and heights as shares of the image's.",
    )
    areas, ratios = geometry.area_distribution(), geometry.ratio_distribution()
    words = ("box area, share of the image", "boxes")
    add_histograms(report, material, areas, AREA_EDGES[::_COARSER], words, log=True)
    words = ("box shape, width over height in pixels", "boxes")
    add_histograms(report, material, ratios, RATIO_EDGES[::_COARSER], words, log=True)
    report.table(
        *number_table(
            material,
            {"Box area, share of the image": areas, "Box shape, width over height": ratios},
        )
    )
    caption = (
        "By area in pixels of the image, as COCO does: small is under 32 x 32, large over 96 x 96."
    )
    report.cross_table(
        "Size", SIZES, columns(material, "boxes"), geometry.sizes.T.tolist(), caption
    )


def _densest(cells: NDArray[np.int64]) -> str:
    row, column = np.unravel_index(int(cells.argmax()), cells.shape)
    across, down = (column + 0.5) / CELLS, (row + 0.5) / CELLS
    return f"densest {across:.0%} from the left and {down:.0%} from the top"
