"""Copies are exact: the box that moves with the image still holds the object's pixels."""

import hashlib
import io
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from components.augment.augment import augment
from components.augment.config import AugmentSection
from components.augment.transform import Copy, copy_seed, make_copy
from components.shared import parallel
from components.shared.errors import UserError
from components.shared.shards import ShardWriter, iter_images
from components.shared.table import TableInfo, iter_rows, read_info, write_rows

NOTHING: dict[str, Any] = {"horizontal_flip": 0, "brightness": 0, "contrast": 0, "saturation": 0}
BOX = (0.125, 0.25, 0.5, 0.625)  # 8..32 by 12..30 pixels of 64 x 48: symmetric in no direction
CORNER = (0.0, 0.0, 0.1, 0.15)
SIDES = ("xmin", "ymin", "xmax", "ymax")


def scene() -> torch.Tensor:
    """A white object, exactly filling BOX, on black."""
    image = torch.zeros(3, 48, 64, dtype=torch.uint8)
    image[:, 12:30, 8:32] = 255
    return image


def copy(seed: int = 0, boxes: tuple[tuple[float, ...], ...] = (BOX,), **settings: Any) -> Copy:
    section = AugmentSection(copies=1, **{**NOTHING, "contrast": 1e-9, **settings})
    return make_copy(scene(), torch.tensor(boxes), section, seed)


