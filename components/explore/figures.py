"""The plots of the exploration report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from components.shared.report import SERIES

_WIDTH: Final = 5.5  # inches; wider ones scroll on a phone
_BINS: Final = 40
_EMPTY: Final = "nothing to show"


def stacked_bars(names: Sequence[str], parts: Mapping[str, Sequence[int]], what: str) -> Figure:
    """Horizontal bars, one a name, each stacked from the parts (splits of the source)."""
    figure = Figure((_WIDTH, 0.9 + 0.24 * max(len(names), 2)))
    axes = figure.subplots()
    start = np.zeros(len(names))
    for color, (part, values) in zip(_colors(len(parts)), parts.items(), strict=True):
        axes.barh(list(names), values, left=start, label=part, color=color)
        start += np.array(values)
    axes.invert_yaxis()
    axes.set_xlabel(what)
    _whole_numbers(axes, "x")
    axes.set_axisbelow(True)
    axes.grid(axis="x")
    if len(parts) > 1:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=min(len(parts), 4))
    return figure


def number_bars(numbers: Mapping[str, Counter[int]], what: str) -> Figure:
    """How many images have 0, 1, 2, … objects, stacked by split of the source."""
    figure = Figure((_WIDTH, 3.2))
    axes = figure.subplots()
    last = max((max(one, default=0) for one in numbers.values()), default=0)
    step = max(1, (last + _BINS) // _BINS)  # whole numbers a bar
    edges = np.arange(0, last + step + 1, step) - 0.5
    axes.hist(
        [list(one) for one in numbers.values()],
        bins=edges.tolist(),
        weights=[list(one.values()) for one in numbers.values()],
        stacked=True,
        rwidth=0.9,
        label=list(numbers),
        color=_colors(len(numbers)),
    )
    axes.set_xlabel(what)
    axes.set_ylabel("images")
    _whole_numbers(axes, "both")
    if len(numbers) > 1:
        axes.legend()
    return figure


def histogram(
    values: Sequence[float], weights: Sequence[int] | None, what: str, *, log: bool = False
) -> Figure:
    """A histogram; `log` spaces the bins by ratio instead of by difference."""
    figure = Figure((_WIDTH, 2.8))
    axes = figure.subplots()
    axes.set_xlabel(what)
    axes.set_ylabel("images")
    if not values:
        return _with_text(figure, axes)
    low, high = min(values), max(values)
    if low == high:
        low, high = low * 0.95, high * 1.05 or 1.0
    bins = np.geomspace(low, high, _BINS + 1) if log else np.linspace(low, high, _BINS + 1)
    axes.hist(values, bins=bins.tolist(), weights=weights, color=SERIES[0])
    if log and high / low > 10:
        axes.set_xscale("log")
    _whole_numbers(axes, "y")
    return figure


def area_histogram(areas: NDArray[np.int64], edges: NDArray[np.float64]) -> Figure:
    """Box areas, as shares of the image, on a logarithmic axis."""
    figure = Figure((_WIDTH, 2.8))
    axes = figure.subplots()
    axes.stairs(areas, edges, fill=True, color=SERIES[0])
    axes.set_xscale("log")
    axes.set_xlabel("box area as a share of the image")
    axes.set_ylabel("boxes")
    _whole_numbers(axes, "y")
    return figure


def heat_map(cells: NDArray[np.int64], across: str, down: str, *, upwards: bool) -> Figure:
    """Counts over the unit square; `upwards` puts the first row at the bottom."""
    figure = Figure((4.2, 3.6))
    axes = figure.subplots()
    extent = (0, 1, 0, 1) if upwards else (0, 1, 1, 0)
    origin: Literal["lower", "upper"] = "lower" if upwards else "upper"
    shown = axes.imshow(cells, extent=extent, origin=origin, cmap="viridis", aspect="equal")
    axes.set_xlabel(across)
    axes.set_ylabel(down)
    figure.colorbar(shown, ax=axes, label="boxes")
    return figure


def matrix(values: NDArray[np.float64], names: Sequence[str], label: str) -> Figure:
    """A square matrix of shares, 0 to 1, with names on both axes."""
    edge = min(2.2 + 0.3 * len(names), 8.0)
    figure = Figure((edge + 0.8, edge))
    axes = figure.subplots()
    shown = axes.imshow(values, vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= 12:
        for (row, column), value in np.ndenumerate(values):
            ink = "#111111" if value > 0.6 else "#fefefe"  # not the theme's: the cell is no theme
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, size=7)
    figure.colorbar(shown, ax=axes, label=label)
    return figure


def scatter(across: Sequence[float], up: Sequence[float], labels: tuple[str, str]) -> Figure:
    """A point for each sampled image."""
    figure = Figure((_WIDTH, 3.2))
    axes = figure.subplots()
    axes.scatter(across, up, s=9, alpha=0.6, color=SERIES[0], linewidths=0)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    return figure


def _colors(number: int) -> list[str]:
    return [SERIES[index % len(SERIES)] for index in range(number)]


def _whole_numbers(axes: Axes, which: str) -> None:
    if which in ("x", "both"):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if which in ("y", "both"):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _with_text(figure: Figure, axes: Axes) -> Figure:
    axes.text(0.5, 0.5, _EMPTY, ha="center", transform=axes.transAxes)
    return figure
