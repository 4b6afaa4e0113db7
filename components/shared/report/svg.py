"""Matplotlib figures as inline SVG that follows the page's light or dark theme.

Text stays text: it can be searched, copied and read aloud, and it scales. Matplotlib's default
colours are exchanged for CSS variables, so that a plain `Figure` needs no styling to look right.
"""

import io
import re
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Matplotlib's own colour cycle; the page maps each to a colour that suits its theme.
SERIES: Final = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
GOOD: Final = SERIES[2]
BAD: Final = SERIES[3]
MUTED: Final = SERIES[7]

_VARIABLES = {
    **{color: f"var(--series-{index})" for index, color in enumerate(SERIES, start=1)},
    "#000000": "currentColor",
    "#ffffff": "var(--surface)",
    "#b0b0b0": "var(--grid)",  # rcParams["grid.color"]
    "#cccccc": "var(--grid)",  # rcParams["legend.edgecolor"], 0.8
}
_COLOR = re.compile(r"(fill|stroke): ?(#[0-9a-f]{6})")
_HEAD = re.compile(r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(?:xlink:)?href="#([^"]+)"')
_URL = re.compile(r"url\(#([^)]+)\)")
_RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "sightline"}


def figure_to_svg(figure: Figure, name: str) -> tuple[str, float]:
    """Return `(inner SVG element, width in CSS pixels)`.

    Args:
        figure: drawn as is, but for its backgrounds and frame, which the page provides.
        name: prefix of every id inside, unique in the page.
    """
    figure.patch.set_visible(False)
    for axes in figure.axes:
        _quiet(axes)
    buffer = io.StringIO()
    with mpl.rc_context(_RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    text = buffer.getvalue()
    head = _HEAD.search(text)
    if head is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    body = _METADATA.sub("", text[head.end() :])
    body = _COLOR.sub(_themed, body)
    body = _ID.sub(rf'id="{name}-\1"', body)
    body = _REFERENCE.sub(rf'href="#{name}-\1"', body)
    body = _URL.sub(rf"url(#{name}-\1)", body)
    width_points = float(head[1].split()[2])
    opening = f'<svg viewBox="{head[1]}" preserveAspectRatio="xMidYMid meet" aria-hidden="true">'
    return opening + body, width_points * 96 / 72


def _quiet(axes: Axes) -> None:
    """Leave the background to the page, and drop the frame's upper and right line."""
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        if side in axes.spines:
            axes.spines[side].set_visible(False)


def _themed(match: re.Match[str]) -> str:
    return f"{match[1]}: {_VARIABLES.get(match[2], match[2])}"
