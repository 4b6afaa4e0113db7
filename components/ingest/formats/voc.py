"""Pascal VOC: `JPEGImages`, `Annotations` (XML) and `ImageSets/Main` (lists of a split).

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from components.ingest.formats.annotations import AnnotationError, parse_files, reject_unannotated
from components.ingest.formats.base import Files, Scan, is_image, prefix_of
from components.ingest.records import RawBox, Record
from components.ingest.sources.base import Member, read

IMAGES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
# Other lists there repeat these: trainval is both, <class>_train has one class's images.
SPLIT_LISTS = ("train", "val", "test")
_SIDES = ("xmin", "ymin", "xmax", "ymax")


class Annotation(NamedTuple):
    """An annotation file's content.

    `size` is None when the file states none, or 0 by 0 as some tools write.
    """

    filename: str
    size: tuple[int, int] | None
    boxes: list[RawBox]
    faults: list[tuple[str, str]]  # (origin, reason) of objects that cannot be read


class VocFormat(Files):
    """Objects with boxes in pixels."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image with an annotation file."""
        roots = [str(PurePosixPath(folder).parent) for folder in
                 scan.catalogue.folders_named(IMAGES)]  # fmt: skip
        if not roots:
            raise scan.missing(f"{IMAGES}/ and {ANNOTATIONS}/")
        names: set[str] = set()
        for root in roots:
            names |= _Root("" if root == "." else root, prefix_of(root, roots), scan).scan()
        for _, origins in scan.catalogue.unclaimed():
            for origin in origins:
                scan.catalogue.reject(origin, "listed, but no such image with annotation is there")
        return sorted(names)


class _Root:
    """One folder with images, annotations and lists."""

    def __init__(self, folder: str, prefix: str, scan: Scan) -> None:
        self._prefix = prefix
        self._scan = scan
        self._images, self._annotations, self._lists = (
            str(PurePosixPath(folder, name)) for name in (IMAGES, ANNOTATIONS, LISTS)
        )

    def scan(self) -> set[str]:
        catalogue = self._scan.catalogue
        self._read_lists()
        members = (
            member for member in catalogue.files(self._annotations)
            if member.path.lower().endswith(".xml")
        )  # fmt: skip
        names: set[str] = set()
        any_annotation = False
        for member, annotation in parse_files(self._scan, members, parse_annotation):
            any_annotation = True
            names.update(box.name for box in annotation.boxes)
            self._add(member, annotation)
        if not any_annotation:
            raise self._scan.missing(f"annotation in {self._annotations}/*.xml")
        self._reject_unused()
        return names

    def _read_lists(self) -> None:
        """Keep which list names an image, to be claimed by the image."""
        for split in SPLIT_LISTS:
            path = f"{self._lists}/{split}.txt"
            if self._scan.catalogue.file(path) is None:
                continue
            lines = read(self._scan.source, path).decode("utf-8", "replace").splitlines()
            stems = [line.split()[0] for line in lines if line.strip()]
            self._scan.catalogue.annotate(
                (f"{self._images}/{stem}", f"{path}#{stem}", split) for stem in stems
            )

    def _add(self, member: Member, annotation: Annotation) -> None:
        catalogue = self._scan.catalogue
        for origin, reason in annotation.faults:
            catalogue.reject(f"{member.path}{origin}", reason)
        image = self._image_of(member, annotation)
        if image is None:
            return
        stem = PurePosixPath(image.path).stem
        attributes = {"annotation": member.path}
        if annotation.size is None:
            attributes["annotated_size"] = "none"
        listed = catalogue.claim(f"{self._images}/{stem}")
        if listed:
            attributes["upstream_split"] = listed[0][1]
        for origin, _ in listed[1:]:
            catalogue.reject(origin, f"listed twice; the image stays in {listed[0][1]}")
        catalogue.add(
            Record(
                image_id=self._prefix + stem,
                path=image.path,
                size=image.size,
                boxes=tuple(
                    box._replace(origin=member.path + box.origin) for box in annotation.boxes
                ),
                units="voc",
                annotated_size=annotation.size,
                attributes=attributes,
            ),
            origin=member.path,
        )

    def _image_of(self, member: Member, annotation: Annotation) -> Member | None:
        """Find an annotation's image: of the same name, else the one it names itself."""
        catalogue = self._scan.catalogue
        stem = PurePosixPath(member.path).stem
        found = [file for file in catalogue.with_stem(self._images, stem) if is_image(file.path)]
        for extra in found[1:]:
            catalogue.reject(extra.path, f"second image of {member.path}; the first is used")
        if found:
            return found[0]
        named = catalogue.file(f"{self._images}/{PurePosixPath(annotation.filename).name}")
        if named is not None and is_image(named.path) and not self._has_own(named.path):
            return named
        catalogue.reject(member.path, f"annotation without image {self._images}/{stem}.jpg")
        return None

    def _has_own(self, image: str) -> bool:
        stem = PurePosixPath(image).stem
        return self._scan.catalogue.file(f"{self._annotations}/{stem}.xml") is not None

    def _reject_unused(self) -> None:
        """List images that no annotation has claimed."""
        catalogue = self._scan.catalogue
        catalogue.looked_through(self._images)
        for member in catalogue.files(self._images):
            annotation = f"{self._annotations}/{PurePosixPath(member.path).stem}.xml"
            if not is_image(member.path):
                catalogue.tally["files that are no images"] += 1
            elif not catalogue.is_accounted_for(member.path):
                reject_unannotated(catalogue, member.path, annotation)


def parse_annotation(data: bytes) -> Annotation:
    """Read a VOC annotation. Entities and external references are refused.

    Raises:
        AnnotationError: if it is not such an XML file.
    """
    try:
        root = fromstring(data)
    # LookupError: an encoding that does not exist.
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise AnnotationError(f"not XML that can be read: {error}") from None
    if root.tag != "annotation":
        raise AnnotationError(f"its root is <{root.tag}>; <annotation> is expected")
    boxes, faults = [], []
    for number, element in enumerate(root.iterfind("object"), 1):
        box = _box(element, f"#object{number}")
        if isinstance(box, str):
            faults.append((f"#object{number}", f"box set aside: {box}"))
        else:
            boxes.append(box)
    return Annotation(root.findtext("filename", "").strip(), _size(root), boxes, faults)


def _size(root: Element) -> tuple[int, int] | None:
    try:
        width = int(float(root.findtext("size/width", "0")))
        height = int(float(root.findtext("size/height", "0")))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _box(element: Element, origin: str) -> RawBox | str:
    """Read an object, or say why that fails. Objects' parts have boxes too; not wanted here."""
    name = element.findtext("name", "").strip()
    if not name:
        return "it has no name"
    texts = [element.findtext(f"bndbox/{side}") for side in _SIDES]
    try:
        xmin, ymin, xmax, ymax = (float(text or "") for text in texts)
    except ValueError:
        return f"its bndbox is {dict(zip(_SIDES, texts, strict=True))}; four numbers are expected"
    return RawBox(name, xmin, ymin, xmax, ymax, origin)
