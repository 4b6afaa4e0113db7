"""What is expected of an image table: each expectation with its severity and its remedy."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from components.shared.table import TableInfo
from components.validate.config import CustomExpectation, ValidateSection
from components.validate.expectations import columns_in, form_of
from components.validate.frames import (
    BOXES,
    CLASSES,
    DATASET,
    IMAGES,
    LABELS_OF_COPIES,
    REPEATS,
    ROWS,
    UNIQUE,
    WHOLE,
)
from components.validate.names import COLUMNS, Severity

# What every reader of the project decodes; ingest re-encodes anything else.
FORMATS: Final = ("jpeg", "png")
BETWEEN: Final = "expect_column_values_to_be_between"
IN_SET: Final = "expect_column_values_to_be_in_set"
_NULL: Final = "expect_column_values_to_be_null"
_NOT_NULL: Final = "expect_column_values_to_not_be_null"
_UNIQUE: Final = "expect_column_values_to_be_unique"
_SIDES: Final = {"xmin": "left", "ymin": "top", "xmax": "right", "ymax": "bottom"}
_MEND: Final = "mend the annotation in the source and run ingest again"


@dataclass(frozen=True)
class Check:
    """One expectation.

    Attributes:
        name: how results and messages call it.
        frame: the kind of frame it is for.
        scope: which rows of it: see `components.validate.frames`.
        expectation: as Great Expectations calls it.
        arguments: what Great Expectations is given.
        severity: `fail` stops the run, `warn` is only reported, `off` is not run.
        meaning: what is expected, in words.
        remedy: what to do when it is not met.
        key: where in the config it is written; empty for a built-in one.
    """

    name: str
    frame: str
    scope: str
    expectation: str
    arguments: dict[str, Any]
    severity: Severity
    meaning: str
    remedy: str
    key: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns of the frame that it is about."""
        return columns_in(self.arguments)


def checks(section: ValidateSection, info: TableInfo, further: Iterable[Check] = ()) -> list[Check]:
    """Return all expectations for a table of this task and these classes.

    Args:
        section: limits, severities by name, and the user's own expectations.
        info: task and classes of the table.
        further: built-in expectations of other modules; their severities are set here, too.
    """
    builtin = [*_dataset_checks(section, info), *_image_checks(section)]
    builtin += [*_class_checks(section, info), *_label_checks(section, info), *further]
    chosen = section.expectations
    return [
        *(replace(one, severity=chosen.get(one.name, one.severity)) for one in builtin),
        *(_custom(index, one) for index, one in enumerate(section.custom)),
    ]


def _dataset_checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    found = [
        between(
            "enough_images", DATASET, "images", section.min_images, None,
            f"at least {section.min_images:,} images can be used",
            "ingest more images, or lower validate.min_images",
        ),
        between(
            "few_rejected", DATASET, "rejected_share", 0, section.max_rejected_share,
            f"at most {section.max_rejected_share:.0%} of the files were set aside",
            "see the rejected rows by reason in the report; mend the source, or raise "
            "validate.max_rejected_share",
        ),
        between(
            "annotated", DATASET, "annotated", 1, None,
            "some image has a label, a count or a box",
            "check that ingest.format and ingest.classes fit the source and the task",
        ),
    ]  # fmt: skip
    if info.task == "detect":  # one class of objects is a task; one class of images is none
        return found
    several = between(
        "several_classes", DATASET, "classes", 2, None,
        f"images show at least two different {_nouns(info)[1]}",
        "there is nothing to tell apart: ingest images of another class (ingest.classes), or "
        "choose another task",
    )  # fmt: skip
    return [*found, several]


def _image_checks(section: ValidateSection) -> list[Check]:
    return [
        Check(
            "image_id_unique", IMAGES, f"{REPEATS}image_id", _UNIQUE, {"column": "image_id"},
            "fail", "no two images have the same id",
            "rename the files, or remove the second copies",
        ),
        Check(
            "bytes_unique", IMAGES, f"{REPEATS}sha256", _UNIQUE, {"column": "sha256"},
            "warn", "no two images have the same bytes (SHA-256)",
            "remove the copies, or leave split.near_duplicates on to keep them in one split",
        ),
        Check(
            "same_bytes_same_label", IMAGES, f"{REPEATS}sha256", _NULL,
            {"column": LABELS_OF_COPIES}, "warn",
            "images with the same bytes have the same label",
            "find out which label is right, and remove the other copies from the source",
        ),
        between(
            "shortest_edge", IMAGES, "shortest_edge", section.min_edge, None,
            f"the shorter edge has at least {section.min_edge} pixels",
            "remove these images, or lower validate.min_edge",
        ),
        between(
            "aspect_ratio", IMAGES, "aspect_ratio", None, section.max_aspect_ratio,
            f"the longer edge is at most {section.max_aspect_ratio:g} times the shorter",
            "remove these images, or raise validate.max_aspect_ratio",
        ),
        Check(
            "format_known", IMAGES, ROWS, IN_SET, {"column": "format", "value_set": [*FORMATS]},
            "fail", f"the format is one of {', '.join(FORMATS)}",
            "run ingest again with this release: it re-encodes other formats",
        ),
    ]  # fmt: skip


