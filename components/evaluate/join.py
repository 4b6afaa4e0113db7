"""Predictions beside the truth, one to one by image."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared.errors import UserError
from components.shared.predictions import (
    ModelIdentity,
    Prediction,
    iter_predictions,
    read_identity,
)
from components.shared.table import LABEL_COLUMN, TableInfo, iter_rows, read_info
from components.shared.task import Task

_COLUMNS = ["image_id", "width", "height", "group", "split", "label", "count", "boxes"]
_SHOWN = 3  # ids named in an error


@dataclass(frozen=True)
class Sample:
    """One image: what is true, and what the model said.

    Attributes:
        size: width and height in pixels.
        group: images of one group are not independent of each other.
        label: true class index (classify).
        count: true number of objects (count).
        boxes: true objects as `(label, xmin, ymin, xmax, ymax)`, normalized to [0, 1] (detect).
    """

    image_id: str
    size: tuple[int, int]
    group: str
    label: int | None
    count: int | None
    boxes: tuple[tuple[int, float, float, float, float], ...]
    prediction: Prediction


@dataclass(frozen=True)
class Joined:
    """The samples of the splits that are evaluated, in the table's order."""

    info: TableInfo
    identity: ModelIdentity
    val: list[Sample]
    test: list[Sample]


def join(predictions: Path, table: Path, task: Task) -> Joined:
    """Match every image of val and test with its one prediction.

    Raises:
        UserError: if task or classes of table and model differ, or an image has no prediction,
            two predictions, a prediction without an image, or one of another split.
    """
    info, identity = read_info(table), read_identity(predictions)
    _check_identity(info, identity, task, predictions)
    answers = _by_id(predictions)
    samples: dict[str, list[Sample]] = {"val": [], "test": []}
    missing: list[str] = []
    for row in iter_rows(table, _COLUMNS):
        if row["split"] not in samples:
            continue
        answer = answers.pop(row["image_id"], None)
        if answer is None:
            missing.append(row["image_id"])
            continue
        split, prediction = answer
        if split != row["split"]:
            raise UserError(
                f"{predictions}: image {row['image_id']} is of split {split}, but of split "
                f"{row['split']} in {table}; predict with the records made from this table"
            )
        samples[split].append(_sample(row, prediction, task, table))
    if missing:
        raise UserError(
            f"{predictions}: {len(missing)} images of val and test have no prediction "
            f"({_some(missing)}); every image needs exactly one; run predict again"
        )
    if answers:
        raise UserError(
            f"{predictions}: {len(answers)} predictions are for images that are not in val or test "
            f"of {table} ({_some(answers)}); predict with the records made from this table"
        )
    if not samples["test"]:
        raise UserError(f"{table}: no image is in split test; nothing can be measured")
    return Joined(info, identity, **samples)


def _check_identity(info: TableInfo, identity: ModelIdentity, task: Task, path: Path) -> None:
    for owner, found in (("the table is", info.task), ("the model is", identity.task)):
        if found != task:
            raise UserError(f"{path}: {owner} for task {found}; the config says {task}")
    if task != "count" and identity.classes != info.classes:
        raise UserError(
            f"{path}: the model's classes {list(identity.classes)} are not the table's "
            f"{list(info.classes)}; class indices would be mixed up; train on this table"
        )


def _by_id(path: Path) -> dict[str, tuple[str, Prediction]]:
    answers: dict[str, tuple[str, Prediction]] = {}
    for image_id, split, prediction in iter_predictions(path):
        if image_id in answers:
            raise UserError(
                f"{path}: image {image_id} has more than one prediction; every image needs "
                "exactly one"
            )
        answers[image_id] = (split, prediction)
    return answers


def _sample(row: dict[str, Any], prediction: Prediction, task: Task, table: Path) -> Sample:
    needed = LABEL_COLUMN[task]
    if row[needed] is None:
        raise UserError(
            f"{table}: image {row['image_id']} has no {needed}, which task {task} needs"
        )
    if getattr(prediction, needed) is None:
        raise UserError(
            f"the prediction of image {row['image_id']} has no {needed}, which task {task} needs"
        )
    return Sample(
        image_id=row["image_id"],
        size=(row["width"], row["height"]),
        group=row["group"],
        label=row["label"],
        count=row["count"],
        boxes=tuple(
            (box["label"], box["xmin"], box["ymin"], box["xmax"], box["ymax"])
            for box in row["boxes"] or ()
        ),
        prediction=prediction,
    )


def _some(ids: Iterable[str]) -> str:
    names = sorted(ids)
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
