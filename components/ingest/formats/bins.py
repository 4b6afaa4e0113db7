"""The Amazon Bin Image Dataset: photos of bins and how many items each should hold.

`bin-images/NNNNN.jpg` and `metadata/NNNNN.json`, whose `EXPECTED_QUANTITY` is the count
(https://registry.opendata.aws/amazon-bin-imagery/).
"""

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeGuard

from components.ingest.formats.annotations import AnnotationError, parse_files, reject_unannotated
from components.ingest.formats.base import Files, Scan, is_image, prefix_of
from components.ingest.records import Record
from components.ingest.sources.base import Member

IMAGES, METADATA = "bin-images", "metadata"


class _Bin(NamedTuple):
    expected: int
    quantity_sum: int | None  # of the items listed; None when the list is unreadable


class BinsFormat(Files):
    """Counts of items."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image with metadata."""
        roots = [str(PurePosixPath(folder).parent) for folder in
                 scan.catalogue.folders_named(IMAGES)]  # fmt: skip
        if not roots:
            raise scan.missing(f"{IMAGES}/ and {METADATA}/")
        for root in roots:
            self._scan_root(scan, "" if root == "." else root, roots)
        return ()

    def _scan_root(self, scan: Scan, root: str, roots: Sequence[str]) -> None:
        images, metadata = (str(PurePosixPath(root, name)) for name in (IMAGES, METADATA))
        members = (
            member for member in scan.catalogue.files(metadata) if member.path.endswith(".json")
        )
        for member, found in parse_files(scan, members, parse_metadata):
            self._add(scan, member, found, images, prefix_of(root, roots))
        scan.catalogue.looked_through(images)
        for member in scan.catalogue.files(images):
            stem = PurePosixPath(member.path).stem
            if not is_image(member.path):
                scan.catalogue.tally["files that are no images"] += 1
            elif not scan.catalogue.is_accounted_for(member.path):
                reject_unannotated(scan.catalogue, member.path, f"{metadata}/{stem}.json")

    def _add(self, scan: Scan, member: Member, found: _Bin, images: str, prefix: str) -> None:
        stem = PurePosixPath(member.path).stem
        candidates = [file for file in scan.catalogue.with_stem(images, stem)
                      if is_image(file.path)]  # fmt: skip
        if not candidates:
            scan.catalogue.reject(member.path, f"annotation without {IMAGES}/{stem}.jpg")
            return
        for extra in candidates[1:]:
            scan.catalogue.reject(extra.path, f"second image of {member.path}; the first is used")
        attributes = {}
        if found.quantity_sum != found.expected:
            attributes["quantity_sum"] = (
                "unreadable" if found.quantity_sum is None else str(found.quantity_sum)
            )
        image = candidates[0]
        scan.catalogue.add(
            Record(prefix + stem, image.path, image.size, count=found.expected,
                   attributes=attributes)
        )  # fmt: skip


def parse_metadata(data: bytes) -> _Bin:
    """Read a bin's expected quantity, and the sum of the quantities of its items.

    Raises:
        AnnotationError: if there is no whole number >= 0 under `EXPECTED_QUANTITY`.
    """
    try:
        content: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"not JSON: {error}") from None
    expected: Any = content.get("EXPECTED_QUANTITY") if isinstance(content, dict) else None
    if not _is_count(expected):
        raise AnnotationError(
            f"EXPECTED_QUANTITY is {expected!r}; a whole number of items is expected"
        )
    return _Bin(expected, _quantity_sum(content.get("BIN_FCSKU_DATA")))


def _quantity_sum(items: Any) -> int | None:
    if not isinstance(items, dict):
        return None
    quantities = [item.get("quantity") if isinstance(item, dict) else None
                  for item in items.values()]  # fmt: skip
    counts = [quantity for quantity in quantities if _is_count(quantity)]
    return sum(counts) if len(counts) == len(quantities) else None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
