"""What may be changed in a training image: one meaning a key, offline and in training.

Free of torch, so that a config is checked with it.
"""

from typing import Final, TypeVar

from pydantic import Field

from components.shared.config import Section
from components.shared.errors import UserError
from components.shared.task import Task

# The value at which an operation is off, in the order in which a reader expects them.
OFF: Final[dict[str, float]] = {
    "horizontal_flip": 0, "vertical_flip": 0,
    "rotate": 0, "translate": 0, "scale": 0, "shear": 0,
    "crop_scale": 1, "pad": 0,
    "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "grayscale": 0,
    "blur": 0, "noise": 0, "jpeg_quality": 100,
    "erasing": 0, "mosaic": 0,
}  # fmt: skip
PROBABILITIES: Final = ("horizontal_flip", "vertical_flip", "grayscale", "erasing", "mosaic")
MOTIONS: Final = ("rotate", "translate", "scale", "shear")

_LOSES: Final = "can remove an item and leave its number"
_UNSAFE_FOR_COUNTS: Final = {
    "crop_scale": f"a crop {_LOSES}",
    "pad": f"a shift {_LOSES}, and what it reflects in can show one twice",
    "erasing": "erasing can hide an item and leave its number",
}


class Operations(Section):
    """Changes made at random to training images, never to others.

    Probabilities decide for each image; of a largest change, each image gets a share of its own.
    Lengths are shares of the image, so that a setting means the same at any size.
    """

    horizontal_flip: float = Field(0.5, ge=0, le=1, description="probability")
    vertical_flip: float = Field(0.0, ge=0, le=1, description="probability")
    rotate: float = Field(0.0, ge=0, le=180, description="largest turn either way, degrees")
    translate: float = Field(0.0, ge=0, le=0.5, description="largest shift, share of the edge")
    scale: float = Field(0.0, ge=0, lt=1, description="largest relative change of size")
    shear: float = Field(0.0, ge=0, le=45, description="largest slant of each axis, degrees")
    keep_whole: bool = Field(
        False,
        description="rotate, translate, scale and shear shrink the image as far as needed for "
        "all of it to stay in the frame (count needs it)",
    )
    crop_scale: float = Field(
        1.0, gt=0, le=1,
        description="smallest share of the image's area a crop keeps (not for count: "
        "a crop can remove an item and leave its number)",
    )  # fmt: skip
    pad: float = Field(
        0.0, ge=0, le=0.5,
        description="shift by up to this share of the edge (reflection padding; only for classify)",
    )  # fmt: skip
    brightness: float = Field(0.0, ge=0, lt=1, description="largest relative change")
    contrast: float = Field(0.0, ge=0, lt=1, description="largest relative change")
    saturation: float = Field(0.0, ge=0, lt=1, description="largest relative change")
    hue: float = Field(0.0, ge=0, le=0.5, description="largest turn, share of the colour circle")
    grayscale: float = Field(0.0, ge=0, le=1, description="probability")
    blur: float = Field(
        0.0, ge=0, le=0.05, description="largest sigma of a Gaussian, share of the shorter edge"
    )
    noise: float = Field(
        0.0, ge=0, le=0.5, description="largest deviation of Gaussian noise, share of the range"
    )
    jpeg_quality: int = Field(
        100, ge=1, le=100, description="lowest quality of a JPEG compression; 100: none"
    )
    erasing: float = Field(
        0.0, ge=0, le=1,
        description="probability of a grey rectangle over 2 to 20 % of the image (not for count: "
        "it can hide an item and leave its number)",
    )  # fmt: skip
    mosaic: float = Field(
        0.0, ge=0, le=1, description="probability of four images in one (only for detect)"
    )
    min_visible: float = Field(
        0.3, ge=0, le=1,
        description="objects of which a smaller share is visible are avoided, or lose their box",
    )  # fmt: skip

    def active(self) -> list[str]:
        """Return the operations that are on, in the order of `OFF`."""
        return [name for name, off in OFF.items() if getattr(self, name) != off]

    def moves(self) -> bool:
        """Tell whether rotate, translate, scale or shear is on."""
        return any(getattr(self, name) > 0 for name in MOTIONS)


AnyOperations = TypeVar("AnyOperations", bound=Operations)


def alone(section: AnyOperations, *names: str) -> AnyOperations:
    """Return a section with only these operations on, always where they have a probability."""
    kept = {name: 1 if name in PROBABILITIES else getattr(section, name) for name in names}
    return section.model_copy(update={**OFF, **kept})


def check_operations(section: Operations, task: Task, where: str) -> None:
    """Refuse operations that would falsify the task's labels, or that it would silently ignore.

    Args:
        section: the operations.
        task: what the labels are for.
        where: the section's key in the config, e.g. `train.augment`.

    Raises:
        UserError: naming the setting, and why.
    """
    if section.mosaic > 0 and task != "detect":
        raise UserError(f"{where}.mosaic: does not serve task '{task}'; leave it out")
    if section.pad > 0 and task == "detect":
        raise UserError(
            f"{where}.pad: does not serve task 'detect', as it moves no boxes; use translate"
        )
    if task != "count":
        return
    for name, reason in _UNSAFE_FOR_COUNTS.items():
        value = getattr(section, name)
        if value != OFF[name]:
            raise UserError(
                f"{where}.{name} is {value:g}, but {reason}; task 'count' needs {OFF[name]:g}"
            )
    if section.moves() and not section.keep_whole:
        name = next(name for name in MOTIONS if getattr(section, name) > 0)
        raise UserError(
            f"{where}.{name} is {getattr(section, name):g}, but what leaves the frame {_LOSES}; "
            f"task 'count' needs {where}.keep_whole: true (all of the image is shrunk into the "
            "frame), or 0"
        )
