"""Settings of the augment step."""

from typing import Self

from pydantic import Field, model_validator

from components.shared.config import Section
from components.shared.errors import UserError
from components.shared.task import Task


class AugmentSection(Section):
    """Offline copies of training images; 0 copies leaves the data as it is."""

    copies: int = Field(0, ge=0, le=20, description="copies of each training image")
    horizontal_flip: float = Field(0.5, ge=0, le=1, description="probability")
    vertical_flip: float = Field(0.0, ge=0, le=1, description="probability")
    brightness: float = Field(0.2, ge=0, lt=1, description="largest relative change")
    contrast: float = Field(0.2, ge=0, lt=1, description="largest relative change")
    saturation: float = Field(0.2, ge=0, lt=1, description="largest relative change")
    min_crop: float = Field(
        1.0, gt=0, le=1, description="smallest share of each edge a crop keeps; 1: no crop"
    )
    min_visible: float = Field(
        0.3, ge=0, le=1, description="boxes with a smaller visible share are dropped"
    )
    quality: int = Field(95, ge=1, le=100, description="JPEG quality of the copies")
    workers: int = Field(0, ge=0, description="processes; 0: one a core")

    @model_validator(mode="after")
    def _copies_differ(self) -> Self:
        changes = (
            self.horizontal_flip, self.vertical_flip, self.brightness,
            self.contrast, self.saturation, 1 - self.min_crop,
        )  # fmt: skip
        if self.copies and not any(changes):
            raise ValueError("copies are asked for, but no operation that would change them")
        return self


def check_task(section: AugmentSection, task: Task) -> None:
    """Refuse a crop where it could falsify a label.

    Raises:
        UserError: naming the setting.
    """
    if task == "count" and section.min_crop < 1:
        raise UserError(
            f"augment.min_crop is {section.min_crop:g}, but a crop can remove an item and leave "
            "its number; task 'count' needs 1"
        )
