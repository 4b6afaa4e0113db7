"""Settings of the deploy step."""

from pydantic import Field

from components.shared.config import Section


class DeploySection(Section):
    """The endpoint and the smoke test it must pass."""

    smoke_images: int = Field(16, ge=1, description="test images sent to the new endpoint")
    tolerance: float = Field(
        1e-3, gt=0, description="largest difference between its answers and predict's"
    )
    max_latency_ms: float | None = Field(
        None, gt=0, description="largest median latency; empty: measured, not judged"
    )
    start_timeout_s: float = Field(120, gt=0, description="seconds until it must answer /ping")
