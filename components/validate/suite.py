"""What is expected of an image table: each expectation with its severity and its remedy."""

from dataclasses import dataclass
from typing import Final, Literal

from great_expectations.expectations.core.expect_column_values_to_be_between import (
    ExpectColumnValuesToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
    ExpectColumnValuesToBeInSet,
)
from great_expectations.expectations.core.expect_column_values_to_be_null import (
    ExpectColumnValuesToBeNull,
)
from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
    ExpectColumnValuesToNotBeNull,
)
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

from components.shared.table import TableInfo
from components.validate.config import ValidateSection
from components.validate.frames import BOXES, CLASSES, DATASET, IMAGES

Severity = Literal["fail", "warn"]

# What every reader of the project decodes; ingest re-encodes anything else.
FORMATS: Final = ("jpeg", "png")
_SIDES: Final = {"xmin": "left", "ymin": "top", "xmax": "right", "ymax": "bottom"}
_LEVELS: Final = {"fail": FailureSeverity.CRITICAL, "warn": FailureSeverity.WARNING}


@dataclass(frozen=True)
class Check:
    """One expectation.

    Attributes:
        name: how results and messages call it.
        frame: the kind of frame it is for.
        column: the column of that frame it looks at.
        severity: `fail` stops the run, `warn` is only reported.
        expectation: Great Expectations' own.
        meaning: what is expected, in words.
        remedy: what to do when it is not met.
    """

    name: str
    frame: str
    column: str
    severity: Severity
    expectation: Expectation
    meaning: str
    remedy: str


def checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    """Return all expectations for a table of this task and these classes."""
    found = [*_dataset_checks(section), *_image_checks(section)]
    if info.task == "detect":
        return [*found, *_class_checks(section, info), *_box_checks(section, info)]
    return [*found, *_class_checks(section, info), *_label_checks(info)]


def _dataset_checks(section: ValidateSection) -> list[Check]:
    return [
        _between(
            "enough_images", DATASET, "images", section.min_images, None,
            f"at least {section.min_images:,} images can be used",
            "ingest more images, or lower validate.min_images",
        ),
        _between(
            "few_rejected", DATASET, "rejected_share", 0, section.max_rejected_share,
            f"at most {section.max_rejected_share:.0%} of the files were set aside",
            "see the rejected rows by reason in the report; mend the source, or raise "
            "validate.max_rejected_share",
        ),
        _between(
            "annotated", DATASET, "annotated", 1, None,
            "some image has a label, a count or a box",
            "check that ingest.format and ingest.classes fit the source and the task",
        ),
    ]  # fmt: skip


def _image_checks(section: ValidateSection) -> list[Check]:
    return [
        _null(
            "image_id_unique", "repeated_id", "no two images have the same id",
            "rename the files, or remove the second copies", "fail",
        ),
        _null(
            "bytes_unique", "repeated_bytes", "no two images have the same bytes (SHA-256)",
            "remove the copies, or leave split.near_duplicates on to keep them in one split",
            "warn",
        ),
        _between(
            "shortest_edge", IMAGES, "shortest_edge", section.min_edge, None,
            f"the shorter edge has at least {section.min_edge} pixels",
            "remove these images, or lower validate.min_edge",
        ),
        _between(
            "aspect_ratio", IMAGES, "aspect_ratio", None, section.max_aspect_ratio,
            f"the longer edge is at most {section.max_aspect_ratio:g} times the shorter",
            "remove these images, or raise validate.max_aspect_ratio",
        ),
        _known_format(
            "format_known", f"the format is one of {', '.join(FORMATS)}",
            "run ingest again with this release: it re-encodes other formats",
        ),
    ]  # fmt: skip


