"""Settings of the validate step."""

from pydantic import Field

from components.shared.config import Section


class ValidateSection(Section):
    """What the image table must satisfy; a broken expectation stops the run."""

    min_images: int = Field(10, ge=1, description="fewest usable images")
    min_images_per_class: int = Field(2, ge=0, description="fewest images of any class or count")
    max_class_share: float = Field(0.99, gt=0, le=1, description="largest share of one class")
    max_rejected_share: float = Field(0.2, ge=0, le=1, description="largest share set aside")
    min_edge: int = Field(8, ge=1, description="shortest edge an image may have, pixels")
    max_aspect_ratio: float = Field(20.0, ge=1, description="longest edge over shortest")
    min_box_area: float = Field(
        1e-6, ge=0, le=1, description="smallest box, as a share of the image"
    )
    examples: int = Field(10, ge=1, description="offending rows shown for each expectation")
