"""Image folders: `<split>/<class>/<image>` or `<class>/<image>`.

Splits are recognised by name (train, val, test and their usual synonyms), anywhere above the
class folders; a single folder around everything, as archives have, is left out of the ids.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from components.ingest.formats.base import Files, Scan, is_image
from components.ingest.records import Record

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")


class FoldersFormat(Files):
    """A folder a class."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image; its class is the folder's name."""
        folders = [folder for folder in scan.catalogue.folders() if _has_images(scan, folder)]
        root = _common(folders)
        splits = _split_folders(folders, root)
        found: Counter[str] = Counter()
        for folder in folders:
            split, name = _split_and_class(folder, root, splits)
            scan.catalogue.looked_through(folder)
            for member in scan.catalogue.files(folder):
                if not is_image(member.path):
                    scan.catalogue.tally["files that are no images"] += 1
                    continue
                fault = _fault(name, split, bool(splits))
                if fault:
                    scan.catalogue.reject(member.path, fault)
                    continue
                found[name] += 1
                inside = PurePosixPath(member.path).relative_to(root or ".")
                scan.catalogue.add(
                    Record(
                        image_id=str(inside.with_suffix("")),
                        path=member.path,
                        size=member.size,
                        label=name,
                        attributes={"upstream_split": split} if split else {},
                    )
                )
        if not found:
            raise scan.missing("<class>/<image> or <split>/<class>/<image>")
        return sorted(found)


def _has_images(scan: Scan, folder: str) -> bool:
    return any(is_image(member.path) for member in scan.catalogue.files(folder))


def _common(folders: Sequence[str]) -> str:
    """Return the folder that holds everything: above the splits, or above the classes."""
    paths = [PurePosixPath(folder).parts for folder in folders if folder]
    common: list[str] = []
    for names in zip(*paths, strict=False):
        if len(set(names)) > 1 or names[0].lower() in SPLIT_NAMES:
            break
        common.append(names[0])
    if common and all(len(parts) == len(common) for parts in paths):
        common.pop()  # the only folder there is must be a class
    return "/".join(common)


def _below(folder: str, root: str) -> tuple[str, ...]:
    if folder in {root, ""}:
        return ()
    return PurePosixPath(folder).relative_to(root or ".").parts


def _split_folders(folders: Sequence[str], root: str) -> set[str]:
    """Return the folders that are splits: named so, and with class folders below them.

    A folder of that name with images of its own may be a class, of vehicles for example.
    """
    below = [parts for folder in folders if (parts := _below(folder, root))]
    return {p[0] for p in below if len(p) > 1 and p[0].lower() in SPLIT_NAMES}


def _split_and_class(folder: str, root: str, splits: set[str]) -> tuple[str, str]:
    """Return the names of the split folder and of the class folder; empty where there is none."""
    parts = _below(folder, root)
    split = parts[0] if parts and parts[0] in splits else ""
    rest = parts[1:] if split else parts
    return split, rest[0] if rest else ""


def _fault(name: str, split: str, has_splits: bool) -> str:
    if not name:
        return "image outside a class folder"
    if has_splits and not split:
        return "image outside the train, valid and test folders"
    return ""
