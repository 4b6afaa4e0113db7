"""Plots that several reports need, as Matplotlib figures in the page's colours.

A "part" is what a plot compares: a split, a source, this run and the last. The colours of up to
three parts are told apart with every common form of colour blindness (CIE76 distance of at
least 18 after Machado et al. 2009, in the light and in the dark theme); outlines differ in
their dashes, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from components.shared.report.svg import SERIES

WIDTH: Final = 5.5  # inches; wider ones scroll on a phone
_NAME: Final = 28  # characters of a name; a longer one would leave no room for the plot
_ANNOTATED: Final = 12  # names above which the cells of a matrix have no room for numbers
_DASHES: Final = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
_DARK: Final = "#111111"  # ink on a cell: its colour does not follow the theme
_LIGHT: Final = "#fefefe"
_COLORS: Final = "viridis"  # perceptually uniform, also without colour


def stacked_bars(names: Sequence[str], parts: Mapping[str, Sequence[float]], what: str) -> Figure:
    """Horizontal bars, one a name, each stacked from its parts."""
    figure = Figure((WIDTH, 0.9 + 0.24 * max(len(names), 2)))
    axes = figure.subplots()
    places = np.arange(len(names))
    start = np.zeros(len(names))
    for index, (part, values) in enumerate(parts.items()):
        axes.barh(places, values, left=start, label=part, color=_color(index))
        start += np.array(values, float)
    axes.set_yticks(places, [_short(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(what)
    _count_axis(axes, "x")
    _grid(axes, "x")
    _legend(axes, len(parts))
    return figure


def grouped_bars(
    names: Sequence[str], parts: Mapping[str, Sequence[float]], across: str, up: str
) -> Figure:
    """Bars side by side, a group for each name and in it a bar for each part; shares, 0 to 1."""
    figure = Figure((WIDTH, 3.0))
    axes = figure.subplots()
    places = np.arange(len(names))
    width = 0.84 / max(len(parts), 1)
    for index, (part, values) in enumerate(parts.items()):
        at = places + (index - (len(parts) - 1) / 2) * width
        axes.bar(at, values, width * 0.94, label=part, color=_color(index))
    long = max((len(name) for name in names), default=0) * len(names) > 60
    axes.set_xticks(places, [_short(name) for name in names], rotation=90 if long else 0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    _grid(axes, "y")
    _legend(axes, len(parts))
    return figure


def histogram(
    edges: NDArray[np.float64],
    parts: Mapping[str, NDArray[np.float64]],
    across: str,
    items: str,
    *,
    log: bool = False,
) -> Figure:
    """One histogram of numbers, or outlines of several laid over each other as shares.

    Args:
        edges: (n + 1,) of the bins.
        parts: for each, (n,) how many items fall into each bin.
        across: what is measured, with its unit.
        items: what is counted, e.g. `images`.
        log: a logarithmic axis; the edges are then positive.
    """
    figure = Figure((WIDTH, 2.8))
    axes = figure.subplots()
    single = len(parts) == 1
    for index, (part, values) in enumerate(parts.items()):
        heights = values if single else values / max(float(values.sum()), 1)
        color = _color(index)
        if single or index == 0:
            alpha = 1.0 if single else 0.25
            axes.stairs(heights, edges, fill=True, color=color, alpha=alpha)
        if not single:
            dashes: Any = _DASHES[index % len(_DASHES)]
            axes.stairs(heights, edges, color=color, linestyle=dashes, linewidth=1.6, label=part)
    if log:
        _log_axis(axes, float(edges[0]), float(edges[-1]))
    axes.set_xlabel(across)
    axes.set_ylabel(items if single else f"share of {items}")
    if single:
        _count_axis(axes, "y")
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    _grid(axes, "y")
    _legend(axes, len(parts))
    return figure


def heat_map(
    cells: NDArray[np.int64],
    edges: tuple[NDArray[np.float64], NDArray[np.float64]],
    labels: tuple[str, str, str],
    *,
    downwards: bool = False,
    log: bool = False,
) -> Figure:
    """Counts over two quantities; empty cells have no colour, the others a logarithmic one.

    Args:
        cells: (rows, columns).
        edges: of the columns and of the rows.
        labels: of the axis across, of the axis up, and of what is counted.
        downwards: the first row is at the top, as in a picture.
        log: logarithmic axes.
    """
    figure = Figure((4.4, 3.6))
    axes = figure.subplots()
    highest = max(int(cells.max(initial=0)), 2)
    shown = axes.pcolormesh(
        edges[0],
        edges[1],
        np.ma.masked_equal(cells, 0),
        norm=LogNorm(1, highest),
        cmap=_COLORS,
        rasterized=True,  # one small picture instead of a thousand paths
    )
    if log:
        _log_axis(axes, float(edges[0][0]), float(edges[0][-1]))
        _log_axis(axes, float(edges[1][0]), float(edges[1][-1]), "y")
    else:
        axes.set_aspect("equal")
    if downwards:
        axes.invert_yaxis()
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    bar = figure.colorbar(shown, ax=axes, label=labels[2], format=FuncFormatter(_thousands))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return figure


def matrix(values: NDArray[np.float64], names: Sequence[str], label: str) -> Figure:
    """A square matrix of shares, 0 to 1, with names on both axes."""
    edge = min(2.2 + 0.3 * len(names), 8.0)
    figure = Figure((edge + 0.8, edge))
    axes = figure.subplots()
    shown = axes.imshow(values, norm=Normalize(0, 1), cmap=_COLORS)
    short = [_short(name) for name in names]
    axes.set_xticks(range(len(names)), short, rotation=90)
    axes.set_yticks(range(len(names)), short)
    if len(names) <= _ANNOTATED:
        for (row, column), value in np.ndenumerate(values):
            ink = _DARK if value > 0.6 else _LIGHT
            axes.text(
                column, row, f"{value * 100:.0f}", ha="center", va="center", color=ink, size=7
            )
    figure.colorbar(shown, ax=axes, label=label, format=FuncFormatter(_percent))
    return figure


def scatter(
    parts: Mapping[str, tuple[Sequence[float], Sequence[float]]], across: str, up: str
) -> Figure:
    """A point for each item, in the colour and form of its part."""
    figure = Figure((WIDTH, 3.2))
    axes = figure.subplots()
    for index, (part, (x, y)) in enumerate(parts.items()):
        marker = "o^sD"[index % 4]
        color = _color(index)
        axes.scatter(x, y, s=10, alpha=0.55, color=color, marker=marker, linewidths=0, label=part)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    _legend(axes, len(parts))
    return figure


def _color(index: int) -> str:
    return SERIES[index % len(SERIES)]


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _thousands(value: float, _: object = None) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def _percent(value: float, _: object = None) -> str:
    return f"{value * 100:g} %"


def _count_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axis.set_major_formatter(FuncFormatter(_thousands))


def _log_axis(axes: Axes, low: float, high: float, which: Literal["x", "y"] = "x") -> None:
    """Space the axis by ratio; below a factor of 30, with plain numbers a reader knows."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    if high / low > 1000:
        return
    axis = axes.xaxis if which == "x" else axes.yaxis
    ticks = _round_ticks(low, high)
    axis.set_ticks(ticks, [_thousands(tick) for tick in ticks])
    axis.set_minor_formatter(NullFormatter())


def _round_ticks(low: float, high: float) -> list[float]:
    """Return up to about seven round numbers from `low` to `high`."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), range(1, 10)):
        decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        every = (step * 10.0**decade for decade in decades for step in steps)
        ticks = [round(tick, 12) for tick in every if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]


def _grid(axes: Axes, which: Literal["x", "y"]) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis=which)


def _legend(axes: Axes, parts: int) -> None:
    if parts > 1:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=min(parts, 4), frameon=False)
