"""Settings of the register step."""

from pydantic import Field

from components.shared.config import Section


class RegisterSection(Section):
    """Where model versions are kept."""

    tracking_uri: str = Field(
        "", description="an MLflow tracking URI; empty: SQLite beside the project's runs"
    )
    model_name: str = Field("", description="registered model; empty: the project's name")
    champion_alias: str = Field("champion", min_length=1)
