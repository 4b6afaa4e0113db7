"""Which images are copied, and what is written for them."""

import hashlib
import io
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.augment.augment import augment
from components.augment.config import AugmentSection
from components.augment.counts import Change
from components.shared import parallel
from components.shared.augmentation.config import OFF
from components.shared.errors import UserError
from components.shared.shards import ShardWriter, iter_images
from components.shared.table import TableInfo, iter_rows, read_info, write_rows
from components.shared.task import Task
from tests.components.augment.conftest import SIDES, Write, encoded

_FLIPPED: dict[str, Any] = {**OFF, "horizontal_flip": 1}


def table_rows(folder: Path) -> list[dict[str, Any]]:
    return list(iter_rows(folder / "table"))


def run(folder: Path, name: str = "out", **settings: Any) -> tuple[Path, Path]:
    images, table = folder / f"{name}-images", folder / f"{name}-table"
    changed(folder, "detect", name, **settings)
    return images, table


def changed(folder: Path, task: Task, name: str = "out", **settings: Any) -> Change:
    images, table = folder / f"{name}-images", folder / f"{name}-table"
    section = AugmentSection(**settings)
    return augment(section, task, 0, folder / "images", folder / "table", images, table)


def test_only_training_images_are_copied_and_nothing_is_lost(dataset: Path) -> None:
    images, table = run(dataset, copies=2)
    rows = list(iter_rows(table))
    assert rows[:6] == list(iter_rows(dataset / "table"))
    copies = rows[6:]
    assert [r["image_id"] for r in copies] == [f"i{n}#aug{k}" for n in (0, 1, 4, 5) for k in (1, 2)]
    assert {r["split"] for r in copies} == {"train"}
    assert [r["group"] for r in copies[:2]] == ["g-i0", "g-i0"]
    assert copies[0]["attributes"] == {"camera": "x", "augmented_from": "i0"}
    assert read_info(table) == read_info(dataset / "table")
    found = dict(iter_images(images))
    assert set(found) == {r["image_id"] for r in copies}
    for row in copies:
        assert hashlib.sha256(found[row["image_id"]]).hexdigest() == row["sha256"]
        picture = Image.open(io.BytesIO(found[row["image_id"]]))
        assert picture.size == (row["width"], row["height"])
        assert (picture.format or "").lower() == row["format"]


def test_boxes_keep_their_labels_when_others_are_cropped_away(dataset: Path) -> None:
    """Label 0 is on the black background, label 1 is the white object."""
    images, table = run(dataset, copies=8, crop_scale=0.4)
    found = dict(iter_images(images))
    seen = set()
    for row in iter_rows(table):
        if row["image_id"] not in found:
            continue
        for box in row["boxes"]:
            bright = pixels_under(found[row["image_id"]], box).mean() > 100
            assert bright == (box["label"] == 1)
        seen.add(tuple(box["label"] for box in row["boxes"]))
    assert (1,) in seen, "no copy has lost the other box"


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_processes(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "PATIENCE_S", 0)  # processes from the second chunk on
    monkeypatch.setattr(parallel, "CHUNK_ITEMS", 1)
    settings: dict[str, Any] = {
        "copies": 2,
        "crop_scale": 0.4,
        "rotate": 10,
        "noise": 0.1,
        "mosaic": 0.5,
    }
    one = run(dataset, "one", **settings, workers=1)
    two = run(dataset, "two", **settings, workers=2)
    assert list(iter_images(one[0])) == list(iter_images(two[0]))
    assert one[1].read_bytes() == two[1].read_bytes()


def test_copies_do_not_depend_on_what_else_is_copied(dataset: Path) -> None:
    images, _ = run(dataset, "all", copies=2, crop_scale=0.4)
    rows = [{**r, "split": "val"} if r["image_id"] == "i0" else r for r in table_rows(dataset)]
    write_rows(dataset / "table", rows, TableInfo("detect", ("a", "b")))
    fewer, _ = run(dataset, "fewer", copies=1, crop_scale=0.4)
    every = dict(iter_images(images))
    assert {name: every[name] for name in ("i1#aug1", "i4#aug1", "i5#aug1")} == dict(
        iter_images(fewer)
    )


