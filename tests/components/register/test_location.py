"""Where the registry is, by its settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from components.register.config import RegisterSection
from components.register.location import locate
from components.shared.errors import UserError


@pytest.fixture(autouse=True)
def _no_registry_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGHTLINE_REGISTRY_DIR", raising=False)


def test_files_go_beside_an_sqlite_database() -> None:
    section = RegisterSection(tracking_uri="sqlite:////srv/tracking.db?timeout=5")

    location = locate(section, "dogs", Path("out/version"))

    assert location.database == Path("/srv/tracking.db")
    assert location.artifact_location == "file:///srv/tracking-files/dogs"


@pytest.mark.parametrize("uri", ["sqlite:////srv/mlflow.db", "http://mlflow:5000"])
def test_the_place_for_files_can_be_chosen(uri: str) -> None:
    section = RegisterSection(tracking_uri=uri, artifact_location="s3://models/all/")

    location = locate(section, "dogs", Path("out/version"))

    assert location.artifact_location == "s3://models/all/dogs"


def test_a_tracking_server_decides_on_the_place_for_files() -> None:
    location = locate(RegisterSection(tracking_uri="https://mlflow"), "dogs", Path("version"))

    assert location.artifact_location is None
    assert location.database is None


def test_a_database_server_without_a_place_for_files_is_refused_without_its_password() -> None:
    section = RegisterSection(tracking_uri="postgresql://me:secret@db/mlflow")

    with pytest.raises(UserError, match=r"artifact_location: .* postgresql://db/mlflow"):
        locate(section, "dogs", Path("version"))


@pytest.mark.parametrize("uri", ["runs/mlflow", "mlflow.db", "server:5000"])
def test_an_address_of_no_known_kind_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match=r"register\.tracking_uri"):
        locate(RegisterSection(tracking_uri=uri), "dogs", Path("version"))


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:secret@mlflow:5000", "http://mlflow:5000"),
        ("http://me:p@ssw@rd@mlflow:5000", "http://mlflow:5000"),
        ("http://mlflow:5000/a@b", "http://mlflow:5000/a@b"),
        ("sqlite:////srv/a@b/mlflow.db", "sqlite:////srv/a@b/mlflow.db"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_no_password_is_shown(uri: str, shown: str) -> None:
    location = locate(RegisterSection(tracking_uri=uri), "dogs", Path("version"))

    assert location.shown == shown


@pytest.mark.parametrize("alias", ["", "latest", "previous", "v3", "V12", "our champion"])
def test_an_alias_that_means_something_else_is_refused(alias: str) -> None:
    with pytest.raises(ValidationError, match="champion_alias"):
        RegisterSection(champion_alias=alias)


@pytest.mark.parametrize("name", ["a/b", "a:b", "it's"])
def test_a_name_that_mlflow_refuses_is_refused_before_the_run(name: str) -> None:
    with pytest.raises(ValidationError, match="model_name"):
        RegisterSection(model_name=name)
