"""Settings of the register step."""

import re

from pydantic import Field, field_validator

from components.shared.addresses import without_password
from components.shared.config import Section
from components.shared.errors import UserError

PREVIOUS = "previous"  # the alias of the champion that the newest one replaced


SQLITE = "sqlite:///"
SERVERS = ("http://", "https://", "databricks")


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


def check_address(section: RegisterSection) -> None:
    """Refuse an address of no known kind, or a database without a place for files.

    Raises:
        UserError: naming the key and what to give instead.
    """
    uri = section.tracking_uri
    if not uri or uri.startswith(SQLITE):
        return
    if "://" not in uri and not uri.startswith("databricks"):
        raise UserError(
            f"register.tracking_uri: '{uri}' is not an address of an MLflow server or database; "
            "use http://server:5000 or sqlite:///folder/mlflow.db, or leave it empty"
        )
    if not section.artifact_location and not uri.startswith(SERVERS):
        raise UserError(
            f"register.artifact_location: is required with the database {without_password(uri)}, "
            "which has no place for files; use e.g. s3://bucket/models"
        )
