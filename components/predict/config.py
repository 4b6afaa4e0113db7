"""Settings of the predict step."""

from pydantic import Field

from components.shared.config import Section


class PredictSection(Section):
    """How the model is run over the validation and test images."""

    batch_size: int = Field(32, ge=1)
