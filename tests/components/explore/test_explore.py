"""The explore step: a page for every task that shows what is in the table, and opens anywhere."""

import io
import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from defusedxml import ElementTree
from PIL import Image

from components.explore.config import ExploreSection
from components.explore.explore import explore
from components.shared.errors import UserError
from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, read_info, write_rejected, write_rows

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]

LEFT = {"label": 0, "xmin": 0.0, "ymin": 0.0, "xmax": 0.5, "ymax": 0.25}
RIGHT = {"label": 1, "xmin": 0.5, "ymin": 0.5, "xmax": 1.0, "ymax": 1.0}


class Page(HTMLParser):
    """The text of a page by section, and its pictures' descriptions."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {"": ""}
        self.pictures: list[str] = []
        self._tag = ""
        self._section = ""
        self.html = html
        self.feed(html)
        self.sections = {name: " ".join(text.split()) for name, text in self.sections.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        named = dict(attrs)
        if tag == "img":
            self.pictures.append(named.get("alt") or "")
        self.sections[self._section] += f" {named.get('aria-label') or ''} "

    def handle_data(self, data: str) -> None:
        if self._tag == "h2" and data.strip():
            self._section = data
            self.sections[data] = ""
        if self._tag != "style":
            self.sections[self._section] += f" {data} "


def run(paths: Any, seed: int = 0, **settings: Any) -> Page:
    section = ExploreSection(**settings)
    task = read_info(paths.table).task
    explore(section, task, seed, paths.images, paths.table, paths.rejected, paths.report)
    return Page(paths.report.read_text())


def test_a_page_of_detection_shows_classes_boxes_and_pairs(row: Row, write_data: WriteData) -> None:
    rows = [row(i, boxes=[LEFT, RIGHT][: i % 3], width=40 + i) for i in range(12)]
    page = run(write_data(rows, "detect", ("cat", "dog", "owl")))
    names = ["Random images", "Classes", "Boxes an image", "Boxes", "Image sizes"]
    assert [name for name in page.sections if name in names] == names
    assert "1 class has no image: owl." in page.sections[""]
    assert "Boxes 12 1.00 an image" in page.sections[""]
    assert "Classes that occur together" in page.sections["Classes"]
    assert "No box" in page.sections["Boxes an image"]
    assert "Heat map of the centres of 12 boxes" in page.sections["Boxes"]
    assert "0004: 1 box" in page.pictures


def test_a_page_of_counting_shows_the_distribution_and_examples_of_each_count(
    row: Row, write_data: WriteData
) -> None:
    page = run(write_data([row(i, count=i % 4) for i in range(12)], "count"))
    counts = page.sections["Counts"]
    assert "mean 1.5, std 1.118, min 0, 25 % 0, median 1, 75 % 2, max 3" in counts
    for heading in ("0 objects: 3 images", "1 object: 3 images", "3 objects: 3 images"):
        assert heading in counts
    assert "All images have 40 x 30 pixels" in page.sections["Image sizes"]
    assert "Classes" not in page.sections


def test_a_page_of_classification_shows_examples_of_each_class(
    row: Row, write_data: WriteData
) -> None:
    rows = [row(i, label=int(i > 8)) for i in range(12)]
    page = run(write_data(rows, "classify", ("cat", "dog")), per_class=2, samples=1)
    assert "cat: 9 images" in page.sections["Classes"]
    assert "dog: 3 images" in page.sections["Classes"]
    dogs = [alt for alt in page.pictures if alt.endswith(": dog")]
    assert len(dogs) >= 2
    assert "Counts" not in page.sections


def test_splits_are_compared_and_found_apart(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=i % 2, split="train" if i < 80 else "test") for i in range(120)]
    page = run(write_data(rows, "classify", ("cat", "dog")))
    assert "No two splits share identical images or groups" in page.sections[""]
    compared = page.sections["Split comparison"]
    assert "Identical bytes 120 0 none is shared" in compared
    assert "Shares of the classes no difference found" in compared
    # The pictures' gray grows with their number, so the later split is brighter.
    assert "Brightness they differ" in compared
    assert "The splits differ in brightness (effect 1.00)" in page.sections[""]


def test_what_splits_share_is_the_headline_and_is_named(row: Row, write_data: WriteData) -> None:
    rows = [row(i, label=0, split="train" if i < 6 else "test") for i in range(10)]
    rows[2]["group"] = rows[7]["group"] = "the same bin"
    rows[3]["sha256"] = rows[4]["sha256"] = rows[5]["sha256"] = rows[8]["sha256"]
    page = run(write_data(rows, "classify", ("cat",)))
    assert "Splits share identical bytes and groups" in page.sections[""]
    compared = page.sections["Split comparison"]
    assert "Groups 9 1 must be 0" in compared
    assert "0002 (train), 0007 (test)" in compared
    assert "0003 (train), 0004 (train), 0008 (test)" in compared


def test_a_table_without_splits_is_compared_by_those_of_its_source(
    row: Row, write_data: WriteData
) -> None:
    rows = [
        row(i, label=0, attributes={"upstream_split": "train" if i < 6 else "valid"})
        for i in range(10)
    ]
    rows[3]["sha256"] = rows[8]["sha256"]
    page = run(write_data(rows, "classify", ("cat",)))
    assert "before they are split" in page.sections[""]
    assert "the split step keeps them together" in page.sections[""]
    assert "Identical bytes 9 1 shared" in page.sections["Split comparison"]


def test_near_duplicates_are_shown_the_largest_set_first(row: Row, write_data: WriteData) -> None:
    rows = [row(i, count=1, split="train") for i in range(10)]
    for i in (1, 2):
        rows[i]["attributes"] = {"near_duplicates": "0001"}
    for i in (4, 5, 6):
        rows[i]["attributes"] = {"near_duplicates": "0004"}
    rows[6]["count"] = 2
    page = run(write_data(rows, "count"), samples=1, per_class=1)
    alike = page.sections["Near-duplicates"]
    assert "Near-duplicates: 5 images in 2 sets" in alike
    assert alike.index("3 images They have different counts.") < alike.index("2 images")
    assert "5 images (50.0%) are near-duplicates, in 2 sets." in page.sections[""]
    first = ["0004: 1 object", "0005: 1 object", "0006: 2 objects"]
    shown = [*first, "0001: 1 object", "0002: 1 object"]
    assert shown in [page.pictures[start : start + 5] for start in range(len(page.pictures))]


def test_without_marks_sets_of_equal_bytes_are_shown(row: Row, write_data: WriteData) -> None:
    rows = [row(i, count=1) for i in range(5)]
    rows[1]["sha256"] = rows[3]["sha256"]
    alike = run(write_data(rows, "count")).sections["Near-duplicates"]
    assert "Near-duplicates are not marked in this table" in alike
    assert "The largest sets 2 images" in alike


def test_what_was_set_aside_is_counted_by_kind_of_reason(row: Row, write_data: WriteData) -> None:
    rejected = [(f"{i}.jpg", f"annotation without image data/{i}.jpg") for i in range(7)]
    rejected += [("x.xml#object3", "box set aside: it has no area (1, 2, 1, 5)")]
    rows = [row(i, boxes=[LEFT]) for i in range(3)]
    rows[1]["attributes"] = {"annotation": "x.xml"}
    page = run(write_data(rows, "detect", ("cat", "dog"), rejected))
    aside = page.sections["Set aside"]
    assert "annotation without image \N{HORIZONTAL ELLIPSIS} 7 0.jpg" in aside
    assert "box set aside: it has no area 1" in aside
    # The image is used without that box, so it can be shown.
    assert any("it has no area" in alt and "0001" in alt for alt in page.pictures)


def test_pictures_of_rejected_files_are_shown_where_the_table_has_them(
    row: Row, write_data: WriteData
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(buffer, "JPEG")
    rejected = [("a.jpg", "cut", buffer.getvalue()), ("b.jpg", "cut", b"not a picture")]
    pictures = run(write_data([row(0, count=1)], "count", (), rejected)).pictures
    assert [alt for alt in pictures if "cut" in alt] == ["a.jpg\ncut"]


def test_sources_and_mended_images_are_counted(row: Row, write_data: WriteData) -> None:
    rows = [
        row(i, label=0, source=f"{'north' if i < 7 else 'south'}/day/{i}.png", split="train")
        for i in range(10)
    ]
    rows[0]["attributes"] = {"boxes_clipped": "2", "upstream_split": "train"}
    sources = run(write_data(rows, "classify", ("cat",))).sections["Sources"]
    assert "north 7 70.0 %" in sources
    assert "south 3 30.0 %" in sources
    assert "boxes_clipped 1" in sources


def test_the_page_needs_nothing_else_and_is_light(row: Row, write_data: WriteData) -> None:
    classes = tuple(f"{i:03d}.Breed" for i in range(133))
    rows = [row(i, label=i % 133) for i in range(399)]
    page = run(write_data(rows, "classify", classes), samples=200, classes=40, per_class=3)
    assert not re.search(r"(src|href)=\"(https?:)?//", page.html)
    assert "<script" not in page.html
    assert len(page.html) < 5_000_000
    assert "40 of 133 classes" in page.sections["Classes"]
    assert all(page.pictures)


def test_an_empty_table_still_gives_a_page(write_data: WriteData) -> None:
    for task in ("classify", "count", "detect"):
        page = run(write_data([], task, ("cat",), [("a.jpg", "cannot be decoded: cut off")]))
        assert "No picture could be drawn" in page.sections["Random images"]


def test_pictures_that_do_not_decode_or_are_missing_are_said(
    row: Row, write_data: WriteData
) -> None:
    rows = [row(i, count=1) for i in range(5)]
    paths = write_data(rows, "count")
    write_rows(paths.table, [*rows, row(7, count=1)], TableInfo("count", ()))
    page = run(paths)
    assert "1 sampled image could not be read from the shards." in page.sections[""]


def test_a_file_that_is_no_image_table_is_an_error(write_data: WriteData) -> None:
    paths = write_data([], "count")
    pq.write_table(pa.table({"a": [1]}), paths.table)
    with pytest.raises(UserError, match="not an image table"):
        explore(
            ExploreSection(), "count", 0, paths.images, paths.table, paths.rejected, paths.report
        )


def test_the_same_seed_gives_the_same_page_in_any_row_order_and_number_of_processes(
    row: Row, write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.shared.parallel.PATIENCE_S", 0)
    rows = [row(i, count=i % 4) for i in range(90)]
    paths = write_data(rows, "count")

    def page(order: Iterable[dict[str, Any]], seed: int, workers: int) -> str:
        write_rows(paths.table, order, TableInfo("count", ()))
        return run(paths, seed, workers=workers).html

    first = page(rows, 3, 1)
    assert first == page(reversed(rows), 3, 2)
    assert first != page(rows, 4, 1)


def test_real_boxes_are_counted_and_drawn(shared_data: Path, tmp_path: Path) -> None:
    """Blood cells, straight from their Pascal VOC files."""
    classes = ("RBC", "WBC", "Platelets")
    files = sorted((shared_data / "bccd/BCCD/Annotations").glob("*.xml"))[:40]
    rows = []
    with ShardWriter(tmp_path / "images") as writer:
        for path in files:
            image_path = path.parents[1] / "JPEGImages" / f"{path.stem}.jpg"
            writer.add(path.stem, image_path.read_bytes())
            rows.append(_voc_row(ElementTree.parse(path), path.stem, classes))
    write_rows(tmp_path / "table", rows, TableInfo("detect", classes))
    write_rejected(tmp_path / "rejected", [])
    explore(
        ExploreSection(samples=6, per_class=2), "detect", 0,
        tmp_path / "images", tmp_path / "table", tmp_path / "rejected", tmp_path / "page.html",
    )  # fmt: skip
    page = Page((tmp_path / "page.html").read_text())
    boxes = sum(len(row["boxes"]) for row in rows)
    assert f"Boxes {boxes} {boxes / 40:.2f} an image" in page.sections[""]
    assert len([alt for alt in page.pictures if alt.startswith("BloodImage")]) >= 12


def _voc_row(tree: Any, name: str, classes: tuple[str, ...]) -> dict[str, Any]:
    width, height = (int(tree.findtext(f"size/{side}")) for side in ("width", "height"))
    boxes = []
    for found in tree.iterfind("object"):
        sides = [int(found.findtext(f"bndbox/{one}")) for one in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = sides
        boxes.append(
            {
                "label": classes.index(found.findtext("name")),
                "xmin": left / width, "ymin": top / height,
                "xmax": right / width, "ymax": bottom / height,
            }
        )  # fmt: skip
    return {
        "image_id": name, "sha256": name, "width": width, "height": height, "format": "jpeg",
        "group": name, "split": None, "label": None, "count": None, "boxes": boxes,
        "source": f"{name}.jpg", "attributes": {},
    }  # fmt: skip
