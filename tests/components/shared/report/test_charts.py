"""Plots that several reports need."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from components.shared.report import Report, charts

PARTS = {"train": [8, 2], "val": [1, 1], "test": [3, 0]}
EDGES = np.linspace(0, 10, 6)
BINS = {"train": np.array([0, 4, 8, 4, 0.0]), "test": np.array([1, 1, 0, 0, 0.0])}


def _figures() -> dict[str, Figure]:
    cells = np.arange(16).reshape(4, 4)
    unit = np.linspace(0, 1, 5)
    labels = ("across", "up", "boxes")
    return {
        "stacked": charts.stacked_bars(["cat", "dog"], PARTS, "images"),
        "grouped": charts.grouped_bars(["cat", "dog"], PARTS, "class", "share"),
        "histogram": charts.histogram(EDGES, {"all": BINS["train"]}, "width", "images"),
        "overlay": charts.histogram(EDGES + 1, BINS, "width", "images", log=True),
        "heat": charts.heat_map(cells, (unit, unit), labels, downwards=True),
        "heat, log": charts.heat_map(cells, (unit + 1, unit + 1), labels, log=True),
        "matrix": charts.matrix(np.eye(3), ["a", "b", "c"], "share"),
        "scatter": charts.scatter({"a": ([1, 2], [3, 4]), "b": ([1], [2])}, "x", "y"),
    }


@pytest.mark.parametrize("name", list(_figures()))
def test_plots_become_svg_in_the_pages_colours(name: str) -> None:
    html = Report("Plots").figure(_figures()[name], name).html()
    svg = html[html.index("<svg") :]
    assert "<text" in svg
    assert "#1f77b4" not in svg  # Matplotlib's own blue, not the theme's


def _steps(figure: Figure) -> list[StepPatch]:
    return [one for one in figure.axes[0].patches if isinstance(one, StepPatch)]


def test_bars_are_as_long_as_their_numbers() -> None:
    figure = charts.stacked_bars(["cat", "dog"], PARTS, "images")
    bars = [one for one in figure.axes[0].patches if isinstance(one, Rectangle)]
    assert [bar.get_width() for bar in bars] == [8, 2, 1, 1, 3, 0]
    assert [bar.get_x() for bar in bars] == [0, 0, 8, 2, 9, 3]


def test_several_histograms_are_drawn_as_shares() -> None:
    figure = charts.histogram(EDGES, BINS, "width", "images")
    steps = {one.get_label(): one.get_data()[0] for one in _steps(figure)}
    np.testing.assert_allclose(steps["train"], BINS["train"] / 16)
    np.testing.assert_allclose(steps["test"], BINS["test"] / 2)
    assert figure.axes[0].get_ylabel() == "share of images"


def test_a_histogram_alone_is_drawn_as_numbers() -> None:
    figure = charts.histogram(EDGES, {"all": BINS["train"]}, "width", "images")
    (steps,) = _steps(figure)
    np.testing.assert_allclose(steps.get_data()[0], BINS["train"])


def test_empty_cells_have_no_colour_and_pictures_begin_at_the_top() -> None:
    cells = np.array([[0, 5], [1, 0]])
    unit = np.linspace(0, 1, 3)
    axes = charts.heat_map(cells, (unit, unit), ("x", "y", "n"), downwards=True).axes[0]
    shown: Any = axes.collections[0].get_array()
    assert np.ma.getmaskarray(shown).tolist() == [[True, False], [False, True]]
    assert axes.yaxis_inverted()


@pytest.mark.parametrize("low_high", [(30, 500), (0.9, 1.1), (0.001, 0.5), (1, 4000), (222, 224)])
def test_log_axes_have_a_few_round_ticks(low_high: tuple[float, float]) -> None:
    edges = np.geomspace(*low_high, 6)
    axes = charts.histogram(edges, {"all": np.ones(5)}, "x", "images", log=True).axes[0]
    ticks = [tick for tick in axes.get_xticks() if low_high[0] <= tick <= low_high[1]]
    assert 2 <= len(ticks) <= 12
    assert len({label.get_text() for label in axes.get_xticklabels()}) == len(axes.get_xticks())


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.stacked_bars([], {"all": []}, "images"),
        lambda: charts.histogram(EDGES, {"all": np.zeros(5)}, "x", "images"),
        lambda: charts.heat_map(
            np.zeros((4, 4), int), (np.linspace(0, 1, 5),) * 2, ("x", "y", "n")
        ),
    ],
)
def test_nothing_to_draw_is_drawn(draw: Callable[[], Figure]) -> None:
    assert "<svg" in Report("Empty").figure(draw(), "nothing").html()


def test_long_names_are_cut() -> None:
    axes = charts.stacked_bars(["a" * 90], {"all": [1]}, "images").axes[0]
    assert len(axes.get_yticklabels()[0].get_text()) < 40
