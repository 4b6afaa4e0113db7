"""What several sections need."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.explore.distribution import Distribution, summarize
from components.explore.material import Material
from components.explore.palette import Palette
from components.explore.partition import ALL
from components.shared.report import Picture, Report, charts

_HEADERS: Final = ("Min", "25 %", "Median", "75 %", "Max")
_FEW: Final = 30  # edges of a histogram above which the splits' have half as many bins
_TRIMMED: Final = 20  # bins that are left when empty ones at the ends are cut off, at least


def pictures(
    material: Material, palette: Palette, ids: list[str], *, words: bool = True
) -> list[Picture]:
    """Return the pictures of some images, without those that do not decode.

    Without `words` a caption is the id alone: a heading says what the images show.
    """
    return [
        palette.picture(material.pictures[one], material.rows[one], words=words)
        for one in ids
        if one in material.pictures
    ]


def columns(material: Material, alone: str = "images") -> list[str]:
    """Return the splits' names as columns of a table; `alone` where nothing is split."""
    names = material.found.splits.names
    return list(names) if len(names) > 1 else [alone]


def add_histograms(
    report: Report,
    material: Material,
    found: Distribution,
    edges: NDArray[np.float64],
    words: tuple[str, str],
    *,
    log: bool = False,
) -> None:
    """Add the histogram of all images, and outlines of the splits' over each other.

    Args:
        report: the page.
        material: for the names of the splits.
        found: the distribution, by split.
        edges: of the bins.
        words: what is measured, with its unit, and what is counted.
        log: a logarithmic axis.
    """
    what, items = words
    bins = found.histogram(edges)
    edges, bins = _trimmed(edges, bins)
    alt = f"Histogram of {what}: {_in_words(summarize(found.values, found.total))}"
    report.figure(charts.histogram(edges, {ALL: bins.sum(axis=0)}, what, items, log=log), alt)
    names = material.found.splits.names
    parts = {name: one for name, one in zip(names, bins, strict=True) if one.any()}
    if len(parts) > 1:
        # A split of few images needs wider bins, or chance would shape its outline.
        if edges.size > _FEW and edges.size % 2:
            parts = {name: one.reshape(-1, 2).sum(axis=1) for name, one in parts.items()}
            edges = edges[::2]
        figure = charts.histogram(edges, parts, what, items, log=log)
        report.figure(figure, f"Histogram of {what}, each split as shares of its {items}")


def number_table(
    material: Material, quantities: Mapping[str, Distribution]
) -> tuple[list[str], list[list[object]]]:
    """Return headers and rows: mean, standard deviation, quartiles and ends, by split."""
    names = material.found.splits.names
    rows: list[list[object]] = []
    for what, found in quantities.items():
        parts = [("all", found.total)]
        if len(names) > 1 and len(found.counts) > 1:
            parts += list(zip(names, found.counts, strict=True))
        for name, counts in parts:
            numbers = list(summarize(found.values, counts).values())
            shown = [*numbers[:2], *map(_whole, numbers[2:])]
            rows.append([what if name == "all" else "", name, int(counts.sum()), *shown])
    headers = ["Quantity", "Split", "Number", "Mean", "Std", *_HEADERS]
    return headers, rows


def _trimmed(
    edges: NDArray[np.float64], bins: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut empty bins off both ends, two at a time, so that they can still be joined in pairs."""
    used = np.flatnonzero(bins.any(axis=0))
    if not used.size:
        return edges, bins
    first = int(used[0]) // 2 * 2
    last = min((int(used[-1]) // 2 + 1) * 2, bins.shape[1])
    while last - first < min(_TRIMMED, bins.shape[1]):
        first, last = max(first - 2, 0), min(last + 2, bins.shape[1])
    return edges[first : last + 1], bins[:, first:last]


def log_edges(low: float, high: float, bins: int = 40) -> NDArray[np.float64]:
    """Return edges spaced by ratio; some width also where all values are equal."""
    if low == high:
        low, high = low * 0.9, high * 1.1
    return np.geomspace(low, high, bins + 1)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _in_words(found: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items() if value is not None)
