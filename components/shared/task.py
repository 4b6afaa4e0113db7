"""The three tasks a project can have."""

from typing import Literal, cast, get_args

from components.shared.errors import UserError

Task = Literal["detect", "count", "classify"]
Split = Literal["train", "val", "test"]
Axis = Literal["horizontal", "vertical"]  # along which an image is mirrored

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def as_task(text: str) -> Task:
    """Return the task that a pipeline parameter names.

    Raises:
        UserError: if there is no such task.
    """
    known = get_args(Task)
    if text not in known:
        raise UserError(f"task: '{text}' is not one of {', '.join(known)}")
    return cast("Task", text)
