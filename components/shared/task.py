"""The three tasks a project can have."""

from typing import Literal

Task = Literal["detect", "count", "classify"]
Split = Literal["train", "val", "test"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")
