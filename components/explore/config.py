"""Settings of the explore step."""

from pydantic import Field

from components.shared.config import Section


class ExploreSection(Section):
    """What the exploration report draws; everything is counted, only pictures are sampled."""

    samples: int = Field(24, ge=1, le=200, description="pictures drawn at random")
    classes: int = Field(12, ge=0, le=40, description="classes, or counts, that show examples")
    per_class: int = Field(6, ge=1, le=12, description="examples of each of them")
    duplicates: int = Field(
        6, ge=0, le=40, description="near-duplicate groups shown, largest first"
    )
    thumbnail: int = Field(320, ge=32, le=640, description="longest edge of a picture, pixels")
    pixel_samples: int = Field(
        1000, ge=1, le=10_000, description="images whose brightness and contrast are measured"
    )
    workers: int = Field(0, ge=0, description="processes; 0: one a core")
