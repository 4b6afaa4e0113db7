"""A report as one HTML file that needs nothing else: no script, no network."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Number, Real
from pathlib import Path
from typing import Any, Literal, Self

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from components.shared.files import write_text
from components.shared.report.drawing import data_uri
from components.shared.report.svg import figure_to_svg

Kind = Literal["info", "good", "bad"]

_FOLDER = Path(__file__).parent
_PICTURES = 4_000_000  # characters of all pictures of a page: it stays under 5 MB


@dataclass(frozen=True)
class Picture:
    """A picture of a gallery. `alt` says what it shows to those who cannot see it."""

    image: Image.Image
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Tile:
    """A headline number: `Tile("Accuracy", 0.912, "95 % interval 0.88 to 0.94", "good")`."""

    label: str
    value: object
    detail: str = ""
    kind: Kind = "info"


@dataclass(frozen=True)
class PictureSet:
    """Pictures that belong together, under a title; `text` says what is to be seen in them."""

    title: str
    text: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Key:
    """An entry of a legend: what a line of this colour, dashed or not, stands for."""

    label: str
    color: str
    dashed: bool = False


@dataclass
class _Section:
    title: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Cell:
    """A cell of a cross table: its count, and its share of the column, 0 to 1."""

    text: str
    share: float


class Report:
    """Collects blocks in reading order, and writes them as one HTML file.

    Every method but `write` returns the report, and adds to the section opened last; blocks
    added before any section stand at the top of the page. All text is plain text; it is escaped.
    Blank lines in a text separate paragraphs.
    """

    def __init__(self, title: str, subtitle: str = "", *, contents: bool = False) -> None:
        """Start a page; `contents` lists its sections at the top."""
        self._title = title
        self._subtitle = subtitle
        self._contents = contents
        self._sections = [_Section("", "")]
        self._figures = 0
        self._spent = 0

    def section(self, title: str, text: str = "") -> Self:
        """Open a section."""
        self._sections.append(_Section(title, text))
        return self

    def heading(self, title: str, text: str = "") -> Self:
        """Add a heading inside the section, with a line of text under it."""
        return self._add("heading", title=title, text=text)

    def legend(self, keys: Iterable[Key]) -> Self:
        """Add the legend of the pictures that follow."""
        return self._add("legend", keys=list(keys))

    def banner(self, title: str, lines: Iterable[str] = (), kind: Kind = "info") -> Self:
        """Add a prominent box: the verdict of the page."""
        return self._add("banner", title=title, lines=list(lines), tone=kind)

    def note(self, text: str, kind: Kind = "info") -> Self:
        """Add a remark that stands out from running text."""
        return self._add("note", text=text, tone=kind)

    def tiles(self, tiles: Iterable[Tile]) -> Self:
        """Add a row of headline numbers."""
        return self._add("tiles", tiles=list(tiles))

    def figure(self, fig: Figure, alt: str, caption: str = "") -> Self:
        """Add a plot as inline SVG; consecutive plots share a row where there is room.

        Plots up to 5.5 inches wide stay readable on a phone without scrolling.

        Args:
            fig: made with `matplotlib.figure.Figure`; default colours follow the page's theme.
            alt: what the plot shows, for those who cannot see it.
            caption: shown under the plot.
        """
        self._figures += 1
        svg, width = figure_to_svg(fig, f"figure{self._figures}")
        return self._add(
            "figure",
            svg=Markup(svg),  # noqa: S704 (made by figure_to_svg, its text escaped there)
            width=round(width),
            alt=alt,
            caption=caption,
        )

    def table(
        self, headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str = ""
    ) -> Self:
        """Add a table. Columns of numbers are set to the right; `None` shows as a dash.

        Raises:
            ValueError: if a row has not as many cells as there are headers.
        """
        cells = [list(row) for row in rows]
        if any(len(row) != len(headers) for row in cells):
            raise ValueError(f"table {caption!r}: every row needs {len(headers)} cells")
        columns = list(zip(*cells, strict=True)) if cells else [()] * len(headers)
        numeric = [_is_numeric(column) for column in columns]
        text = [[format_value(cell) for cell in row] for row in cells]
        return self._add(
            "table", headers=list(headers), rows=text, numeric=numeric, caption=caption
        )

    def cross_table(
        self,
        corner: str,
        rows: Sequence[str],
        columns: Sequence[str],
        counts: Sequence[Sequence[int]],
        caption: str = "",
        totals: Sequence[int] | None = None,
    ) -> Self:
        """Add a table of two properties: in each cell a count and its share of the column.

        Cells are tinted by that share, so that columns with different shares stand out.

        Args:
            corner: what the rows are.
            rows: their names.
            columns: the columns' names; a column of all is added when there are several.
            counts: a row of counts for each of `rows`.
            caption: shown above the table.
            totals: what the shares of each column refer to, where that is not its sum: an image
                may show several classes.

        Raises:
            ValueError: if the counts do not fit the names.
        """
        fits = all(len(row) == len(columns) for row in [*counts, totals or columns])
        if len(counts) != len(rows) or not fits:
            raise ValueError(f"table {caption!r}: needs {len(rows)} rows of {len(columns)} counts")
        several = len(columns) > 1
        sums = [sum(column) for column in zip(*counts, strict=True)]
        bottom = list(totals) if totals is not None else sums or [0] * len(columns)
        *whole, bottom = [[*row, sum(row)] if several else list(row) for row in [*counts, bottom]]
        cells = [
            [
                _Cell(format_value(one), _share(one, total))
                for one, total in zip(row, bottom, strict=True)
            ]
            for row in whole
        ]
        return self._add(
            "cross",
            corner=corner,
            columns=[*columns, *(["all"] if several else [])],
            rows=list(zip(rows, cells, strict=True)),
            totals=[format_value(total) for total in bottom],
            bottom="sum" if totals is None else "of",
            caption=caption,
        )

    def gallery(
        self, pictures: Iterable[Picture], *, wide: bool = False, dense: bool = False
    ) -> Self:
        """Add pictures in a grid; large ones are made smaller, so that the page stays light.

        Args:
            pictures: in reading order.
            wide: show them larger, for pictures with details to be seen.
            dense: show them smaller, six in a row where there is room.
        """
        return self._add("gallery", pictures=self._encoded(list(pictures)), wide=wide, dense=dense)

    def picture_sets(self, sets: Iterable[PictureSet]) -> Self:
        """Add sets of small pictures; small sets stand side by side."""
        chosen = list(sets)
        encoded = iter(self._encoded([one for part in chosen for one in part.pictures]))
        items = [
            {
                "title": part.title,
                "text": part.text,
                "pictures": [next(encoded) for _ in part.pictures],
            }
            for part in chosen
        ]
        return self._add("sets", sets=items)

    def html(self) -> str:
        """Return the page."""
        environment = Environment(
            loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        environment.filters |= {"paragraphs": _paragraphs, "cell": format_value}
        template = environment.get_template("page.html.j2")
        return template.render(
            title=self._title,
            subtitle=self._subtitle,
            contents=self._contents,
            sections=[
                {"title": one.title, "text": one.text, "groups": _grouped(one.blocks)}
                for one in self._sections
            ],
            style=Markup((_FOLDER / "style.css").read_text("utf-8")),  # noqa: S704 (our own file)
        )

    def write(self, path: Path) -> None:
        """Write the page to `path`, whole or not at all."""
        write_text(path, self.html())

    def _encoded(self, pictures: Sequence[Picture]) -> list[dict[str, str]]:
        """Return pictures as the template takes them, small enough for all of a page."""
        # At most half of what is left, so that later galleries have their share.
        limit = (_PICTURES - self._spent) // 2 // max(len(pictures), 1)
        items = [
            {"uri": data_uri(one.image, limit), "alt": one.alt, "caption": one.caption}
            for one in pictures
        ]
        self._spent += sum(len(item["uri"]) for item in items)
        return items

    def _add(self, kind: str, **block: Any) -> Self:
        self._sections[-1].blocks.append({"kind": kind, **block})
        return self


def format_value(value: object) -> str:
    """Return a cell's text.

    Numbers from 0.1 have three decimals (one from 100), smaller ones three significant digits;
    thousands are separated. What is missing or not finite is a dash.
    """
    if value is None or (isinstance(value, Real) and not math.isfinite(value)):
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):  # numpy's numbers are registered as these, too
        return f"{int(value):,}"
    if not isinstance(value, Real):
        return str(value)
    value = float(value)
    size = abs(value)
    if size and (size < 0.1 or size >= 1e9):
        return f"{value:.3g}"
    return f"{value:,.1f}" if size >= 100 else f"{value:.3f}"


def _share(count: int, total: int) -> float:
    return round(count / total, 4) if total else 0.0


def _is_numeric(column: Sequence[object]) -> bool:
    numbers = [isinstance(cell, Number) and not isinstance(cell, bool) for cell in column]
    empty = [cell is None for cell in column]
    return any(numbers) and all(a or b for a, b in zip(numbers, empty, strict=True))


def _grouped(blocks: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Put consecutive figures into one group: they share rows."""
    groups: list[list[dict[str, Any]]] = []
    for block in blocks:
        if groups and block["kind"] == "figure" == groups[-1][0]["kind"]:
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n\n") if part.strip()]
