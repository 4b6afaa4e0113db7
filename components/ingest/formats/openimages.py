"""Open Images V7 as downloaded in parts: `<split>/{data,labels,metadata}`.

`labels/detections.csv` has a header and 13 columns (21 in train: the annotators' extreme
clicks); `metadata/classes.csv` has none: `/m/0cmf2,Airplane`
(https://storage.googleapis.com/openimages/web/download_v7.html).
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from components.ingest.classes import chosen_classes
from components.ingest.formats.base import Files, Scan, is_image
from components.ingest.records import RawBox, Record
from components.ingest.sources.base import Member, read
from components.shared.errors import UserError
from components.shared.progress import progress

LABELS, CLASSES, IMAGES = "labels/detections.csv", "metadata/classes.csv", "data"
_SIDES = ("XMin", "YMin", "XMax", "YMax")
_NEEDED = ("ImageID", "LabelName", "IsGroupOf", *_SIDES)

# Instead of a box: the image has some that are not asked for, that cannot be read, or that
# stand for a group of objects.
_LEFT_OUT, _FAULTY, _GROUP_OF = _MARKS = ("left out", "faulty", "group-of")


class OpenImagesFormat(Files):
    """Objects with normalized boxes."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image on disk, of the boxes that are wanted."""
        folders = scan.catalogue.folders_named("labels")
        roots = [str(PurePosixPath(folder).parent) for folder in folders]
        splits = [_Split("" if root == "." else root, scan) for root in roots
                  if scan.catalogue.file(str(PurePosixPath(root, LABELS)))]  # fmt: skip
        if not splits:
            raise scan.missing(f"<split>/{LABELS}")
        known = sorted({name for split in splits for name in split.names.values()})
        asked = scan.section.classes
        wanted = set(chosen_classes(asked, known, scan.section.uri)) if asked else None
        found: set[str] = set()
        for split in splits:
            found |= split.scan(wanted)
        for image, origins in scan.catalogue.unclaimed():
            for origin in filter(None, origins):
                scan.catalogue.reject(origin, f"annotation without image {image}.jpg")
        return sorted(found | (wanted or set()))


class _Split:
    """One split's folder."""

    def __init__(self, root: str, scan: Scan) -> None:
        self._scan = scan
        self._labels, self._classes, self._images = (
            str(PurePosixPath(root, name)) for name in (LABELS, CLASSES, IMAGES)
        )
        self._name = PurePosixPath(root).name
        self.names = self._read_classes()

    def _read_classes(self) -> dict[str, str]:
        """Return class names by label id."""
        if self._scan.catalogue.file(self._classes) is None:
            raise self._scan.missing(self._classes)
        try:
            text = read(self._scan.source, self._classes).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UserError(f"{self._classes}: not UTF-8 text; save it as UTF-8") from None
        names = {}
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            label, name = (text.strip() for text in (*row, "", "")[:2])
            if label and name:
                names[label] = name
            elif any(row):
                self._scan.catalogue.reject(
                    f"{self._classes}#row{number}", f"is {row}; <label id>,<name> is expected"
                )
        return names

    def scan(self, wanted: set[str] | None) -> set[str]:
        """Join boxes and images; return the names of the classes seen."""
        found: set[str] = set()
        catalogue = self._scan.catalogue
        catalogue.annotate(self._rows(wanted, found))
        catalogue.looked_through(self._images)
        for member in catalogue.files(self._images):
            if not is_image(member.path):
                catalogue.tally["files that are no images"] += 1
                continue
            image_id = PurePosixPath(member.path).stem
            rows = catalogue.claim(f"{self._images}/{image_id}")
            boxes = tuple(
                RawBox(*(*json.loads(value), origin))
                for origin, value in rows
                if value not in _MARKS
            )
            marks = Counter(value for _, value in rows if value in _MARKS)
            if not boxes and not self._is_kept_empty(member, marks):
                continue
            attributes = {"upstream_split": self._name} if self._name else {}
            if marks[_GROUP_OF]:
                attributes["group_of"] = str(marks[_GROUP_OF])
            catalogue.add(
                Record(f"{self._name}/{image_id}" if self._name else image_id,
                       member.path, member.size, boxes=boxes, attributes=attributes)
            )  # fmt: skip
        return found

    def _is_kept_empty(self, member: Member, marks: Collection[str]) -> bool:
        """Decide about an image without boxes, and say why it is not used."""
        catalogue = self._scan.catalogue
        if _FAULTY in marks:
            catalogue.reject(member.path, "none of its boxes can be used")
            return False
        if self._scan.section.keep_empty:
            return True
        if _LEFT_OUT in marks or _GROUP_OF in marks:
            catalogue.tally["images without a box that is asked for"] += 1
        else:
            catalogue.reject(member.path, f"image without any row in {self._labels}")
        return False

    def _rows(self, wanted: set[str] | None, found: set[str]) -> Iterator[tuple[str, str, str]]:
        """Yield `(image, origin, box as JSON or mark)`."""
        tally = self._scan.catalogue.tally
        marked = ""
        with self._scan.source.open(self._labels) as stream:
            reader = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", "replace", newline=""))
            columns = self._columns(next(reader, []))
            where = {name: columns.index(name) for name in _NEEDED}
            widest = max(where.values())
            for row in progress(self._whole(reader), None, f"reading {self._labels}"):
                if not row:
                    continue
                origin = f"{self._labels}#row{reader.line_num}"
                if len(row) <= widest:
                    self._reject(origin, f"has {len(row)} columns of {len(columns)}")
                    continue
                name = self.names.get(row[where["LabelName"]])
                key = f"{self._images}/{row[where['ImageID']]}"
                if wanted is not None and name not in wanted:
                    tally["boxes of other classes"] += 1
                    if key != marked:  # rows of an image follow each other: one mark will do
                        marked = key
                        yield key, "", _LEFT_OUT
                    continue
                value = self._box(name, row, where, origin)
                if name is not None and value not in _MARKS:
                    found.add(name)
                yield key, origin if value not in _MARKS else "", value

    def _whole(self, reader: Any) -> Iterator[list[str]]:
        """Yield the rows of a CSV reader."""
        try:
            yield from reader
        except csv.Error as error:
            raise UserError(
                f"{self._labels}: row {reader.line_num} cannot be read ({error}); look for a "
                "quote that is never closed"
            ) from None

    def _box(self, name: str | None, row: list[str], where: dict[str, int], origin: str) -> str:
        """Return a row's box as JSON, or the mark of one that is not used."""
        if row[where["IsGroupOf"]].strip() == "1" and not self._scan.section.group_of:
            self._scan.catalogue.tally["group-of boxes"] += 1
            return _GROUP_OF
        if name is None:
            label = row[where["LabelName"]]
            self._reject(origin, f"box set aside: {label} is not in {self._classes}")
            return _FAULTY
        texts = [row[where[side]] for side in ("XMin", "YMin", "XMax", "YMax")]
        try:
            return json.dumps([name, *map(float, texts)])
        except ValueError:
            self._reject(origin, f"box set aside: corners are {texts}; four numbers are expected")
            return _FAULTY

    def _columns(self, header: list[str]) -> list[str]:
        missing = [name for name in _NEEDED if name not in header]
        if missing:
            raise UserError(
                f"{self._labels}: no column {', '.join(missing)}; found {', '.join(header)}; "
                "expected Open Images' header ImageID,Source,LabelName,..."
            )
        return header

    def _reject(self, origin: str, reason: str) -> None:
        self._scan.catalogue.reject(origin, reason)
