"""What each format reads, beyond the real datasets: variants, and faults in annotations."""

import io
import json
import pickle
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.ingest.formats.annotations import AnnotationError
from components.ingest.formats.cifar import load_pickle
from components.ingest.formats.voc import parse_annotation
from components.shared.errors import UserError

# Open Images

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"


def _row(image: str, label: str, *sides: float | str, group: int = 0) -> str:
    return f"{image},xclick,{label},1,{','.join(map(str, sides))},0,0,{group}"


@pytest.fixture
def open_images(write: Any, picture: Any) -> Any:
    """Write an Open Images split of the rows given."""

    def make(*rows: str, images: str = "abc") -> str:
        files = {f"train/data/{name}.jpg": picture() for name in images}
        files["train/labels/detections.csv"] = "\n".join([HEADER, *rows])
        files["train/metadata/classes.csv"] = "/m/1,Cat\n/m/2,Guide dog\n"
        return str(write(files))

    return make


def test_open_images_rows(open_images: Any, run: Any) -> None:
    uri = open_images(
        _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6),
        _row("a", "/m/2", 0.5, 0.1, 0.2, 0.6),
        _row("b", "/m/9", 0.1, 0.5, 0.2, 0.6),
        _row("c", "/m/1", "left", 0.5, 0.2, 0.6),
        "c,too,few",
    )
    got = run("detect", format="openimages", uri=uri)
    assert got.info.classes == ("Cat", "Guide dog")
    (row,) = got.rows.values()
    assert row["image_id"] == "train/a"
    assert [box["label"] for box in row["boxes"]] == [0, 1]
    assert row["boxes"][1]["xmin"] == pytest.approx(0.1)
    assert row["attributes"]["boxes_swapped"] == "1"
    assert {path: why.split(";")[0] for path, why in got.rejected.items()} == {
        "train/labels/detections.csv#row4": (
            "box set aside: /m/9 is not in train/metadata/classes.csv"
        ),
        "train/labels/detections.csv#row5": (
            "box set aside: corners are ['left', '0.2', '0.5', '0.6']"
        ),
        "train/labels/detections.csv#row6": "has 3 columns of 11",
        "train/data/b.jpg": "none of its boxes can be used",
        "train/data/c.jpg": "none of its boxes can be used",
    }


@pytest.mark.parametrize(
    ("group_of", "used"), [(False, {"train/b"}), (True, {"train/a", "train/b"})]
)
def test_open_images_group_of_boxes(
    group_of: bool, used: set[str], open_images: Any, run: Any
) -> None:
    uri = open_images(
        _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6, group=1), _row("b", "/m/1", 0.1, 0.5, 0.2, 0.6),
        images="ab",
    )  # fmt: skip
    got = run("detect", format="openimages", uri=uri, group_of=group_of)
    assert set(got.rows) == used
    assert got.rejected == {}


