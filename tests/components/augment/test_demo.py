"""The demo sheet shows real pictures with their boxes, and true counts."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.augment import versions
from components.augment.augment import augment
from components.augment.config import AugmentSection
from components.augment.demo import write_demo
from components.augment.originals import Originals
from components.augment.rows import decode
from components.augment.versions import offline_versions, training_versions
from components.shared.errors import UserError
from components.shared.shards import iter_images
from components.shared.table import TableInfo
from components.shared.task import Task
from components.shared.training.config import TrainSection
from tests.components.augment.conftest import Write, encoded

SOME = {"rotate": 10, "blur": 0.02, "erasing": 0.3, "mosaic": 0.5, "crop_scale": 0.6}


def sheet(
    folder: Path, task: Task, train: dict[str, Any] | None, **settings: Any
) -> tuple[str, list[str]]:
    """Run the step; return the page, and the captions of its pictures, which all decode."""
    section = AugmentSection(**settings)
    inputs = folder / "images", folder / "table"
    change = augment(section, task, 0, *inputs, folder / "new-images", folder / "new-table")
    trained = None if train is None else TrainSection.from_json(json.dumps(train))
    write_demo(section, trained, task, 0, *inputs, change, folder / "demo.html")
    page = (folder / "demo.html").read_text("utf-8")
    pictures = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)
    for picture in pictures:
        Image.open(io.BytesIO(base64.b64decode(picture))).load()
    captions = re.findall(r"<figcaption>([^<]*)</figcaption>", page)
    assert len(captions) == len(pictures)
    return page, captions


def test_the_sheet_shows_copies_and_what_training_sees(dataset: Path) -> None:
    train = {"image_size": 48, "augment": {"vertical_flip": 0.5, "noise": 0.1, "mosaic": 0.2}}
    page, captions = sheet(dataset, "detect", train, copies=2, samples=2, **SOME)
    operations = [caption.split(" · ")[0] for caption in captions]
    offline = ["original", "horizontal_flip", "rotate", "crop_scale", "brightness", "contrast"]
    offline += ["saturation", "blur", "erasing", "mosaic", "copy 1 of 2", "copy 2 of 2"]
    online = ["as read", "horizontal_flip", "vertical_flip", "noise", "mosaic"]
    online += [f"all together, draw {number}" for number in (1, 2, 3)]
    assert operations == offline * 2 + online * 2
    assert 'src="http' not in page
    assert "<script" not in page
    assert len(page) < 5_000_000


def test_the_sheet_counts_before_and_after(dataset: Path) -> None:
    page, _ = sheet(dataset, "detect", None, copies=3)
    text = re.sub(r"<[^>]*>|\s+", " ", page)
    row = r"{} +4 +16 +4 +16"
    assert re.search(row.format("a"), text)
    assert re.search(row.format("b"), text)
    assert re.search(r"Boxes before +8", text)
    assert re.search(r"Boxes after +32", text)


def test_without_copies_or_training_it_says_so(dataset: Path) -> None:
    page, captions = sheet(dataset, "detect", None)
    assert "No copies are stored" in page
    assert captions == []
    off = {"image_size": 32, "augment": {"horizontal_flip": 0}}
    page, captions = sheet(dataset, "detect", off)
    assert "Every operation is off" in page
    assert {caption.split(" · ")[0] for caption in captions} == {"as read"}


@pytest.mark.parametrize(("task", "key"), [("classify", "label"), ("count", "count")])
def test_classes_and_counts_are_shown(write_dataset: Write, task: Task, key: str) -> None:
    classes = ("cat", "dog") if task == "classify" else ()
    images = [(encoded(n), {"image_id": f"i{n}", "split": "train", key: 1}) for n in range(3)]
    folder = write_dataset(TableInfo(task, classes), images)
    train = {"image_size": 32, "augment": {"mixup": 0.4, "jpeg_quality": 30}}
    _, captions = sheet(folder, task, train, copies=1, hue=0.1)
    name = "dog" if task == "classify" else "1"
    assert all(f"({name})" in caption for caption in captions)
    operations = [caption.split(" · ")[0] for caption in captions]
    assert operations.count("mixup") == 3
    assert operations.count("hue") == 3


def test_training_settings_that_do_not_suit_the_task_are_refused(write_dataset: Write) -> None:
    images = [(encoded(0), {"image_id": "i", "split": "train", "count": 1})]
    folder = write_dataset(TableInfo("count", ()), images)
    with pytest.raises(UserError, match=r"train\.augment\.erasing is 0\.5"):
        sheet(folder, "count", {"augment": {"erasing": 0.5}})


def test_the_copies_on_the_sheet_are_those_that_are_stored(dataset: Path) -> None:
    section = AugmentSection(copies=2, **SOME)
    inputs = dataset / "images", dataset / "table"
    augment(section, "detect", 7, *inputs, dataset / "new-images", dataset / "new-table")
    stored = dict(iter_images(dataset / "new-images"))
    originals = Originals(dataset / "table")
    samples = originals.sample(dataset / "images", 4, 7, "demo")
    pool = originals.sample(dataset / "images", 128, 7, "mosaic")
    for (row, _), shown in zip(
        samples, offline_versions(samples, section, "detect", 7, pool), strict=True
    ):
        for number, version in enumerate(shown[-2:], 1):
            data = stored[f"{row['image_id']}#aug{number}"]
            again = decode({**row, "boxes": None}, data).image
            difference = (again.float() - version.example.image.float()).abs().mean()
            assert difference < 3, "but for JPEG's loss"


def test_the_strongest_of_several_draws_is_shown(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = Originals(dataset / "table")
    samples = originals.sample(dataset / "images", 4, 0, "demo")
    train = TrainSection.from_json('{"image_size": 48, "augment": {"noise": 0.5}}')

    def changes() -> list[float]:
        shown = training_versions(samples, train, "detect", 0)
        noisy = [{one.operation: one.example.image.float() for one in many} for many in shown]
        return [float((one["noise"] - one["as read"]).abs().mean()) for one in noisy]

    of_four = changes()
    monkeypatch.setattr(versions, "DRAWS", 1)
    first = changes()
    assert all(strong >= one for strong, one in zip(of_four, first, strict=True))
    assert sum(of_four) > sum(first)


def test_the_sheet_is_the_same_for_the_same_seed(dataset: Path) -> None:
    train = {"image_size": 32, "augment": {"rotate": 10}}
    first, _ = sheet(dataset, "detect", train, copies=1, **SOME)
    second, _ = sheet(dataset, "detect", train, copies=1, **SOME)
    assert first == second
