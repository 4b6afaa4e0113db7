"""The step as a whole: what it keeps, sets aside, and refuses."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from components.shared import parallel
from components.shared.errors import UserError


@pytest.fixture
def bins(write: Any, picture: Any, bin_json: Any) -> Path:
    """Sixty bins holding 0 to 5 items."""
    files = {}
    for index in range(60):
        files[f"bin-images/{index:05d}.jpg"] = picture(seed=index)
        files[f"metadata/{index:05d}.json"] = bin_json(index % 6, index % 6)
    folder: Path = write(files)
    return folder


def test_rows_describe_the_bytes_in_the_shards(bins: Path, run: Any) -> None:
    got = run("count", format="bins", uri=str(bins))
    images = got.images()
    assert list(images) == sorted(got.rows) == list(got.rows)
    for image_id, row in got.rows.items():
        assert images[image_id] == (bins / row["source"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(images[image_id]).hexdigest()
        assert (row["width"], row["height"], row["format"]) == (40, 30, "jpeg")
        assert row["split"] is None
        assert row["group"] == image_id


@pytest.mark.slow
def test_result_is_the_same_for_any_number_of_workers(
    bins: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bins / "bin-images" / "00007.jpg").write_bytes(b"no image")
    alone = run("count", format="bins", uri=str(bins), workers=1)
    monkeypatch.setattr(parallel, "PATIENCE_S", 0.0)
    many = run("count", format="bins", uri=str(bins), workers=2)
    assert many.files() == alone.files()
    assert set(many.rejected) == {"bin-images/00007.jpg"}


def test_limit_takes_the_same_subset_whatever_else_is_there(bins: Path, run: Any) -> None:
    ten = run("count", format="bins", uri=str(bins), limit=10)
    twenty = run("count", format="bins", uri=str(bins), limit=20)
    other = run("count", format="bins", uri=str(bins), limit=10, seed=1)
    assert len(ten.rows) == 10
    assert set(ten.rows) < set(twenty.rows)
    assert set(ten.rows) != set(other.rows)
    assert set(ten.rows) != set(sorted(twenty.rows)[:10])  # not simply the first


def test_a_second_attempt_replaces_the_shards_of_the_first(
    bins: Path, run: Any, tmp_path: Path
) -> None:
    stale = tmp_path / "ingested-0" / "images" / "images-00009.parquet"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"left by an attempt that broke off")
    assert len(run("count", format="bins", uri=str(bins)).images()) == 60


def test_unusable_images_are_listed_with_their_reason(
    write: Any, picture: Any, bin_json: Any, run: Any
) -> None:
    whole = picture(size=(64, 64))
    images = {
        "00000.jpg": whole,
        "00001.jpg": whole[: len(whole) // 2],
        "00002.jpg": b"<html>not found</html>",
        "00003.jpg": b"",
        "00004.png": picture("PNG", (200, 200)),
    }
    files = {f"bin-images/{name}": data for name, data in images.items()}
    files |= {f"metadata/{name[:5]}.json": bin_json(1, 1) for name in images}
    files["metadata/00009.json"] = bin_json(2, 2)
    files["bin-images/00008.jpg"] = whole
    files["metadata/00000.json"] = bin_json(1, 1)
    got = run("count", format="bins", uri=str(write(files)), max_pixels=64 * 64)
    assert list(got.rows) == ["00000"]
    expected = {
        "bin-images/00001.jpg": "truncated",
        "bin-images/00002.jpg": "not an image",
        "bin-images/00003.jpg": "empty",
        "bin-images/00004.png": "40,000 pixels",
        "bin-images/00008.jpg": "image without metadata/00008.json",
        "metadata/00009.json": "annotation without",
    }
    assert got.rejected.keys() == expected.keys()
    for path, part in expected.items():
        assert part in got.rejected[path]


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("detect", "bins", "'bins' .* 'detect'"),
        ("classify", "bins", "'bins' .* 'classify'"),
        ("count", "folders", "'folders' .* 'count'"),
        ("detect", "cifar", "'cifar' .* 'detect'"),
    ],
)
def test_format_without_labels_for_the_task(
    task: str,
    name: str,
    message: str,
    tmp_path: Path,
    run: Any,
) -> None:
    with pytest.raises(UserError, match=message):
        run(task, format=name, uri=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "task", "needs"),
    [
        ("bins", "count", "bin-images/"),
        ("cifar", "classify", "'meta', 'train' and 'test'"),
        ("coco", "detect", "instances JSON"),
        ("folders", "classify", "<class>/<image>"),
        ("openimages", "detect", "labels/detections.csv"),
        ("voc", "detect", "JPEGImages/"),
    ],
)
def test_source_of_another_format(
    name: str,
    task: str,
    needs: str,
    write: Any,
    run: Any,
) -> None:
    with pytest.raises(UserError, match=needs):
        run(task, format=name, uri=str(write({"readme.txt": "hello"})))


def test_nothing_usable_says_why(write: Any, bin_json: Any, run: Any) -> None:
    files = {"bin-images/1.jpg": b"broken", "metadata/1.json": bin_json(1, 1)}
    with pytest.raises(UserError, match=r"no image can be used.*bin-images/1.jpg: not an image"):
        run("count", format="bins", uri=str(write(files)))


def test_classes_of_a_format_without_any(bins: Path, run: Any) -> None:
    with pytest.raises(UserError, match=r"ingest\.classes: .*'bins' has no classes"):
        run("count", format="bins", uri=str(bins), classes=["book"])


def test_an_empty_folder(tmp_path: Path, run: Any) -> None:
    with pytest.raises(UserError, match="holds no file"):
        run("detect", format="voc", uri=str(tmp_path))


def test_other_image_formats_become_png(write: Any, picture: Any, bin_json: Any, run: Any) -> None:
    files = {"bin-images/1.bmp": picture("BMP"), "metadata/1.json": bin_json(1, 1)}
    got = run("count", format="bins", uri=str(write(files)))
    row = got.rows["1"]
    assert row["format"] == "png"
    assert row["attributes"]["converted_from"] == "bmp"
    assert got.images()["1"].startswith(b"\x89PNG")
