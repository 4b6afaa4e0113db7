"""Settings of the im2rec step."""

from pydantic import Field

from components.shared.config import Section


class Im2RecSection(Section):
    """How images are packed into RecordIO."""

    resize: int | None = Field(
        None, ge=8, description="shorter edge, pixels; empty: bytes pass through untouched"
    )
    quality: int = Field(95, ge=1, le=100, description="JPEG quality when resized")
    workers: int = Field(0, ge=0, description="processes; 0: one a core")