def white(image: torch.Tensor, box: torch.Tensor) -> tuple[float, float]:
    """The share of white pixels inside a box, and outside of it."""
    height, width = image.shape[-2:]
    left, top, right, bottom = (
        round(float(v) * s) for v, s in zip(box, (width, height, width, height), strict=True)
    )
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    on = image[0] > 127
    return float(on[mask].float().mean()), float(on[~mask].float().mean())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"horizontal_flip": 1}, (0.5, 0.25, 0.875, 0.625)),
        ({"vertical_flip": 1}, (0.125, 0.375, 0.5, 0.75)),
        ({"horizontal_flip": 1, "vertical_flip": 1}, (0.5, 0.375, 0.875, 0.75)),
        ({}, BOX),
    ],
)
def test_a_flip_mirrors_the_box_and_keeps_its_sides_in_order(
    settings: dict[str, Any], expected: tuple[float, ...]
) -> None:
    made = copy(**settings)
    np.testing.assert_allclose(made.boxes[0].numpy(), expected, atol=1e-9)
    assert white(made.image, made.boxes[0]) == (1.0, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_object_is_under_its_box_whatever_was_drawn(seed: int) -> None:
    made = copy(seed, horizontal_flip=0.5, vertical_flip=0.5, min_crop=0.5, brightness=0.3)
    assert len(made.boxes) == 1
    assert (made.boxes[:, 2:] > made.boxes[:, :2]).all()
    inside, outside = white(made.image, made.boxes[0])
    assert inside > 0.9
    assert outside < 0.05


def test_a_box_that_is_hardly_visible_is_dropped_and_the_others_keep_their_labels() -> None:
    kept = {tuple(copy(seed, (CORNER, BOX), min_crop=0.6).kept.tolist()) for seed in range(30)}
    assert (1,) in kept
    assert (0, 1) in kept


def test_a_box_stays_while_enough_of_it_is_visible() -> None:
    """Of a box around the whole image, a crop shows its own share of the area."""
    shares = {}
    for seed in range(40):
        made = copy(seed, ((0.0, 0.0, 1.0, 1.0), BOX), min_crop=0.6, min_visible=0.6)
        share = made.image.shape[-1] * made.image.shape[-2] / (64 * 48)
        shares[share] = 0 in made.kept
    assert all(kept == (share >= 0.6) for share, kept in shares.items())
    assert set(shares.values()) == {False, True}


def test_a_box_that_rounds_to_nothing_where_it_moves_is_dropped() -> None:
    """Float32 tells 1e-9 from 3e-9, but not 1 - 3e-9 from 1 - 1e-9."""
    made = copy(boxes=((1e-9, 0.25, 3e-9, 0.5), BOX), horizontal_flip=1)
    assert made.boxes.dtype == torch.float32
    assert made.kept.tolist() == [1]


def test_a_copy_never_loses_all_its_boxes() -> None:
    for seed in range(30):
        assert len(copy(seed, (CORNER,), min_crop=0.5).boxes) == 1


def test_a_copy_depends_on_seed_image_and_number_alone() -> None:
    seeds = {copy_seed(s, i, n) for s in (0, 1) for i in ("a", "b") for n in (1, 2)}
    assert len(seeds) == 8
    torch.manual_seed(1)
    first = copy(copy_seed(0, "a", 1), horizontal_flip=0.5, brightness=0.5)
    torch.manual_seed(2)
    second = copy(copy_seed(0, "a", 1), horizontal_flip=0.5, brightness=0.5)
    assert torch.equal(first.image, second.image)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Six drawn images, a PNG among them: four to train, one each to validate and to test."""
    rows = []
    with ShardWriter(tmp_path / "images") as shards:
        for number, split in enumerate(("train", "train", "val", "test", "train", "train")):
            pixels = scene().permute(1, 2, 0).numpy().copy()
            pixels[0, 0] = number
            buffer = io.BytesIO()
            name = "png" if number == 1 else "jpeg"
            Image.fromarray(pixels).save(buffer, name.upper(), quality=95)
            shards.add(f"i{number}", buffer.getvalue())
            boxes = [
                {"label": label, **dict(zip(SIDES, box, strict=True))}
                for label, box in enumerate((CORNER, BOX))
            ]
            rows.append(
                {
                    "image_id": f"i{number}",
                    "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
                    "width": 64,
                    "height": 48,
                    "format": name,
                    "group": f"g{number}",
                    "split": split,
                    "boxes": boxes,
                    "source": f"i{number}.{name}",
                    "attributes": {"camera": "x"},
                }
            )
    write_rows(tmp_path / "table", rows, TableInfo("detect", ("a", "b")))
    return tmp_path


def table_rows(folder: Path) -> list[dict[str, Any]]:
    return list(iter_rows(folder / "table"))


def run(folder: Path, name: str = "out", **settings: Any) -> tuple[Path, Path]:
    section = AugmentSection(**settings)
    images, table = folder / f"{name}-images", folder / f"{name}-table"
    augment(section, "detect", 0, folder / "images", folder / "table", images, table)
    return images, table


def test_only_training_images_are_copied_and_nothing_is_lost(dataset: Path) -> None:
    images, table = run(dataset, copies=2)
    rows = list(iter_rows(table))
    assert rows[:6] == list(iter_rows(dataset / "table"))
    copies = rows[6:]
    assert [r["image_id"] for r in copies] == [f"i{n}#aug{k}" for n in (0, 1, 4, 5) for k in (1, 2)]
    assert {r["split"] for r in copies} == {"train"}
    assert [r["group"] for r in copies[:2]] == ["g0", "g0"]
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
    images, table = run(dataset, copies=8, min_crop=0.6)
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
    one = run(dataset, "one", copies=2, min_crop=0.6, workers=1)
    two = run(dataset, "two", copies=2, min_crop=0.6, workers=2)
    assert list(iter_images(one[0])) == list(iter_images(two[0]))
    assert one[1].read_bytes() == two[1].read_bytes()


def test_copies_do_not_depend_on_what_else_is_copied(dataset: Path) -> None:
    images, _ = run(dataset, "all", copies=2, min_crop=0.6)
    rows = [{**r, "split": "val"} if r["image_id"] == "i0" else r for r in table_rows(dataset)]
    write_rows(dataset / "table", rows, TableInfo("detect", ("a", "b")))
    fewer, _ = run(dataset, "fewer", copies=1, min_crop=0.6)
    every = dict(iter_images(images))
    assert {name: every[name] for name in ("i1#aug1", "i4#aug1", "i5#aug1")} == dict(
        iter_images(fewer)
    )


def test_without_copies_the_table_stays_as_it_is(dataset: Path) -> None:
    images, table = run(dataset)
    assert list(images.iterdir()) == []
    assert table.read_bytes() == (dataset / "table").read_bytes()


def test_counting_refuses_crops(dataset: Path) -> None:
    section = AugmentSection(copies=1, min_crop=0.9)
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


def test_copies_that_would_not_differ_are_refused() -> None:
    with pytest.raises(ValidationError, match="no operation that would change them"):
        AugmentSection(copies=1, **NOTHING)


@pytest.fixture
def cells(shared_data: Path, tmp_path: Path) -> Path:
    """Twenty real photographs of blood cells, all to train, with their boxes."""
    root = shared_data / "bccd" / "BCCD"
    rows = []
    with ShardWriter(tmp_path / "images") as shards:
        for path in sorted((root / "JPEGImages").glob("*.jpg"))[:20]:
            data = path.read_bytes()
            shards.add(path.stem, data)
            rows.append(
                {
                    "image_id": path.stem,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "width": 640,
                    "height": 480,
                    "format": "jpeg",
                    "group": path.stem,
                    "split": "train",
                    "boxes": voc_boxes(root / "Annotations" / f"{path.stem}.xml"),
                    "source": path.name,
                }
            )
    write_rows(tmp_path / "table", rows, TableInfo("detect", ("cell",)))
    return tmp_path


def voc_boxes(path: Path) -> list[dict[str, float]]:
    boxes = []
    for found in ET.parse(path).getroot().iter("bndbox"):  # noqa: S314 - our own test data
        pixels = [float(found.findtext(side, "0")) for side in SIDES]
        box = dict(zip(SIDES, np.divide(pixels, (640, 480, 640, 480)).tolist(), strict=True))
        if box["xmin"] < box["xmax"] and box["ymin"] < box["ymax"]:
            boxes.append({"label": 0, **box})
    return boxes


def pixels_under(data: bytes, box: dict[str, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        edges = [round(box[s] * (width, height)[n % 2]) for n, s in enumerate(SIDES)]
        return np.asarray(picture.convert("RGB").crop(edges), dtype=np.float64)  # type: ignore[arg-type]


def test_a_mirrored_cell_is_under_its_mirrored_box(cells: Path) -> None:
    images, table = run(cells, copies=1, **{**NOTHING, "horizontal_flip": 1})
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
    images, table = run(cells, copies=3, vertical_flip=0.5, min_crop=0.4, min_visible=0.3)
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