def _class_checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    rare = _between(
        "images_per_class", CLASSES, "images", section.min_images_per_class, None,
        f"each {_noun(info)} has at least {section.min_images_per_class} images",
        "ingest more images of it, leave it out (ingest.classes, ingest.max_count), or lower "
        "validate.min_images_per_class",
        # A rare count is normal where counts have a long tail; a rare class cannot be learnt.
        severity="warn" if info.task == "count" else "fail",
    )  # fmt: skip
    if info.task == "detect":  # one class of objects is a task; one class of images is none
        return [rare]
    return [
        rare,
        _between(
            "several_classes", DATASET, "classes", 2, None,
            f"images show at least two different {_noun(info, several=True)}",
            "there is nothing to tell apart: ingest images of another class (ingest.classes), or "
            "choose another task",
        ),
        _between(
            "class_share", CLASSES, "share", 0, section.max_class_share,
            f"no {_noun(info)} has more than {section.max_class_share:.0%} of the images",
            "ingest more images of the others, or raise validate.max_class_share",
        ),
    ]  # fmt: skip


def _label_checks(info: TableInfo) -> list[Check]:
    name = "count" if info.task == "count" else "label"
    last = None if info.task == "count" else len(info.classes) - 1
    meaning = "is 0 or more" if last is None else f"is one of the {len(info.classes)} classes"
    return [
        _not_null(f"{name}_present", "label", f"every image has a {name}"),
        _between(
            f"{name}_valid", IMAGES, "label", 0, last, f"the {name} {meaning}",
            "mend the annotation in the source and run ingest again",
        ),
    ]  # fmt: skip


def _box_checks(section: ValidateSection, info: TableInfo) -> list[Check]:
    mend = "mend the annotation in the source and run ingest again"
    inside = [
        _between(f"box_{side}_inside", BOXES, side, 0, 1, f"the {word} edge is in [0, 1]", mend)
        for side, word in _SIDES.items()
    ]
    return [
        _not_null("boxes_present", "label", "every image has a list of boxes, empty or not"),
        _between(
            "box_label_valid", BOXES, "label", 0, len(info.classes) - 1,
            f"a box's class is one of the {len(info.classes)} classes", mend,
        ),
        *inside,
        _above_zero("box_width_positive", "width", "xmin is less than xmax", mend),
        _above_zero("box_height_positive", "height", "ymin is less than ymax", mend),
        _between(
            "box_area", BOXES, "area", section.min_box_area, None,
            f"a box covers at least {section.min_box_area:g} of its image",
            "remove these boxes, or lower validate.min_box_area",
        ),
    ]  # fmt: skip


def _noun(info: TableInfo, *, several: bool = False) -> str:
    one, more = ("count", "counts") if info.task == "count" else ("class", "classes")
    return more if several else one


def _between(
    name: str,
    frame: str,
    column: str,
    low: float | None,
    high: float | None,
    meaning: str,
    remedy: str,
    severity: Severity = "fail",
) -> Check:
    expectation = ExpectColumnValuesToBeBetween(
        column=column,
        min_value=low,
        max_value=high,
        severity=_LEVELS[severity],
        meta={"name": name},
    )
    return Check(name, frame, column, severity, expectation, meaning, remedy)


def _above_zero(name: str, column: str, meaning: str, remedy: str) -> Check:
    expectation = ExpectColumnValuesToBeBetween(
        column=column,
        min_value=0,
        strict_min=True,
        severity=_LEVELS["fail"],
        meta={"name": name},
    )
    return Check(name, BOXES, column, "fail", expectation, meaning, remedy)


def _null(name: str, column: str, meaning: str, remedy: str, severity: Severity) -> Check:
    expectation = ExpectColumnValuesToBeNull(
        column=column, severity=_LEVELS[severity], meta={"name": name}
    )
    return Check(name, IMAGES, column, severity, expectation, meaning, remedy)


def _not_null(name: str, column: str, meaning: str) -> Check:
    expectation = ExpectColumnValuesToNotBeNull(
        column=column, severity=_LEVELS["fail"], meta={"name": name}
    )
    remedy = "check that ingest.format fits the source and the task"
    return Check(name, IMAGES, column, "fail", expectation, meaning, remedy)


def _known_format(name: str, meaning: str, remedy: str) -> Check:
    expectation = ExpectColumnValuesToBeInSet(
        column="format",
        value_set=list(FORMATS),
        severity=_LEVELS["fail"],
        meta={"name": name},
    )
    return Check(name, IMAGES, "format", "fail", expectation, meaning, remedy)
