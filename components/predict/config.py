"""Settings of the predict step."""

from pydantic import Field

from components.shared.config import Section


class PredictSection(Section):
    """How the model is run over the validation and test images."""

    batch_size: int = Field(32, ge=1)
    min_score: float = Field(0.01, ge=0, lt=1, description="weaker detections are left out")
    max_detections: int = Field(100, ge=1, description="strongest detections kept an image")
