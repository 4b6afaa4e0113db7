"""COCO object detection: `annotations/*.json` and folders of images.

https://cocodataset.org/#format-data. A JSON file holds a whole split, so it is read piece by
piece, and boxes wait for their images on disk.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from components.ingest.formats.base import Files, Scan
from components.ingest.formats.json_lists import JsonError, list_items
from components.ingest.records import RawBox, Record
from components.ingest.sources.base import Member
from components.shared.progress import progress

_PARTS: Final = ("images", "annotations", "categories")
_OUTLINES: Final = ("segmentation", "keypoints")  # of no use here, and most of a file

# Instead of a box: the image has some that are left out.
_CROWD: Final = "crowd"


class CocoFormat(Files):
    """Objects with boxes in pixels."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image that a JSON file lists."""
        names: dict[str, None] = {}
        files = [member for member in scan.catalogue.files_below("")
                 if member.path.lower().endswith(".json")]  # fmt: skip
        # COCO's keypoint files list the same images and boxes once more.
        instances = [member for member in files if "/instances_" in f"/{member.path}"]
        read_any = False
        for member in instances or files:
            file = _Instances(member.path, scan)
            if file.is_about_objects():
                read_any = True
                names.update(dict.fromkeys(file.scan()))
        if not read_any:
            raise scan.missing("instances JSON with images, annotations and categories")
        for key, origins in scan.catalogue.unclaimed():
            for origin in filter(None, origins):
                image_id = key.rpartition("#")[2]
                scan.catalogue.reject(origin, f"annotation without image {image_id}")
        return list(names)


class _Instances:
    """One instances file."""

    def __init__(self, path: str, scan: Scan) -> None:
        self._path = path
        self._scan = scan
        self._split = _split_of(path)
        self._categories: list[Any] = []

    def is_about_objects(self) -> bool:
        """Read the file to its end before anything is taken from it; keep the categories."""
        found: set[str] = set()
        has_boxes = True
        try:
            for part, item in self._items(_PARTS, "checking"):
                if part == "categories":
                    self._categories.append(item)
                if part == "annotations" and part not in found:
                    has_boxes = isinstance(item, dict) and "bbox" in item
                found.add(part)
        except JsonError as error:
            self._scan.catalogue.reject(self._path, f"not JSON: {error}")
            return False
        if has_boxes and {"images", "categories"} <= found:
            return True
        self._scan.catalogue.tally["JSON files without object annotations"] += 1
        return False

    def scan(self) -> list[str]:
        """Add the file's images; return its category names, by category id."""
        categories = sorted(
            (item["id"], name) for item in self._categories
            if isinstance(item, dict) and isinstance(item.get("id"), int)
            and (name := str(item.get("name") or "").strip())
        )  # fmt: skip
        self._scan.catalogue.annotate(self._boxes(dict(categories)))
        images = (item for _, item in self._items(["images"], "joining"))
        for number, image in enumerate(images):
            if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
                self._reject(f"images[{number}]", "no id or file_name")
            elif not self._scan.catalogue.claim_once(self._key(image["id"])):
                self._reject(f"image {image['id']}", "listed twice; the first is used")
            else:
                self._add(image)
        return [name for _, name in categories]

    def _items(self, parts: Sequence[str], what: str) -> Iterator[tuple[str, Any]]:
        with self._scan.source.open(self._path) as stream:
            items = list_items(stream, parts, _OUTLINES)
            yield from progress(items, None, f"{what} {self._path}")

    def _key(self, image_id: Any) -> str:
        return f"{self._path}#{image_id}"

    def _boxes(self, names: Mapping[int, str]) -> Iterator[tuple[str, str, str]]:
        """Yield `(image, origin, box as JSON or mark)`."""
        for number, (_, item) in enumerate(self._items(["annotations"], "reading")):
            if not isinstance(item, dict) or "image_id" not in item:
                self._reject(f"annotations[{number}]", "no image_id")
                continue
            key = self._key(item["image_id"])
            origin = f"annotation {item.get('id', f'[{number}]')}"
            if item.get("iscrowd") and not self._scan.section.group_of:
                self._scan.catalogue.tally["crowd boxes"] += 1
                yield key, "", _CROWD
                continue
            box = _box(item, names)
            if isinstance(box, str):
                self._reject(origin, f"box set aside: {box}")
            else:
                yield key, f"{self._path}#{origin}", json.dumps(box)

    def _add(self, image: dict[str, Any]) -> None:
        rows = self._scan.catalogue.claim(self._key(image["id"]))
        boxes = tuple(
            RawBox(*(*json.loads(value), origin)) for origin, value in rows if value != _CROWD
        )
        member = self._find(str(image["file_name"]))
        if member is None:
            self._reject(
                f"image {image['id']}", f"{len(boxes)} boxes without image {image['file_name']}"
            )
            return
        split, size = self._split, _size(image)
        attributes = {"listed_in": self._path}
        if split:
            attributes["upstream_split"] = split
        if len(boxes) < len(rows):
            attributes["group_of"] = str(len(rows) - len(boxes))
        if size is None:
            attributes["annotated_size"] = "none"
        name = str(PurePosixPath(image["file_name"]).with_suffix(""))
        self._scan.catalogue.add(
            Record(
                image_id=f"{split}/{name}" if split else name,
                path=member.path,
                size=member.size,
                boxes=boxes,
                units="pixels",
                annotated_size=size,
                attributes=attributes,
            )
        )

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


def _box(item: dict[str, Any], names: Mapping[int, str]) -> tuple[Any, ...] | str:
    """Return class and corners of an annotation's `[x, y, width, height]`, or why there are none.

    A negative width or height is kept: its corners are inverted, which is mended later.
    """
    category = item.get("category_id")
    name = names.get(category) if isinstance(category, int) else None
    if name is None:
        return f"category {category!r} is not in categories"
    try:
        x, y, width, height = (float(value) for value in item["bbox"])
    except (KeyError, TypeError, ValueError):
        return f"bbox is {item.get('bbox')!r}; [x, y, width, height] is expected"
    return name, x, y, x + width, y + height
