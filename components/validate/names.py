"""The names that a config may use: built-in expectations, frames, and their columns.

Plain Python: the orchestrator checks configs with it and has none of this step's packages.
"""

from collections.abc import Iterable
from typing import Final, Literal

from components.shared.hints import hint
from components.shared.task import Task

FrameName = Literal["images", "boxes", "classes", "dataset"]
Severity = Literal["fail", "warn", "off"]

# What the user's own expectations are for. Columns of another task are refused.
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "images": {
        "image_id": "unique name of the image",
        "sha256": "SHA-256 of its bytes, 64 hexadecimal digits",
        "source": "where ingest read it",
        "group": "images that must not be split apart have the same",
        "format": "jpeg or png",
        "width": "pixels, EXIF orientation applied",
        "height": "pixels, EXIF orientation applied",
        "shortest_edge": "the smaller of width and height, pixels",
        "aspect_ratio": "the longer edge over the shorter, 1 or more",
        "label": "index of its class",
        "class": "name of its class",
        "count": "how many objects it shows",
        "boxes": "how many boxes it has",
    },
    "boxes": {
        "image_id": "the image that the box is in",
        "label": "index of its class",
        "class": "name of its class",
        "xmin": "left edge, share of the image's width, 0 to 1",
        "ymin": "upper edge, share of the image's height, 0 to 1",
        "xmax": "right edge, share of the image's width, 0 to 1",
        "ymax": "lower edge, share of the image's height, 0 to 1",
        "width": "share of the image's width, 0 to 1",
        "height": "share of the image's height, 0 to 1",
        "area": "share of the image's area, 0 to 1",
        "width_pixels": "pixels",
        "height_pixels": "pixels",
    },
    "classes": {
        "class": "name of the class, or the count as text",
        "images": "images that show it",
        "share": "of all images, 0 to 1",
    },
    "dataset": {
        "images": "usable images",
        "annotated": "images with a label, a count or a box",
        "classes": "different classes or counts met",
        "rejected_files": "files that ingest set aside whole",
        "rejected_share": "of all files, 0 to 1",
    },
}
_TASK_OF_COLUMN: Final[dict[tuple[str, str], Task]] = {
    ("images", "label"): "classify",
    ("images", "class"): "classify",
    ("images", "count"): "count",
    ("images", "boxes"): "detect",
}

_ALL: Final[tuple[Task, ...]] = ("detect", "count", "classify")
_LABELLED: Final[tuple[Task, ...]] = ("count", "classify")
BUILTIN: Final[dict[str, tuple[Task, ...]]] = {
    "enough_images": _ALL,
    "few_rejected": _ALL,
    "annotated": _ALL,
    "image_id_unique": _ALL,
    "bytes_unique": _ALL,
    "same_bytes_same_label": _ALL,
    "shortest_edge": _ALL,
    "aspect_ratio": _ALL,
    "format_known": _ALL,
    "images_per_class": _ALL,
    "several_classes": _LABELLED,
    "class_share": _LABELLED,
    "label_present": ("classify",),
    "label_valid": ("classify",),
    "count_present": ("count",),
    "count_valid": ("count",),
    "boxes_present": ("detect",),
    "box_label_valid": ("detect",),
    "box_xmin_inside": ("detect",),
    "box_ymin_inside": ("detect",),
    "box_xmax_inside": ("detect",),
    "box_ymax_inside": ("detect",),
    "box_width_positive": ("detect",),
    "box_height_positive": ("detect",),
    "box_area": ("detect",),
    "box_unique": ("detect",),
    "drift_classes": ("detect", "classify"),
    "drift_class_balance": _ALL,
    "drift_psi": _ALL,
    "drift_ks": _ALL,
}


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is not known, with the nearest one that is, or all of them."""
    return f"unknown {what} '{name}'; {hint(name, known)}"


def frames_of(task: Task) -> dict[str, tuple[str, ...]]:
    """Return the frames that a task has, each with its columns."""
    return {
        frame: tuple(
            name for name in columns if _TASK_OF_COLUMN.get((frame, name), task) == task
        )
        for frame, columns in COLUMNS.items()
        if frame != "boxes" or task == "detect"
    }  # fmt: skip