def test_without_copies_the_table_stays_as_it_is(dataset: Path) -> None:
    images, table = run(dataset)
    assert list(images.iterdir()) == []
    assert table.read_bytes() == (dataset / "table").read_bytes()


def test_counting_refuses_crops(dataset: Path) -> None:
    section = AugmentSection(copies=1, crop_scale=0.9)
    with pytest.raises(UserError, match="remove an item"):
        augment(section, "count", 0, *[dataset / name for name in ("images", "table", "a", "b")])


def test_a_training_image_without_bytes_is_named(dataset: Path) -> None:
    for shard in (dataset / "images").iterdir():
        shard.unlink()
    with pytest.raises(
        UserError, match=r"4 training images are in no shard, e\.g\. i0, i1, i4, i5"
    ):
        run(dataset, copies=1)
    assert not (dataset / "out-table").exists()


def test_a_training_image_twice_in_the_shards_is_named(dataset: Path) -> None:
    shard = next((dataset / "images").iterdir())
    shutil.copyfile(shard, shard.with_name("other.parquet"))
    with pytest.raises(UserError, match="'i0': twice in the shards"):
        run(dataset, copies=1)


def test_an_interrupted_runs_shards_do_not_stay(dataset: Path) -> None:
    (dataset / "out-images").mkdir()
    shutil.copy(next((dataset / "images").iterdir()), dataset / "out-images" / "old.parquet")
    images, _ = run(dataset, copies=1)
    assert {name for name, _ in iter_images(images)} == {f"i{n}#aug1" for n in (0, 1, 4, 5)}


