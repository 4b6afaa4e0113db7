"""Settings of the explore step."""

from pydantic import Field

from components.shared.config import Section


class ExploreSection(Section):
    """What the exploration report draws; everything is counted, only pictures are sampled."""

    samples: int = Field(24, ge=1, le=200, description="pictures in the sample grid")
    thumbnail: int = Field(320, ge=32, le=640, description="longest edge of a picture, pixels")
    pixel_samples: int = Field(
        500, ge=1, le=10_000, description="images whose brightness and contrast are measured"
    )
