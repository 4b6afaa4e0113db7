"""The counts that real datasets in their upstream formats must give."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import UserError


def _splits(ingested: Any) -> Counter[str]:
    return Counter(row["attributes"]["upstream_split"] for row in ingested.rows.values())


def test_open_images_airplanes(shared_data: Path, run: Any) -> None:
    got = run(
        "detect", format="openimages", uri=str(shared_data / "openimages-airplanes"),
        classes=["Airplane"], group_of=True,
    )  # fmt: skip
    assert got.info.classes == ("Airplane",)
    # One validation image has a single box, of zero height.
    assert _splits(got) == {"train": 562, "validation": 186}
    boxes = {
        split: Counter(
            len(row["boxes"])
            for row in got.rows.values()
            if row["attributes"]["upstream_split"] == split
        )
        for split in ("train", "validation")
    }
    assert boxes["train"] == {1: 450, 2: 37, 3: 41, 4: 34}
    assert boxes["validation"] == {1: 149, 2: 13, 3: 16, 4: 8}
    missing = Counter(
        path.split("/")[0] for path, why in got.rejected.items() if "without image" in why
    )
    assert missing == {"train": 44, "validation": 51}
    others = [why for why in got.rejected.values() if "without image" not in why]
    assert sorted(why[:25] for why in others) == [
        "box set aside: it has no ",
        "none of its boxes can be ",
    ]


def test_open_images_prints_what_it_left_out(
    shared_data: Path, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run("detect", format="openimages", uri=str(shared_data / "openimages-airplanes"),
        classes=["Airplane"])  # fmt: skip
    printed = capsys.readouterr().out
    assert "305 boxes of other classes" in printed  # 156 in train, 149 in validation
    assert "group-of boxes" in printed


def test_bins(shared_data: Path, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    got = run("count", format="bins", uri=str(shared_data / "aft-vbi-pds"), max_count=5)
    counts = Counter(row["count"] for row in got.rows.values())
    assert counts == {0: 29, 1: 154, 2: 303, 3: 341, 4: 317, 5: 262}
    assert "694 images above max_count" in capsys.readouterr().out
    assert got.rejected == {}


def test_bins_note_where_quantities_differ(
    shared_data: Path, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    got = run("count", format="bins", uri=str(shared_data / "aft-vbi-pds"))
    noted = {name for name, row in got.rows.items() if "quantity_sum" in row["attributes"]}
    assert noted == {"01405", "01406", "02081", "02082"}
    assert "4 images whose items do not sum to EXPECTED_QUANTITY" in capsys.readouterr().out
    assert len(got.rows) == 2100


def test_cifar(shared_data: Path, run: Any) -> None:
    got = run(
        "classify", format="cifar", uri=str(shared_data / "cifar-100-python.tar.gz"),
        classes=["motorcycle", "bicycle"],
    )  # fmt: skip
    assert got.info.classes == ("motorcycle", "bicycle")
    balance = Counter(
        (row["attributes"]["upstream_split"], row["label"]) for row in got.rows.values()
    )
    assert balance == {("train", 0): 500, ("train", 1): 500, ("test", 0): 100, ("test", 1): 100}
    assert {(row["width"], row["height"], row["format"]) for row in got.rows.values()} == {
        (32, 32, "png")
    }


def test_dogs_in_a_zip(shared_data: Path, run: Any) -> None:
    got = run("classify", format="folders", uri=str(shared_data / "dogImages.zip"))
    assert _splits(got) == {"train": 336, "valid": 72, "test": 72}
    assert len(got.info.classes) == 12
    assert "train/001.Bloodhound/Bloodhound_00000" in got.rows


def test_blood_cells(shared_data: Path, run: Any) -> None:
    got = run("detect", format="voc", uri=str(shared_data / "bccd"))
    assert _splits(got) == {"train": 205, "val": 87, "test": 72}
    labels = Counter(
        got.info.classes[box["label"]] for row in got.rows.values() for box in row["boxes"]
    )
    assert labels == {"RBC": 4155 - 2, "WBC": 372, "Platelets": 361}
    assert list(got.rejected) == [
        "BCCD/Annotations/BloodImage_00338.xml#object13",
        "BCCD/Annotations/BloodImage_00343.xml#object4",
    ]
    assert all("no area" in why for why in got.rejected.values())


def test_blood_cells_counted(shared_data: Path, run: Any) -> None:
    got = run("count", format="voc", uri=str(shared_data / "bccd"), classes=["WBC"])
    assert sum(row["count"] for row in got.rows.values()) == 372
    assert got.info.classes == ()


def test_every_flawed_file_is_used_or_listed(shared_data: Path, run: Any, tmp_path: Path) -> None:
    source = tmp_path / "mixed"
    shutil.copytree(shared_data / "bccd" / "BCCD", source)
    for given, folder in (("images", "JPEGImages"), ("annotations", "Annotations")):
        (source / folder).chmod(0o755)
        for file in (shared_data / "flawed" / given).iterdir():
            (source / folder / file.name).unlink(missing_ok=True)
            shutil.copyfile(file, source / folder / file.name)
    got = run("detect", format="voc", uri=str(source))

    used = {row["source"] for row in got.rows.values()}
    used |= {row["attributes"]["annotation"] for row in got.rows.values()}
    listed = " ".join([*got.rejected, *got.rejected.values()])
    for folder in ("JPEGImages", "Annotations"):
        for file in (source / folder).iterdir():
            name = f"{folder}/{file.name}"
            assert (name in used) != (name in listed.replace(f"{name}#", "")), name
    assert "truncated" in got.rejected["JPEGImages/00090.jpg"]
    assert "without Annotations" in got.rejected["JPEGImages/imageNotFound.gif"]
    # Boxes of an annotation that states 0 by 0 are shares of the decoded image.
    apple = got.rows["apple_79"]
    assert apple["attributes"]["annotated_size"] == "none"
    assert (apple["width"], apple["height"]) == (720, 720)
    assert apple["boxes"][0]["xmax"] == pytest.approx(641 / 720)
    assert got.rows["raccoon-150"]["format"] == "jpeg"  # grayscale
    assert len(got.rows) == 364 + 6  # two of the ten replaced their own copies


def test_a_misspelt_class_names_the_nearest(shared_data: Path, run: Any) -> None:
    with pytest.raises(UserError, match=r"'airplan' \(did you mean 'Airplane'\?\)"):
        run("detect", format="openimages", uri=str(shared_data / "openimages-airplanes"),
            classes=["airplan"])  # fmt: skip
