"""The report page."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from components.shared import report as report_module
from components.shared.report import Key, Picture, PictureSet, Report, Tile
from components.shared.report.report import format_value

VOID = {"meta", "img", "br", "link"}


class _Page(HTMLParser):
    """Collects what the tests ask about; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.loaded: list[str] = []
        self.headings: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.attributes.append((tag, named))
        if tag not in VOID:
            self.open.append(tag)
        if named.get("id"):
            self.ids.append(str(named["id"]))
        for key, value in attrs:
            self.references += re.findall(r"url\(#([^)]+)\)", value or "")
            if key in ("href", "xlink:href", "src", "srcset", "data"):
                target = value or ""
                (self.references if target[:1] == "#" else self.loaded).append(target.lstrip("#"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def _figure() -> Figure:
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1, 2], [1, 3, 2], marker="o", label="a & b")
    axes.fill_between([0, 1, 2], [0, 1, 1])
    axes.set_xlabel("epochs <of> training")
    axes.grid(visible=True)
    axes.legend()
    return figure


def _picture(edge: int = 64) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (edge, edge, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def report() -> Report:
    return (
        Report("Title", "Subtitle")
        .banner("Passed", ["one", "two"], "good")
        .tiles([Tile("Accuracy", 0.5), Tile("Images", 1234, "of them", "bad")])
        .section("Plots", "First paragraph.\n\nSecond paragraph.")
        .figure(_figure(), "a line", "caption one")
        .figure(_figure(), "the same line")
        .section("Numbers")
        .table(["name", "value"], [("a", 0.25), ("b", None)], "a table")
        .note("mind this", "bad")
        .gallery([Picture(_picture(), "noise", "00001")])
    )


def test_page_is_well_formed_and_reads_from_top_to_bottom(report: Report) -> None:
    page = _Page(report.html())
    assert page.open == []
    assert page.headings == ["Title", "Plots", "Numbers"]
    text = report.html()
    order = ["Passed", "Accuracy", "Second paragraph.", "caption one", "a table", "mind this"]
    positions = [text.index(part, text.index("<body>")) for part in order]
    assert positions == sorted(positions)


def test_page_loads_nothing(report: Report) -> None:
    page = _Page(report.html())
    assert [target[:22] for target in page.loaded] == ["data:image/webp;base64"]
    tags = {tag for tag, _ in page.attributes}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base"}
    assert "http" not in report.html()
    assert "@import" not in report.html()


def test_ids_are_unique_and_every_reference_has_one(report: Report) -> None:
    page = _Page(report.html())
    assert len(page.ids) == len(set(page.ids))
    assert page.references
    assert set(page.references) <= set(page.ids)


def test_pictures_and_plots_speak_to_those_who_cannot_see(report: Report) -> None:
    page = _Page(report.html())
    images = [named for tag, named in page.attributes if tag == "img"]
    assert [named["alt"] for named in images] == ["noise"]
    plots = [named["aria-label"] for _, named in page.attributes if named.get("role") == "img"]
    assert plots == ["a line", "the same line"]


def test_plots_are_text_in_the_colours_of_the_page(report: Report) -> None:
    text = report.html()
    svg = text[text.index("<svg") : text.index("</svg>")]
    assert "epochs &lt;of&gt; training" in svg
    assert "var(--series-1)" in svg
    assert "var(--grid)" in svg
    assert not re.findall(r"(?:fill|stroke): ?#(?:000000|ffffff|1f77b4)", svg)


def test_text_is_escaped() -> None:
    nasty = "<script>alert(1)</script>&\"'"
    html = (
        Report(nasty, nasty)
        .banner(nasty, [nasty])
        .tiles([Tile(nasty, nasty, nasty)])
        .section(nasty, nasty)
        .figure(_figure(), nasty, nasty)
        .table([nasty], [[nasty]], nasty)
        .note(nasty)
        .heading(nasty, nasty)
        .legend([Key(nasty, "#112233")])
        .cross_table(nasty, [nasty], [nasty], [[1]], nasty)
        .gallery([Picture(_picture(), nasty, nasty)])
        .picture_sets([PictureSet(nasty, nasty, [Picture(_picture(), nasty, nasty)])])
        .html()
    )
    assert "<script" not in html
    assert _Page(html).open == []


@pytest.mark.slow
def test_two_hundred_photos_stay_under_five_megabytes() -> None:
    # Blurred noise compresses about as badly as a photograph full of texture.
    photo = _picture(160).resize((600, 600), Image.Resampling.BICUBIC)
    report = Report("Galleries")
    for pictures in (24, 150, 24):
        report.gallery(Picture(photo, "noise") for _ in range(pictures))
    assert len(report.html()) < 5_000_000


def test_empty_tables_and_galleries_say_so() -> None:
    html = Report("Empty").table(["a", "b"], []).gallery([]).html()
    assert html.count("Nothing to show.") == 2


def test_rows_must_have_as_many_cells_as_headers() -> None:
    with pytest.raises(ValueError, match="needs 2 cells"):
        Report("Wrong").table(["a", "b"], [("only one",)])


def test_a_cross_table_has_shares_of_its_columns_and_sums() -> None:
    html = Report("Cross").cross_table("Class", ["cat", "dog"], ["train", "test"], [[3, 0], [1, 4]])
    table = html.html().split("<tbody>")[1]
    cells = re.findall(r'--share: ([\d.]+)">([\d,]+)', table)
    assert cells == [
        ("0.75", "3"), ("0.0", "0"), ("0.375", "3"),
        ("0.25", "1"), ("1.0", "4"), ("0.625", "5"),
    ]  # fmt: skip
    assert re.findall(r'<td class="number">(\d+)', table) == ["4", "4", "8"]


def test_shares_of_a_cross_table_may_refer_to_something_else() -> None:
    # Of four images, three show a cat and three a dog: some show both.
    report = Report("Cross").cross_table("Class", ["cat", "dog"], ["all"], [[3], [3]], totals=[4])
    table = report.html().split("<tbody>")[1]
    assert re.findall(r"--share: ([\d.]+)", table) == ["0.75", "0.75"]
    assert re.findall(r'<td class="number">(\d+)', table) == ["4"]


def test_an_empty_cross_table_says_so() -> None:
    assert "Nothing to show." in Report("Cross").cross_table("Class", [], ["a", "b"], []).html()


@pytest.mark.parametrize("counts", [[[1, 2]], [[1], [2]], []])
def test_counts_must_fit_the_names(counts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="needs 2 rows of 2 counts"):
        Report("Cross").cross_table("", ["a", "b"], ["c", "d"], counts)


def test_contents_lead_to_every_section(report: Report) -> None:
    assert "<nav" not in report.html()
    titled = Report("Title", contents=True).note("top").section("One").note("a").section("Two")
    page = _Page(titled.html())
    links = [str(named["href"]) for tag, named in page.attributes if tag == "a"]
    assert len(links) == 2
    assert {link.lstrip("#") for link in links} <= set(page.ids)


def test_picture_sets_and_legends_are_shown_in_order() -> None:
    pictures = [Picture(_picture(), name) for name in "abc"]
    sets = [PictureSet("first", "why", pictures[:2]), PictureSet("second", "", pictures[2:])]
    keys = [Key("cat", "#112233"), Key("dog", "#445566", dashed=True)]
    html = Report("Sets").heading("All", "of them").legend(keys).picture_sets(sets).html()
    page = _Page(html)
    assert page.open == []
    alts = [named["alt"] for tag, named in page.attributes if tag == "img"]
    assert alts == ["a", "b", "c"]
    order = ["All", "of them", "cat", "dog", "first", "why", "second"]
    body = html[html.index("<main>") :]
    positions = [
        body.index(f">{one}<") if one not in ("cat", "dog") else body.index(f"</span>{one}")
        for one in order
    ]
    assert positions == sorted(positions)


def test_columns_of_numbers_are_set_to_the_right() -> None:
    html = Report("Numbers").table(["a", "b", "c"], [(1, 0.5, "x"), (2, None, "3")]).html()
    cells = [cell[cell.index("<td") : cell.index("</td>")] for cell in html.split("<tr>")[2:]
             for cell in [cell, cell[cell.index("</td>") + 5 :]]]  # fmt: skip
    assert ["number" in cell for cell in cells] == [True, False, True, False]


def test_same_content_gives_the_same_bytes() -> None:
    pages = {Report("Same").figure(_figure(), "plot").html() for _ in range(2)}
    assert len(pages) == 1


def test_write_makes_folders_and_leaves_nothing_else(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "deep" / "report.html")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]
    assert (tmp_path / "deep" / "report.html").read_text("utf-8") == report.html()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91249, "0.912"),
        (0.0, "0.000"),
        (0.0092, "0.0092"),
        (-0.5, "-0.500"),
        (12.3456, "12.346"),
        (1234.56, "1,234.6"),
        (2.5e10, "2.5e+10"),
        (1234567, "1,234,567"),
        (np.float64(0.25), "0.250"),
        (np.int64(1200), "1,200"),
        (np.float32(0.25), "0.250"),
        (True, "yes"),
        (None, "\N{EN DASH}"),
        (float("nan"), "\N{EN DASH}"),
        ("00042", "00042"),
    ],
)
def test_format_value(value: object, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ("text", "page"), ("text", "surface"), ("muted", "page"), ("muted", "surface"),
        ("good", "good-soft"), ("bad", "bad-soft"), ("accent", "info-soft"), ("text", "bad-soft"),
        ("text", "good-soft"), ("text", "info-soft"), ("good", "surface"), ("bad", "surface"),
    ],
)  # fmt: skip
def test_text_has_contrast(scheme: str, ink: str, paper: str) -> None:
    """WCAG 2.2, success criterion 1.4.3 (AA): at least 4.5 to 1."""
    style = (Path(report_module.__file__).parent / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark")
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    lighter, darker = sorted((_luminance(colors[ink]), _luminance(colors[paper])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def _luminance(color: str) -> float:
    """Relative luminance as WCAG defines it."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
