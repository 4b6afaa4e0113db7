"""Settings of the im2rec step."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.shared.config import Section

Pixels = Annotated[int, Field(ge=8)]


class Im2RecSection(Section):
    """How images are packed into RecordIO."""

    resize: Pixels | None = Field(
        None, description="shorter edge, pixels; empty, with resize_to: bytes pass through"
    )
    resize_to: tuple[Pixels, Pixels] | None = Field(
        None, description="a box to resize to instead: [width, height], pixels"
    )
    fit: Literal["inside", "exact"] = Field(
        "inside",
        description="inside: the largest size of the same shape in the box; exact: stretched to it",
    )
    enlarge: bool = Field(False, description="whether smaller images grow to the size asked for")
    quality: int = Field(95, ge=1, le=100, description="JPEG quality when resized")
    part_bytes: int = Field(
        0,
        ge=0,
        description="largest .rec file; a larger split becomes several. 0: one file a split, "
        "which SageMaker's built-in algorithms ask for",
    )
    coco: bool = Field(True, description="detection: whether to write {split}.coco.json too")
    workers: int = Field(0, ge=0, description="threads; 0: one a core")

    @property
    def resizes(self) -> bool:
        """Whether images are decoded and encoded anew, instead of passing through."""
        return self.resize is not None or self.resize_to is not None

    @model_validator(mode="after")
    def _one_way_to_resize(self) -> Self:
        if self.resize is not None and self.resize_to is not None:
            raise ValueError("give either resize or resize_to")
        if self.fit == "exact" and (self.resize_to is None or not self.enlarge):
            raise ValueError(
                "fit 'exact' needs resize_to, and 'enlarge: true', since images smaller than the "
                "box are enlarged to it"
            )
        if self.enlarge and not self.resizes:
            raise ValueError("enlarge needs a size to enlarge to: give resize or resize_to")
        return self
