"""Where boxes lie and how large they are, counted in bins."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.explore.distribution import Distribution

CELLS: Final = 32  # of a heat map's edge
# Fine enough that the Kolmogorov-Smirnov distance of the bins is that of the boxes.
AREA_EDGES: Final = np.logspace(-6, 0, 361)  # shares of the image
RATIO_EDGES: Final = np.logspace(-2, 2, 241)  # width over height, in pixels
SMALL: Final = 32**2  # square pixels; COCO's bounds of small and large objects
LARGE: Final = 96**2
SIZES: Final = ("small", "medium", "large")


@dataclass
class BoxGeometry:
    """Boxes by place, shape and size.

    Attributes:
        centres: (CELLS, CELLS) boxes by the place of their centre, rows downwards.
        shapes: (CELLS, CELLS) boxes by height (rows) and width (columns), shares of the image.
        areas: (parts, bins) boxes in each interval of AREA_EDGES.
        ratios: (parts, bins) boxes in each interval of RATIO_EDGES.
        sizes: (parts, 3) small, medium and large boxes, as COCO defines them, by their area in
            pixels of the image.
    """

    centres: NDArray[np.int64]
    shapes: NDArray[np.int64]
    areas: NDArray[np.int64]
    ratios: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def empty(cls, parts: int) -> "BoxGeometry":
        """Return the geometry of no boxes."""
        shapes = (
            (CELLS, CELLS),
            (CELLS, CELLS),
            (parts, AREA_EDGES.size - 1),
            (parts, RATIO_EDGES.size - 1),
            (parts, len(SIZES)),
        )
        return cls(*(np.zeros(shape, np.int64) for shape in shapes))

    def add(
        self, boxes: pa.StructArray, pixels: NDArray[np.float64], codes: NDArray[np.int64]
    ) -> None:
        """Count (n,) boxes.

        Args:
            boxes: structs of the table, normalized corners.
            pixels: (n, 2) width and height of each box's image.
            codes: (n,) its part.
        """
        names = ("xmin", "ymin", "xmax", "ymax")
        left, top, right, bottom = (boxes.field(name).to_numpy().astype(float) for name in names)
        width, height = right - left, bottom - top
        unit = [(0, 1), (0, 1)]
        middle = ((top + bottom) / 2, (left + right) / 2)
        self.centres += np.histogram2d(*middle, bins=CELLS, range=unit)[0].astype(np.int64)
        self.shapes += np.histogram2d(height, width, bins=CELLS, range=unit)[0].astype(np.int64)
        across, down = width * pixels[:, 0], height * pixels[:, 1]
        ratio = across / np.maximum(down, np.finfo(float).tiny)
        large = np.digitize(across * down, (SMALL, LARGE))
        for part in range(len(self.sizes)):
            mine = codes == part
            self.areas[part] += _counted((width * height)[mine], AREA_EDGES)
            self.ratios[part] += _counted(ratio[mine], RATIO_EDGES)
            self.sizes[part] += np.bincount(large[mine], minlength=len(SIZES))

    def area_distribution(self) -> Distribution:
        """Return the distribution of the areas, each at the middle of its bin."""
        return Distribution(np.sqrt(AREA_EDGES[:-1] * AREA_EDGES[1:]), self.areas)

    def ratio_distribution(self) -> Distribution:
        """Return the distribution of the boxes' aspect ratios."""
        return Distribution(np.sqrt(RATIO_EDGES[:-1] * RATIO_EDGES[1:]), self.ratios)


def _counted(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    counted: NDArray[np.int64] = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return counted