def test_an_image_tells_of_group_of_boxes_left_out(
    open_images: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Objects that have no box of their own are there: a detector may find them."""
    uri = open_images(
        _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6, group=1), _row("a", "/m/1", 0.6, 0.7, 0.2, 0.6),
        images="a",
    )  # fmt: skip
    got = run("detect", format="openimages", uri=uri)
    assert got.rows["train/a"]["attributes"] == {"upstream_split": "train", "group_of": "1"}
    assert len(got.rows["train/a"]["boxes"]) == 1
    printed = capsys.readouterr().out
    assert "left out on purpose: 1 group-of boxes" in printed
    assert "1 images have group-of or crowd boxes, which are left out" in printed


def test_open_images_class_without_a_name(write: Any, picture: Any, run: Any) -> None:
    files = {
        "train/labels/detections.csv": "\n".join(
            [HEADER, _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6), _row("a", "/m/2", 0.1, 0.5, 0.2, 0.6)]
        ),
        "train/metadata/classes.csv": "/m/1,Cat\n/m/2, \n",
        "train/data/a.jpg": picture(),
    }
    got = run("detect", format="openimages", uri=str(write(files)))
    assert got.info.classes == ("Cat",)
    assert "<label id>,<name> is expected" in got.rejected["train/metadata/classes.csv#row2"]
    assert "/m/2 is not in" in got.rejected["train/labels/detections.csv#row3"]


def test_images_without_a_box_are_kept_on_demand(open_images: Any, run: Any) -> None:
    rows = [_row("a", "/m/1", 0.1, 0.5, 0.2, 0.6), _row("b", "/m/2", 0.1, 0.5, 0.2, 0.6)]
    uri = open_images(*rows)
    dropped = run("detect", format="openimages", uri=uri, classes=["Cat"])
    assert set(dropped.rows) == {"train/a"}
    assert set(dropped.rejected) == {"train/data/c.jpg"}  # b is left out on purpose
    kept = run("detect", format="openimages", uri=uri, classes=["Cat"], keep_empty=True)
    assert {name: len(row["boxes"]) for name, row in kept.rows.items()} == {
        "train/a": 1, "train/b": 0, "train/c": 0
    }  # fmt: skip


def test_open_images_without_a_needed_column(write: Any, run: Any) -> None:
    files = {
        "train/labels/detections.csv": "ImageID,LabelName\n",
        "train/metadata/classes.csv": "/m/1,Cat\n",
    }
    with pytest.raises(UserError, match="no column IsGroupOf, XMin, YMin, XMax, YMax"):
        run("detect", format="openimages", uri=str(write(files)))


def test_boxes_classify_images_of_one_class_only(open_images: Any, run: Any) -> None:
    rows = [_row("a", "/m/2", 0.1, 0.5, 0.2, 0.6), _row("b", "/m/1", 0.1, 0.5, 0.2, 0.6)]
    got = run("classify", format="openimages", uri=open_images(*rows, images="ab"))
    assert {name: row["label"] for name, row in got.rows.items()} == {"train/a": 1, "train/b": 0}
    mixed = open_images(*rows, _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6), images="ab")
    with pytest.raises(UserError, match=r"train/data/a.jpg: has boxes of Cat and Guide dog"):
        run("classify", format="openimages", uri=mixed)


# Pascal VOC


def test_voc_faults(write: Any, picture: Any, voc_xml: Any, run: Any) -> None:
    cat = ("cat", 1, 1, 20, 15)
    files = {
        "JPEGImages/good.jpg": picture(),
        "Annotations/good.xml": voc_xml((40, 30), cat, ("", 1, 1, 2, 2), ("cat", "x", 1, 2, 2)),
        "JPEGImages/renamed.jpg": picture(),
        "Annotations/other.xml": voc_xml((40, 30), cat, filename="renamed.jpg"),
        "Annotations/lost.xml": voc_xml((40, 30), cat),
        "JPEGImages/broken.jpg": picture(),
        "Annotations/broken.xml": "<annotation><object>",
        "JPEGImages/attack.jpg": picture(),
        "Annotations/attack.xml": '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        "<annotation><filename>&e;</filename></annotation>",
        "JPEGImages/empty.jpg": picture(),
        "Annotations/empty.xml": voc_xml((40, 30)),
        "JPEGImages/twice.jpg": picture(),
        "JPEGImages/twice.png": picture("PNG"),
        "Annotations/twice.xml": voc_xml((40, 30), cat),
        "JPEGImages/turned.jpg": picture(),
        "Annotations/turned.xml": voc_xml((30, 40), cat),
        "ImageSets/Main/train.txt": "good\nghost\ntwice\n",
        "ImageSets/Main/val.txt": "good\n",
        "ImageSets/Main/cat_train.txt": "good  1\n",
    }
    got = run("detect", format="voc", uri=str(write(files)))
    assert set(got.rows) == {"good", "renamed", "twice"}
    assert got.rows["good"]["attributes"]["upstream_split"] == "train"
    reasons = {
        "Annotations/good.xml#object2": "no name",
        "Annotations/good.xml#object3": "four numbers are expected",
        "Annotations/lost.xml": "annotation without image JPEGImages/lost.jpg",
        "Annotations/broken.xml": "not XML",
        "JPEGImages/broken.jpg": "Annotations/broken.xml is set aside",
        "Annotations/attack.xml": "not XML that can be read",
        "JPEGImages/attack.jpg": "Annotations/attack.xml is set aside",
        "JPEGImages/empty.jpg": "without any box",
        "JPEGImages/twice.png": "second image",
        "JPEGImages/turned.jpg": "annotation is of a 30x40 image",
        "ImageSets/Main/train.txt#ghost": "no such image",
        "ImageSets/Main/val.txt#good": "listed twice; the image stays in train",
    }
    assert got.rejected.keys() == reasons.keys()
    for path, part in reasons.items():
        assert part in got.rejected[path]


def test_voc_in_an_encoding_that_does_not_exist() -> None:
    with pytest.raises(AnnotationError, match="ttf-16"):
        parse_annotation(b'<?xml version="1.0" encoding="ttf-16"?><annotation/>')


def test_several_voc_years_keep_their_ids_apart(
    write: Any, picture: Any, voc_xml: Any, run: Any
) -> None:
    files: dict[str, bytes | str] = {}
    for year in ("VOC2007", "VOC2012"):
        files[f"VOCdevkit/{year}/JPEGImages/000001.jpg"] = picture()
        files[f"VOCdevkit/{year}/Annotations/000001.xml"] = voc_xml((40, 30), ("cat", 1, 1, 9, 9))
    got = run("detect", format="voc", uri=str(write(files)))
    assert set(got.rows) == {"VOCdevkit/VOC2007/000001", "VOCdevkit/VOC2012/000001"}


def test_count_above_max_is_judged_on_boxes_that_hold(
    write: Any, picture: Any, voc_xml: Any, run: Any
) -> None:
    cat, flat = ("cat", 1, 1, 20, 15), ("cat", 5, 5, 5, 5)
    files = {
        "JPEGImages/one.jpg": picture(),
        "Annotations/one.xml": voc_xml((40, 30), cat, flat),
        "JPEGImages/two.jpg": picture(),
        "Annotations/two.xml": voc_xml((40, 30), cat, ("cat", 1, 1, 20, 16)),
    }
    got = run("count", format="voc", uri=str(write(files)), max_count=1)
    assert {name: row["count"] for name, row in got.rows.items()} == {"one": 1}
    assert got.rows["one"]["boxes"] is None
    assert "JPEGImages/two.jpg" not in got.rejected


# COCO


def _coco(images: list[Any], annotations: list[Any]) -> str:
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def test_coco(write: Any, picture: Any, run: Any) -> None:
    size = {"width": 40, "height": 30}
    images = [
        {"id": 1, "file_name": "one.jpg", **size},
        {"id": 2, "file_name": "gone.jpg", **size},
        {"id": 3, "file_name": "one.jpg", **size},
        {"id": 1, "file_name": "again.jpg", **size},
        {"file_name": "no-id.jpg"},
    ]
    annotations = [
        {"id": 10, "image_id": 1, "category_id": 7, "bbox": [10, 15, 20, 15]},
        {"id": 11, "image_id": 1, "category_id": 3, "bbox": [0, 0, 40, 0]},
        {"id": 12, "image_id": 1, "category_id": 5, "bbox": [0, 0, 40, 10]},
        {"id": 13, "image_id": 1, "category_id": 3, "bbox": [0, 0, 40]},
        {"id": 14, "image_id": 99, "category_id": 3, "bbox": [0, 0, 40, 10]},
        {"id": 15, "image_id": 1, "category_id": 3, "bbox": [0, 0, 40, 10], "iscrowd": 1},
        {"id": 16, "image_id": 3, "category_id": 3, "bbox": [0, 0, 40, 10]},
    ]
    json_path = "annotations/instances_val2017.json"
    got = run("detect", format="coco", uri=str(write({
        json_path: _coco(images, annotations),
        "annotations/captions_val2017.json": "{}",
        "val2017/one.jpg": picture(),
        "val2017/unlisted.jpg": picture(),
    })))  # fmt: skip
    assert got.info.classes == ("cat", "dog")
    (row,) = got.rows.values()
    assert (row["image_id"], row["source"]) == ("val2017/one", "val2017/one.jpg")
    assert row["boxes"] == [{"label": 1, "xmin": 0.25, "ymin": 0.5, "xmax": 0.75, "ymax": 1.0}]
    assert row["attributes"] == {
        "listed_in": json_path, "upstream_split": "val2017", "group_of": "1"
    }  # fmt: skip
    reasons = {
        f"{json_path}#image 2": "0 boxes without image gone.jpg",
        f"{json_path}#image 1": "listed twice",
        f"{json_path}#images[4]": "no id or file_name",
        f"{json_path}#annotation 11": "no area",
        f"{json_path}#annotation 12": "category 5 is not in categories",
        f"{json_path}#annotation 13": "bbox is [0, 0, 40]",
        f"{json_path}#annotation 14": "annotation without image 99",
        "val2017/one.jpg": "listed twice",
        "val2017/unlisted.jpg": "no annotation of format 'coco' is about this image",
    }
    assert got.rejected.keys() == reasons.keys()
    for path, part in reasons.items():
        assert part in got.rejected[path]


def test_coco_beside_the_images(write: Any, picture: Any, run: Any) -> None:
    """The layout of exports with one folder a split, each with its own JSON."""
    files: dict[str, bytes | str] = {}
    for index, split in enumerate(["train", "valid"]):
        files[f"{split}/_annotations.coco.json"] = _coco(
            [{"id": 0, "file_name": "a.jpg"}],
            [{"id": 0, "image_id": 0, "category_id": 3, "bbox": [0, 0, 20, 15 * (index + 1)]}],
        )
        files[f"{split}/a.jpg"] = picture(seed=index)
    got = run("detect", format="coco", uri=str(write(files)))
    assert {name: row["boxes"][0]["ymax"] for name, row in got.rows.items()} == {
        "train/a": 0.5, "valid/a": 1.0
    }  # fmt: skip


def test_coco_faults_that_are_mended(write: Any, picture: Any, run: Any) -> None:
    box = {"image_id": 1, "category_id": 3}
    annotations = [
        {"id": 1, **box, "bbox": [30, 20, -20, -10]},  # inverted
        {"id": 2, **box, "bbox": [20, 10, 50, 50]},  # out of range
        {"id": 3, **box, "bbox": [10, 10, 20, 10]},  # the first once more
        {"id": 4, **box, "bbox": [90, 90, 5, 5]},
        {"id": 5, "image_id": 1, "category_id": 9, "bbox": [0, 0, 5, 5]},
    ]
    text = json.loads(_coco([{"id": 1, "file_name": "a.jpg"}], annotations))
    text["categories"].append({"id": 9, "name": " "})
    uri = str(write({"a.json": json.dumps(text), "a.jpg": picture()}))
    got = run("detect", format="coco", uri=uri)
    assert [list(box.values())[1:] for box in got.rows["a"]["boxes"]] == [
        pytest.approx([0.25, 1 / 3, 0.75, 2 / 3]), pytest.approx([0.5, 1 / 3, 1, 1])
    ]  # fmt: skip
    assert got.rows["a"]["attributes"] == {
        "listed_in": "a.json", "annotated_size": "none",
        "boxes_swapped": "1", "boxes_clipped": "1", "boxes_repeated": "1",
    }  # fmt: skip
    assert got.rejected["a.json#annotation 4"].startswith("box set aside: it lies outside")
    assert "category 9 is not in categories" in got.rejected["a.json#annotation 5"]


def test_coco_that_breaks_off_is_not_used_in_part(write: Any, picture: Any, run: Any) -> None:
    image, box = {"id": 1, "file_name": "a.jpg"}, {"image_id": 1, "category_id": 3}
    whole = _coco([image], [{"id": 1, **box, "bbox": [0, 0, 9, 9]}])
    uri = str(write({"b.json": whole[:-30], "a.jpg": picture()}))
    with pytest.raises(UserError, match="no instances JSON"):
        run("detect", format="coco", uri=uri)
    both = str(write({"a.json": whole, "b.json": whole[:-30], "a.jpg": picture()}))
    got = run("detect", format="coco", uri=both)
    assert list(got.rows) == ["a"]
    assert list(got.rejected) == ["b.json"]
    assert got.rejected["b.json"].startswith("not JSON")


# Image folders


@pytest.mark.parametrize("wrapper", ["", "dataset/", "a/b/"])
@pytest.mark.parametrize("split", ["", "train/"])
def test_class_folders(wrapper: str, split: str, write: Any, picture: Any, run: Any) -> None:
    at = wrapper + split
    files = {
        f"{at}dog/x.jpg": picture(),
        f"{at}cat/x.jpg": picture(),
        f"{at}cat/x.png": picture("PNG"),
        f"{at}cat/deep/y.JPG": picture(),
        f"{at}cat/notes.txt": "not an image",
        f"{wrapper}stray.jpg": picture(),
    }
    got = run("classify", format="folders", uri=str(write(files)))
    assert got.info.classes == ("cat", "dog")
    assert {name: row["label"] for name, row in got.rows.items()} == {
        f"{split}cat/x": 0, f"{split}cat/x.png": 0, f"{split}cat/deep/y": 0, f"{split}dog/x": 1
    }  # fmt: skip
    assert set(got.rejected) == {f"{wrapper}stray.jpg"}
    splits = {row["attributes"].get("upstream_split") for row in got.rows.values()}
    assert splits == {split.rstrip("/") or None}


# CIFAR


def _cifar(path: Path, labels: list[int]) -> Path:
    rng = np.random.default_rng(0)
    split = {
        b"data": rng.integers(0, 256, (len(labels), 3072), np.uint8),
        b"fine_labels": labels,
        b"filenames": [b"minibike_s_%06d.png" % i for i in range(len(labels))],
    }
    members = {"meta": {b"fine_label_names": [b"bicycle", b"bus"]}, "train": split, "test": split}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_cifar_planes_become_pixels(tmp_path: Path, run: Any) -> None:
    got = run("classify", format="cifar", uri=str(_cifar(tmp_path / "c.tar.gz", [1, 0, 5])))
    assert {name: row["label"] for name, row in got.rows.items()} == {
        "test/00000": 1, "test/00001": 0, "train/00000": 1, "train/00001": 0
    }  # fmt: skip
    assert "label 5" in got.rejected["cifar-100-python/train#2"]
    planes = np.random.default_rng(0).integers(0, 256, (3, 3072), np.uint8)[0].reshape(3, 32, 32)
    pixels = np.asarray(Image.open(io.BytesIO(got.images()["train/00000"])))
    assert (pixels[5, 7] == planes[:, 5, 7]).all()


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must not run",)


def test_a_pickle_cannot_run_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"train: .*would load (builtins|__builtin__)\.print"):
        load_pickle(pickle.dumps({b"data": _Attack()}, protocol=2), "train")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_of_arrays_is_read(protocol: int) -> None:
    content = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "n": [1], "b": b"\xff", "e": b""}
    read = load_pickle(pickle.dumps(content, protocol=protocol), "p")
    assert (read["data"] == content["data"]).all()
    assert (read["n"], read["b"], read["e"]) == ([1], b"\xff", b"")


# Bins


@pytest.mark.parametrize("expected", [None, "3", -1, 2.0, True])
def test_bins_without_a_count(
    expected: Any, write: Any, picture: Any, bin_json: Any, run: Any
) -> None:
    files = {
        "bin-images/1.jpg": picture(), "metadata/1.json": bin_json(expected, 1),
        "bin-images/2.jpg": picture(), "metadata/2.json": bin_json(4, 1, "many"),
        "bin-images/3.jpg": picture(), "metadata/3.json": "no JSON",
    }  # fmt: skip
    got = run("count", format="bins", uri=str(write(files)))
    assert list(got.rows) == ["2"]
    assert got.rows["2"]["attributes"] == {"quantity_sum": "unreadable"}
    assert f"EXPECTED_QUANTITY is {expected!r}" in got.rejected["metadata/1.json"]
    assert "is set aside" in got.rejected["bin-images/1.jpg"]
    assert "not JSON" in got.rejected["metadata/3.json"]


# What no format reads


def test_no_image_vanishes_wherever_it_lies(
    write: Any, picture: Any, voc_xml: Any, bin_json: Any, run: Any
) -> None:
    labels = "\n".join([HEADER, _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6)])
    sources: dict[tuple[str, str], dict[str, bytes | str]] = {
        ("detect", "openimages"): {
            "train/labels/detections.csv": labels, "train/metadata/classes.csv": "/m/1,Cat\n",
            "train/data/a.jpg": picture(),
            # Of the other split only the images have come so far.
            "test/data/lost.jpg": picture(), "train/data/night/lost.jpg": picture(),
        },
        ("detect", "voc"): {
            "JPEGImages/a.jpg": picture(), "JPEGImages/night/lost.jpg": picture(),
            "Annotations/a.xml": voc_xml((40, 30), ("cat", 1, 1, 20, 15)), "lost.png": picture(),
        },
        ("count", "bins"): {
            "bin-images/1.jpg": picture(), "metadata/1.json": bin_json(1, 1),
            "bin-images/x/lost.jpg": picture(),
        },
    }  # fmt: skip
    for (task, kind), files in sources.items():
        got = run(task, format=kind, uri=str(write(files)))
        lost = {name for name in files if PurePosixPath(name).stem == "lost"}
        assert set(got.rejected) == lost
        assert all("is about this image" in reason for reason in got.rejected.values())
        assert len(got.rows) == 1


def test_a_second_annotation_of_an_image_is_listed(
    write: Any, picture: Any, voc_xml: Any, run: Any
) -> None:
    box = ("cat", 1, 1, 20, 15)
    files = {
        "JPEGImages/a.jpg": picture(),
        "Annotations/b.xml": voc_xml((40, 30), box, filename="a.jpg"),
        "Annotations/c.xml": voc_xml((40, 30), box, box, filename="a.jpg"),
    }
    got = run("detect", format="voc", uri=str(write(files)))
    assert len(got.rows["a"]["boxes"]) == 1
    assert got.rejected == {"Annotations/c.xml": "image 'a' is listed twice; the first is used"}


def test_a_file_that_may_be_what_is_missing_is_named(write: Any, picture: Any, run: Any) -> None:
    files = {"images/a.jpg": picture(), "instances_train.json": '{"images": ['}
    with pytest.raises(UserError, match=r"set aside: instances_train\.json: not JSON"):
        run("detect", format="coco", uri=str(write(files)))


def test_a_quote_that_is_never_closed_is_named(open_images: Any, run: Any) -> None:
    row = _row("a", "/m/1", 0.1, 0.5, 0.2, 0.6)
    with pytest.raises(UserError, match=r"detections\.csv: row \d+ cannot be read .*never closed"):
        run("detect", format="openimages", uri=open_images(row, '"' + "x" * 200_000))
