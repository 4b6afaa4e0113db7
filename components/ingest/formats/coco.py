"""COCO object detection: `annotations/*.json` and folders of images.

https://cocodataset.org/#format-data. A JSON file is read whole, as its format demands.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from components.ingest.formats.base import Files, Scan, is_image
from components.ingest.records import RawBox, Record
from components.ingest.sources.base import Member
from components.shared.task import Task

_PARTS = ("images", "annotations", "categories")


class CocoFormat(Files):
    """Objects with boxes in pixels."""

    tasks: tuple[Task, ...] = ("detect", "count", "classify")

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image that a JSON file lists."""
        names: dict[str, None] = {}
        files = [member for member in scan.catalogue.files_below("")
                 if member.path.lower().endswith(".json")]  # fmt: skip
        # COCO's keypoint files list the same images and boxes once more.
        instances = [member for member in files if "/instances_" in f"/{member.path}"]
        files = instances or files
        read_any = False
        for member in files:
            content = _load(scan, member)
            if content is not None:
                read_any = True
                names.update(dict.fromkeys(_Instances(member.path, content, scan).scan()))
        if not read_any:
            raise scan.missing("instances JSON with images, annotations and categories")
        for member in scan.catalogue.files_below(""):
            if is_image(member.path) and not scan.catalogue.is_accounted_for(member.path):
                scan.catalogue.reject(member.path, "image that no annotation file lists")
        return list(names)


def _load(scan: Scan, member: Member) -> dict[str, Any] | None:
    """Return a JSON file's content, or nothing when it is about something else."""
    with scan.source.open(member.path) as stream:
        try:
            content = json.load(stream)
        except (ValueError, RecursionError) as error:
            scan.catalogue.reject(member.path, f"not JSON: {error}")
            return None
    parts = isinstance(content, dict) and all(isinstance(content.get(k), list) for k in _PARTS)
    if parts and all("bbox" in item for item in content["annotations"][:1]):
        return dict(content)
    scan.catalogue.tally["JSON files without object annotations"] += 1
    return None


class _Instances:
    """One instances file."""

    def __init__(self, path: str, content: dict[str, Any], scan: Scan) -> None:
        self._path = path
        self._scan = scan
        self._content = content
        self._boxes: dict[Any, list[RawBox]] = {}
        self._split = _split_of(path)

    def scan(self) -> list[str]:
        """Add the file's images; return its category names, by category id."""
        categories = sorted(
            (item["id"], str(item["name"])) for item in self._content["categories"]
            if isinstance(item, dict) and isinstance(item.get("id"), int) and item.get("name")
        )  # fmt: skip
        self._read_boxes(dict(categories))
        known = set()
        for number, image in enumerate(self._content["images"]):
            if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
                self._reject(f"images[{number}]", "no id or file_name")
                continue
            if image["id"] in known:
                self._reject(f"image {image['id']}", "listed twice; the first is used")
                continue
            known.add(image["id"])
            self._add(image)
        for image_id in self._boxes.keys() - known:
            for box in self._boxes[image_id]:
                self._scan.catalogue.reject(box.origin, f"annotation without image {image_id}")
        return [name for _, name in categories]

    def _read_boxes(self, names: Mapping[int, str]) -> None:
        for number, item in enumerate(self._content["annotations"]):
            if not isinstance(item, dict) or "image_id" not in item:
                self._reject(f"annotations[{number}]", "no image_id")
                continue
            origin = f"annotation {item.get('id', f'[{number}]')}"
            if item.get("iscrowd") and not self._scan.section.group_of:
                self._scan.catalogue.tally["crowd boxes"] += 1
                continue
            box = _box(item, names, f"{self._path}#{origin}")
            if isinstance(box, str):
                self._reject(origin, f"box set aside: {box}")
            else:
                self._boxes.setdefault(item["image_id"], []).append(box)

    def _add(self, image: dict[str, Any]) -> None:
        member = self._find(str(image["file_name"]))
        if member is None:
            count = len(self._boxes.get(image["id"], []))
            self._reject(
                f"image {image['id']}", f"{count} boxes without image {image['file_name']}"
            )
            return
        split = self._split
        name = str(PurePosixPath(image["file_name"]).with_suffix(""))
        self._scan.catalogue.add(
            Record(
                image_id=f"{split}/{name}" if split else name,
                path=member.path,
                size=member.size,
                boxes=tuple(self._boxes.get(image["id"], ())),
                units="pixels",
                annotated_size=_size(image),
                attributes={"upstream_split": split, "annotation": self._path}
                if split else {"annotation": self._path},
            )
        )  # fmt: skip

    def _find(self, name: str) -> Member | None:
        """Find an image: beside the JSON, below the dataset's root, or in a split's folder."""
        here = PurePosixPath(self._path).parent
        root = here.parent if here.name == "annotations" else here
        folders = [root / self._split, root / "images" / self._split, root / "images", root, here]
        for folder in folders:
            found = self._scan.catalogue.file(str(folder / name))
            if found is not None:
                return found
        return None

    def _reject(self, what: str, reason: str) -> None:
        self._scan.catalogue.reject(f"{self._path}#{what}", reason)


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """Return the width and height that an image is said to have, if they are credible."""
    width, height = image.get("width"), image.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _split_of(path: str) -> str:
    """Return the split of `instances_<split>.json`, or of `<split>/_annotations.coco.json`."""
    file = PurePosixPath(path)
    if file.stem.startswith("instances_"):
        return file.stem.removeprefix("instances_")
    if file.stem.startswith("_annotations"):
        return file.parent.name
    return ""


def _box(item: dict[str, Any], names: Mapping[int, str], origin: str) -> RawBox | str:
    """Read an annotation's `[x, y, width, height]`, or say why that fails."""
    name = names.get(item.get("category_id", -1))
    if name is None:
        return f"category {item.get('category_id')!r} is not in categories"
    try:
        x, y, width, height = (float(value) for value in item["bbox"])
    except (KeyError, TypeError, ValueError):
        return f"bbox is {item.get('bbox')!r}; [x, y, width, height] is expected"
    return RawBox(name, x, y, x + width, y + height, origin)
