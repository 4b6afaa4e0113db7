"""Settings of the register step."""

import re

from pydantic import Field, field_validator

from components.shared.config import Section

PREVIOUS = "previous"  # the alias of the champion that the newest one replaced


class RegisterSection(Section):
    """Where model versions are kept."""

    tracking_uri: str = Field(
        "", description="an MLflow tracking URI; empty: SQLite beside the project's runs"
    )
    artifact_location: str = Field(
        "",
        description="where a new experiment keeps its files, e.g. s3://bucket/folder; empty: "
        "beside an SQLite database, else where the tracking server says",
    )
    model_name: str = Field(
        "", pattern=r"^[\w .-]*$", description="registered model; empty: the project's name"
    )
    champion_alias: str = Field("champion", min_length=1, pattern=r"^[\w-]+$")

    @field_validator("champion_alias")
    @classmethod
    def _is_free(cls, alias: str) -> str:
        """Refuse what MLflow, or this step, uses for something else."""
        if alias in ("latest", PREVIOUS) or re.fullmatch(r"v\d+", alias, re.IGNORECASE):
            raise ValueError(f"'{alias}' has another meaning here; choose e.g. champion")
        return alias