def _class_checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    noun, _ = _nouns(info)
    rare = between(
        "images_per_class", CLASSES, "images", section.min_images_per_class, None,
        f"each {noun} has at least {section.min_images_per_class} images",
        "ingest more images of it, leave it out (ingest.classes, ingest.max_count), or lower "
        "validate.min_images_per_class",
        # A rare count is normal where counts have a long tail; a rare class cannot be learnt.
        severity="warn" if info.task == "count" else "fail",
    )  # fmt: skip
    if info.task == "detect":
        return [rare]
    share = between(
        "class_share", CLASSES, "share", 0, section.max_class_share,
        f"no {noun} has more than {section.max_class_share:.0%} of the images",
        "ingest more images of the others, or raise validate.max_class_share",
    )  # fmt: skip
    return [rare, share]


def _label_checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    if info.task == "detect":
        return _box_checks(section, info)
    name = "count" if info.task == "count" else "label"
    last, meaning = len(info.classes) - 1, f"is one of the {len(info.classes)} classes"
    remedy = _MEND
    if info.task == "count":  # a model of counts has an output for each up to the largest
        last, meaning = section.largest_count, f"is 0 to {section.largest_count:,}"
        remedy = f"{_MEND}, leave larger ones out (ingest.max_count), or raise "
        remedy += "validate.largest_count"
    return [
        _not_null(f"{name}_present", name, f"every image has a {name}"),
        between(f"{name}_valid", IMAGES, name, 0, last, f"the {name} {meaning}", remedy),
    ]


def _box_checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    inside = [
        between(f"box_{side}_inside", BOXES, side, 0, 1, f"the {word} edge is in [0, 1]", _MEND)
        for side, word in _SIDES.items()
    ]
    same = {"column_list": ["image_id", "label", *_SIDES]}
    return [
        _not_null("boxes_present", "boxes", "every image has a list of boxes, empty or not"),
        between(
            "box_label_valid", BOXES, "label", 0, len(info.classes) - 1,
            f"a box's class is one of the {len(info.classes)} classes", _MEND,
        ),
        *inside,
        _above_zero("box_width_positive", "width", "xmin is less than xmax"),
        _above_zero("box_height_positive", "height", "ymin is less than ymax"),
        between(
            "box_area", BOXES, "area", section.min_box_area, None,
            f"a box covers at least {section.min_box_area:g} of its image",
            "remove these boxes, or lower validate.min_box_area",
        ),
        Check(  # by rows: all boxes of an image are in one frame
            "box_unique", BOXES, ROWS, "expect_compound_columns_to_be_unique", same, "warn",
            "no image has the same box of the same class twice", _MEND,
        ),
    ]  # fmt: skip


def _custom(index: int, one: CustomExpectation) -> Check:
    key = f"validate.custom.{index}"
    said = ", ".join(f"{name} {value}" for name, value in one.arguments.items())
    return Check(
        one.name, one.on, _scope(one), one.expectation, one.arguments, one.severity,
        f"{one.expectation} holds for {one.on} ({said})", f"mend the data, or change {key}", key,
    )  # fmt: skip


def _scope(one: CustomExpectation) -> str:
    """Return which rows the expectation has to see at once, as few as possible."""
    arguments = one.arguments
    if one.on not in (IMAGES, BOXES):
        return WHOLE
    simple = one.expectation == _UNIQUE and set(arguments) == {"column"}
    if simple and one.on == IMAGES and arguments["column"] in UNIQUE:
        return f"{REPEATS}{arguments['column']}"
    return ROWS if form_of(one.expectation).scope == "rows" else WHOLE


def _nouns(info: TableInfo) -> tuple[str, str]:
    """Return what the labels are, one and several of them."""
    return ("count", "counts") if info.task == "count" else ("class", "classes")


def between(
    name: str,
    frame: str,
    column: str,
    low: float | None,
    high: float | None,
    meaning: str,
    remedy: str,
    severity: Severity = "fail",
) -> Check:
    """Expect that no value of a column is out of bounds, which belong to the range."""
    scope = ROWS if frame in (IMAGES, BOXES) else WHOLE
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Check(name, frame, scope, BETWEEN, arguments, severity, meaning, remedy)


def _above_zero(name: str, column: str, meaning: str) -> Check:
    arguments = {"column": column, "min_value": 0, "strict_min": True}
    return Check(name, BOXES, ROWS, BETWEEN, arguments, "fail", meaning, _MEND)


def _not_null(name: str, column: str, meaning: str) -> Check:
    remedy = "check that ingest.format fits the source and the task"
    return Check(name, IMAGES, ROWS, _NOT_NULL, {"column": column}, "fail", meaning, remedy)


def needed_columns(checks: Iterable[Check]) -> dict[tuple[str, str], set[str]]:
    """Return the columns that each frame, by kind and scope, must have."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in checks:
        names = found.setdefault((one.frame, one.scope), set())
        condition = str(one.arguments.get("row_condition") or "")
        known = COLUMNS.get(one.frame, {})
        names.update(one.columns, known.keys() & set(re.findall(r"\w+", condition)))
        # What is said of all rows at once names no row; ids of all images would fill the memory.
        if one.scope != WHOLE or one.frame not in (IMAGES, BOXES) or _names_rows(one):
            names.add("image_id")
        if not names:
            names.add("width")  # rows are counted in some column
    return found


def _names_rows(one: Check) -> bool:
    return "mostly" in form_of(one.expectation).optional
