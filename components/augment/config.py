"""Settings of the augment step."""

from typing import Any, Self

from pydantic import Field, model_validator

from components.shared.augmentation.config import Operations, check_operations
from components.shared.task import Task


class AugmentSection(Operations):
    """Offline copies of training images; 0 copies leaves the data as it is."""

    copies: int = Field(0, ge=0, le=20, description="copies of each training image")
    # A flip alone would leave half of the copies as the originals are.
    brightness: float = Field(0.2, ge=0, lt=1, description="largest relative change")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest relative change")
    saturation: float = Field(0.2, ge=0, lt=1, description="largest relative change")
    quality: int = Field(95, ge=1, le=100, description="JPEG quality in which copies are stored")
    samples: int = Field(
        4, ge=1, le=20, description="images on the demo sheet, with each operation"
    )
    workers: int = Field(0, ge=0, description="processes; 0: one a core")

    @model_validator(mode="before")
    @classmethod
    def _names_what_was_renamed(cls, values: Any) -> Any:
        if isinstance(values, dict) and "min_crop" in values:
            old = values["min_crop"]
            area = f"{old**2:.3g}" if isinstance(old, int | float) else "its square"
            raise ValueError(
                "min_crop is now called crop_scale, as in train.augment, and is the share of the "
                f"area that a crop keeps, not of each edge; for min_crop: {old} write "
                f"crop_scale: {area}"
            )
        return values

    @model_validator(mode="after")
    def _copies_differ(self) -> Self:
        if self.copies and not self.active():
            raise ValueError("copies are asked for, but no operation that would change them")
        return self


def check_task(section: AugmentSection, task: Task) -> None:
    """Refuse operations that would falsify the task's labels.

    Raises:
        UserError: naming the setting.
    """
    check_operations(section, task, "augment")