def pixels_under(data: bytes, box: dict[str, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        edges = [round(box[s] * (width, height)[n % 2]) for n, s in enumerate(SIDES)]
        return np.asarray(picture.convert("RGB").crop(edges), dtype=np.float64)  # type: ignore[arg-type]


def test_a_mirrored_cell_is_under_its_mirrored_box(cells: Path) -> None:
    images, table = run(cells, copies=1, **_FLIPPED)
    data = {**dict(iter_images(cells / "images")), **dict(iter_images(images))}
    rows = {row["image_id"]: row for row in iter_rows(table)}
    boxes = 0
    for name in list(dict(iter_images(images))):
        copied, original = rows[name], rows[name.removesuffix("#aug1")]
        for box, before in zip(copied["boxes"], original["boxes"], strict=True):
            found = pixels_under(data[name], box)
            wanted = pixels_under(data[original["image_id"]], before)[:, ::-1]
            assert np.abs(found - wanted).mean() < 3, "only JPEG's loss may differ"
            boxes += 1
    assert boxes > 200


def test_every_copy_of_a_real_photograph_keeps_the_tables_promises(cells: Path) -> None:
    images, table = run(
        cells,
        copies=3,
        vertical_flip=0.5,
        crop_scale=0.2,
        rotate=20,
        translate=0.1,
        erasing=0.5,
        mosaic=0.3,
    )
    found = dict(iter_images(images))
    copies = [row for row in iter_rows(table) if row["image_id"] in found]
    assert len(copies) == len(found) == 60
    assert len({row["sha256"] for row in copies}) == 60
    for row in copies:
        with Image.open(io.BytesIO(found[row["image_id"]])) as picture:
            assert picture.size == (row["width"], row["height"])
        assert row["boxes"]
        for box in row["boxes"]:
            assert 0 <= box["xmin"] < box["xmax"] <= 1
            assert 0 <= box["ymin"] < box["ymax"] <= 1


def test_a_mosaic_says_which_images_it_shows(dataset: Path) -> None:
    images, table = run(dataset, copies=4, mosaic=0.5)
    found = dict(iter_images(images))
    copies = [row for row in iter_rows(table) if row["image_id"] in found]
    mosaics = [row for row in copies if "mosaic_with" in row["attributes"]]
    assert 0 < len(mosaics) < len(copies)
    for row in copies:
        others = row["attributes"].get("mosaic_with", "").split()
        assert set(others) <= {"i0", "i1", "i4", "i5"}, "never validation or test images"
        assert len(row["boxes"]) == 2 * (1 + len(others))
        for box in row["boxes"]:
            bright = pixels_under(found[row["image_id"]], box).mean() > 100
            assert bright == (box["label"] == 1)


def test_the_order_of_the_rows_and_shards_does_not_matter(dataset: Path) -> None:
    """Which images complete a mosaic is chosen by seed and id."""
    settings: dict[str, Any] = {"copies": 2, "mosaic": 0.6, "rotate": 10}
    first, _ = run(dataset, "first", **settings)
    stored = list(iter_images(dataset / "images"))
    shutil.rmtree(dataset / "images")
    with ShardWriter(dataset / "images") as shards:
        for name, data in reversed(stored):
            shards.add(name, data)
    write_rows(dataset / "table", table_rows(dataset)[::-1], TableInfo("detect", ("a", "b")))
    second, _ = run(dataset, "second", **settings)
    assert dict(iter_images(first)) == dict(iter_images(second))


def test_images_and_boxes_are_counted_before_and_after(dataset: Path) -> None:
    found = changed(dataset, "detect", copies=3)
    assert (found.originals.images, found.originals.boxes) == (4, 8)
    assert found.originals.images_of == found.originals.boxes_of == Counter({0: 4, 1: 4})
    assert (found.copies.images, found.copies.boxes) == (12, 24)
    assert found.copies.boxes_of == Counter({0: 12, 1: 12})
    without = changed(dataset, "detect")
    assert without.originals == found.originals
    assert (without.copies.images, without.copies.boxes) == (0, 0)


@pytest.mark.parametrize(("task", "key"), [("classify", "label"), ("count", "count")])
def test_classes_and_counts_are_counted_too(write_dataset: Write, task: Task, key: str) -> None:
    values = [0, 1, 1, 3]
    rows = [
        (encoded(n), {"image_id": f"i{n}", "split": "train" if n else "val", key: value})
        for n, value in enumerate(values)
    ]
    folder = write_dataset(TableInfo(task, ("a", "b", "c", "d") if key == "label" else ()), rows)
    found = changed(folder, task, copies=2)
    assert found.originals.images_of == Counter({1: 2, 3: 1})
    assert found.copies.images_of == Counter({1: 4, 3: 2})
    copies = [row for row in iter_rows(folder / "out-table") if "#aug" in row["image_id"]]
    assert {row["image_id"][:2]: row[key] for row in copies} == {"i1": 1, "i2": 1, "i3": 3}
    assert {row["boxes"] for row in copies} == {None}


@pytest.mark.parametrize("name", ["png", "bmp", "gif", "jpeg"])
def test_copies_are_lossless_where_originals_are(write_dataset: Write, name: str) -> None:
    """A flip alone gives the same pixels, mirrored; only a JPEG may lose some."""
    data = encoded(5, name)
    folder = write_dataset(
        TableInfo("classify", ("a",)), [(data, {"image_id": "i", "split": "train", "label": 0})]
    )
    images, table = run_flipped(folder)
    row = list(iter_rows(table))[-1]
    assert row["format"] == ("jpeg" if name == "jpeg" else "png")
    copied = dict(iter_images(images))["i#aug1"]
    with Image.open(io.BytesIO(copied)) as after, Image.open(io.BytesIO(data)) as before:
        assert (after.format or "").lower() == row["format"]
        difference = np.abs(pixels(after)[:, ::-1] - pixels(before))
    assert difference.max() == 0 if name != "jpeg" else difference.mean() < 3


def run_flipped(folder: Path) -> tuple[Path, Path]:
    changed(folder, "classify", copies=1, **_FLIPPED)
    return folder / "out-images", folder / "out-table"


def pixels(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def test_an_image_that_does_not_decode_is_named(write_dataset: Write) -> None:
    data = encoded(0)
    images = [(data[:-60], {"image_id": "half", "split": "train", "label": 0})]
    folder = write_dataset(TableInfo("classify", ("a",)), images)
    with pytest.raises(UserError, match=r"image 'half': .*; run ingest again"):
        changed(folder, "classify", copies=1)
    assert not (folder / "out-table").exists()
