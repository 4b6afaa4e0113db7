"""Ingest in parts gives what ingest in one task gives, byte for byte."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from components.ingest.config import IngestSection
from components.ingest.ingest import ingest
from components.ingest.parts import Plan, merge, plan, read_part
from components.shared import shards, table
from components.shared.errors import UserError

NAMES = ("images", "table", "rejected")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def in_one(section: IngestSection, task: Any, folder: Path) -> dict[str, str]:
    ingest(section, task, 0, *(folder / name for name in NAMES))
    return digests(folder)


def in_parts(section: IngestSection, task: Any, parts: int, folder: Path) -> dict[str, str]:
    scratch = folder.with_name(f"{folder.name}-scratch")
    plan(section, task, 0, parts, scratch / "plan")
    pieces = [scratch / f"piece-{part}" for part in range(parts)]
    for part, piece in enumerate(pieces):
        read_part(section, task, scratch / "plan", part, piece)
    merge(section, task, scratch / "plan", pieces, *(folder / name for name in NAMES))
    return digests(folder)


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables and shards of a few images have several row groups and files."""
    monkeypatch.setattr(table, "ROW_GROUP", 7)
    monkeypatch.setattr(shards, "_GROUP_BYTES", 4_000)
    monkeypatch.setattr(shards.ShardWriter.__init__, "__defaults__", ("images", 20_000))


@pytest.fixture
def bins(write: Any, picture: Any, bin_json: Any) -> str:
    """Bins of which some are broken, repeated, contradictory, or above the count."""
    files = {}
    for index in range(40):
        name = f"{index:05d}"
        files[f"bin-images/{name}.jpg"] = picture(seed=index)
        files[f"metadata/{name}.json"] = bin_json(index % 6, index % 6)
    files["bin-images/00003.jpg"] = b"broken"
    files["metadata/00005.json"] = "{}"
    files["bin-images/00031.jpg"] = files["bin-images/00001.jpg"]  # count 1, as the first
    files["bin-images/00032.jpg"] = files["bin-images/00004.jpg"]  # count 2 instead of 4
    files["metadata/00007.json"] = bin_json(1, 3)
    return str(write(files))


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_merge_to_the_same_bytes(
    parts: int, bins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = IngestSection(format="bins", uri=bins, max_count=4, workers=1)
    alone = in_one(section, "count", tmp_path / "one")
    printed = capsys.readouterr().out
    assert in_parts(section, "count", parts, tmp_path / "parts") == alone
    assert capsys.readouterr().out.endswith(printed)
    assert len([name for name in alone if name.startswith("images/")]) > 1
    assert "1 images whose items do not sum to EXPECTED_QUANTITY" in printed


def test_parts_of_a_subset(bins: str, tmp_path: Path) -> None:
    section = IngestSection(format="bins", uri=bins, limit=11, workers=1)
    alone = in_one(section, "count", tmp_path / "one")
    assert in_parts(section, "count", 2, tmp_path / "parts") == alone


def test_more_parts_than_images(tmp_path: Path) -> None:
    section = IngestSection.model_validate({"synthetic": {"images": 3, "size": 32}, "workers": 1})
    alone = in_one(section, "detect", tmp_path / "one")
    assert in_parts(section, "detect", 5, tmp_path / "parts") == alone
    assert Plan.read(tmp_path / "parts-scratch" / "plan").totals == (0, 1, 0, 1, 1)


def test_records_with_pixels_of_their_own_travel_in_the_plan(
    shared_data: Path, tmp_path: Path
) -> None:
    uri = str(shared_data / "cifar-100-python.tar.gz")
    section = IngestSection(format="cifar", uri=uri, limit=30, workers=1)
    alone = in_one(section, "classify", tmp_path / "one")
    assert in_parts(section, "classify", 2, tmp_path / "parts") == alone


def test_real_boxes(shared_data: Path, tmp_path: Path) -> None:
    section = IngestSection(format="voc", uri=str(shared_data / "bccd"), workers=1)
    alone = in_one(section, "detect", tmp_path / "one")
    assert in_parts(section, "detect", 3, tmp_path / "parts") == alone


def test_a_part_done_again_is_the_same(bins: str, tmp_path: Path) -> None:
    section = IngestSection(format="bins", uri=bins, workers=1)
    plan(section, "count", 0, 2, tmp_path / "plan")
    piece = tmp_path / "piece"
    read_part(section, "count", tmp_path / "plan", 1, piece)
    first = digests(piece)
    (piece / "images" / "images-00009.parquet").write_bytes(b"left by an attempt that broke off")
    read_part(section, "count", tmp_path / "plan", 1, piece)
    assert digests(piece) == first


def test_parts_without_a_usable_image(
    write: Callable[..., Path], bin_json: Any, tmp_path: Path
) -> None:
    uri = str(write({"bin-images/1.jpg": b"broken", "metadata/1.json": bin_json(1, 1)}))
    section = IngestSection(format="bins", uri=uri, workers=1)
    with pytest.raises(UserError, match=r"no image can be used.*bin-images/1.jpg: not an image"):
        in_parts(section, "count", 2, tmp_path / "parts")


def test_an_archive_that_has_changed_since_the_plan_is_refused(
    tmp_path: Path, picture: Any
) -> None:
    archive = tmp_path / "animals.zip"

    def zipped(seed: int) -> None:
        with ZipFile(archive, "w") as file:
            for number, name in enumerate(("cat", "dog")):
                file.writestr(f"{name}/a.jpg", picture(seed=seed + number))

    zipped(seed=1)
    section = IngestSection(format="folders", uri=str(archive), workers=1)
    plan(section, "classify", 0, 2, tmp_path / "plan")
    read_part(section, "classify", tmp_path / "plan", 0, tmp_path / "piece-0")
    zipped(seed=5)
    with pytest.raises(UserError, match=r"animals\.zip: has changed since the parts were planned"):
        read_part(section, "classify", tmp_path / "plan", 1, tmp_path / "piece-1")


@pytest.mark.usefixtures("small_groups")
def test_parts_picture_the_same_rejected_images(
    tmp_path: Path, write: Any, picture: Any, voc_xml: Any
) -> None:
    fine, empty = ("cat", 1, 1, 20, 15), ("cat", 9, 9, 9, 9)
    files: dict[str, bytes | str] = {}
    # More than are pictured, with names whose order depends on whether a suffix follows.
    for number in range(30):
        name = f"a-{number}" if number else "a"
        files[f"JPEGImages/{name}.jpg"] = picture(seed=number)
        files[f"Annotations/{name}.xml"] = voc_xml((40, 30), fine if number % 3 == 2 else empty)
    section = IngestSection(format="voc", uri=str(write(files)), workers=1)
    alone = in_one(section, "detect", tmp_path / "one")
    assert in_parts(section, "detect", 4, tmp_path / "parts") == alone
    rejected = list(table.iter_rejected(tmp_path / "one" / "rejected"))
    whole = [one for one in rejected if one.path.startswith("JPEGImages")]
    assert [one.thumbnail is not None for one in whole] == [True] * 8 + [False] * 12
