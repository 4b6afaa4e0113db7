"""Images with equal bytes: one group where labels agree, set aside where they differ."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.images_io import inspect_image


def test_equal_images_with_equal_labels_are_one_group(write: Any, picture: Any, run: Any) -> None:
    twin = picture(seed=1)
    files = {"cat/b.jpg": twin, "cat/a.jpg": twin, "cat/c.jpg": picture(), "dog/d.jpg": picture()}
    got = run("classify", format="folders", uri=str(write(files)))
    assert {name: row["group"] for name, row in got.rows.items()} == {
        "cat/a": "cat/a", "cat/b": "cat/a", "cat/c": "cat/c", "dog/d": "dog/d"
    }  # fmt: skip
    assert got.rejected == {}


def test_equal_images_of_two_classes_are_all_set_aside(write: Any, picture: Any, run: Any) -> None:
    twin = picture(seed=1)
    files = {
        "cat/a.jpg": twin, "cat/b.jpg": twin, "dog/a.jpg": twin,
        "cat/c.jpg": picture(), "dog/c.jpg": picture(),
    }  # fmt: skip
    got = run("classify", format="folders", uri=str(write(files)))
    assert list(got.rows) == list(got.images()) == ["cat/c", "dog/c"]
    assert got.rejected == {
        "cat/a.jpg": "same image with another label: 'cat' here, 'dog' on dog/a.jpg",
        "cat/b.jpg": "same image with another label: 'cat' here, 'dog' on dog/a.jpg",
        "dog/a.jpg": "same image with another label: 'dog' here, 'cat' on cat/a.jpg",
    }


def test_equal_images_with_two_counts(write: Any, picture: Any, bin_json: Any, run: Any) -> None:
    files: dict[str, bytes | str] = {"bin-images/3.jpg": picture(), "metadata/3.json": bin_json(0)}
    for name, expected in (("1", 2), ("2", 3)):
        files[f"bin-images/{name}.jpg"] = picture(seed=1)
        files[f"metadata/{name}.json"] = bin_json(expected, expected)
    got = run("count", format="bins", uri=str(write(files)))
    assert list(got.rows) == ["3"]
    assert got.rejected == {
        "bin-images/1.jpg": "same image with another count: 2 here, 3 on bin-images/2.jpg",
        "bin-images/2.jpg": "same image with another count: 3 here, 2 on bin-images/1.jpg",
    }


@pytest.mark.parametrize(
    ("second", "used"),
    [
        ([("cat", 1, 1, 20, 15), ("dog", 5, 5, 9, 9)], True),
        ([("dog", 5, 5, 9, 9), ("cat", 1, 1, 20, 15)], True),  # in another order
        ([("cat", 1, 1, 20, 15)], False),
        ([("dog", 1, 1, 20, 15), ("dog", 5, 5, 9, 9)], False),
    ],
)
def test_equal_images_with_boxes(
    second: list[Any], used: bool, write: Any, picture: Any, voc_xml: Any, run: Any
) -> None:
    first = [("cat", 1, 1, 20, 15), ("dog", 5, 5, 9, 9)]
    twin = picture(seed=1)
    files = {"JPEGImages/c.jpg": picture(), "Annotations/c.xml": voc_xml((40, 30), first[0])}
    for name, boxes in (("a", first), ("b", second)):
        files[f"JPEGImages/{name}.jpg"] = twin
        files[f"Annotations/{name}.xml"] = voc_xml((40, 30), *boxes)
    got = run("detect", format="voc", uri=str(write(files)))
    if used:
        assert [row["group"] for row in got.rows.values()] == ["a", "a", "c"]
        return
    assert list(got.rows) == ["c"]
    reason = f"same image with other boxes: 2 here, {len(second)} on JPEGImages/b.jpg"
    assert got.rejected["JPEGImages/a.jpg"] == reason


def test_nothing_but_contradictions(write: Any, picture: Any, run: Any) -> None:
    twin = picture(seed=1)
    with pytest.raises(UserError, match=r"no image can be used; set aside: cat/a.jpg: same image"):
        run("classify", format="folders", uri=str(write({"cat/a.jpg": twin, "dog/a.jpg": twin})))


def test_a_real_photograph_filed_under_two_breeds(
    shared_data: Path, tmp_path: Path, run: Callable[..., Any]
) -> None:
    from zipfile import ZipFile

    with ZipFile(shared_data / "dogImages.zip") as archive:
        archive.extractall(tmp_path / "dogs")
    breeds = sorted((tmp_path / "dogs" / "dogImages" / "train").iterdir())
    photo = sorted(breeds[0].iterdir())[0]
    (breeds[1] / "again.jpg").write_bytes(photo.read_bytes())
    got = run("classify", format="folders", uri=str(tmp_path / "dogs"))
    assert len(got.rows) == 480 - 1
    assert {Path(path).name for path in got.rejected} == {photo.name, "again.jpg"}


def test_some_rejected_images_are_pictured(write: Any, picture: Any, run: Any) -> None:
    pairs = {f"{kind}/{i:02d}.jpg": picture(seed=i) for kind in ("cat", "dog") for i in range(9)}
    files = {**pairs, "cat/cut.jpg": picture()[:-200], "cat/ok.jpg": picture()}
    got = run("classify", format="folders", uri=str(write({**files, "dog/ok.jpg": picture()})))
    assert len(got.rejected) == 19
    pictured = got.pictured()
    assert sorted(pictured) == [f"cat/{i:02d}.jpg" for i in range(8)]
    assert all(inspect_image(one).width == 40 for one in pictured.values())


def test_an_image_without_a_usable_box_is_pictured(
    write: Any, picture: Any, voc_xml: Any, run: Any
) -> None:
    files = {
        "JPEGImages/wide.jpg": picture(size=(400, 100)),
        "Annotations/wide.xml": voc_xml((400, 100), ("cat", 9, 9, 9, 9)),
        "JPEGImages/fine.jpg": picture(),
        "Annotations/fine.xml": voc_xml((40, 30), ("cat", 1, 1, 20, 15)),
    }
    got = run("detect", format="voc", uri=str(write(files)))
    pictured = got.pictured()
    assert list(pictured) == ["Annotations/wide.xml#object1", "JPEGImages/wide.jpg"]
    facts = inspect_image(pictured["JPEGImages/wide.jpg"])
    assert (facts.format, facts.width, facts.height) == ("jpeg", 200, 50)


def test_images_that_are_rejected_unread_are_pictured_too(
    write: Any, picture: Any, bin_json: Any, run: Any
) -> None:
    files = {f"bin-images/{number}.jpg": picture() for number in range(20)}
    files |= {f"metadata/{number}.json": bin_json(number % 3) for number in range(8)}
    files["bin-images/8.jpg"] = b"no image"
    got = run("count", format="bins", uri=str(write(files)))
    assert len(got.rejected) == 12
    # The first by name; one of them does not decode.
    assert list(got.pictured()) == [f"bin-images/{number}.jpg" for number in range(10, 18)]


def test_an_image_that_is_used_pictures_its_rejected_boxes(
    write: Any, picture: Any, voc_xml: Any, run: Any
) -> None:
    boxes = (("cat", 1, 1, 20, 15), ("cat", 9, 9, 9, 9))
    files = {"JPEGImages/a.jpg": picture(), "Annotations/a.xml": voc_xml((40, 30), *boxes)}
    got = run("detect", format="voc", uri=str(write(files)))
    assert list(got.rows) == ["a"]
    assert list(got.pictured()) == ["Annotations/a.xml#object2"]
