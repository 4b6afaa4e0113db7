"""Where the registry is, and how two steps share one SQLite file."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.register.config import SQLITE, RegisterSection, check_address
from components.shared.addresses import without_password


@dataclass(frozen=True)
class Location:
    """A registry's address.

    Attributes:
        tracking_uri: MLflow's tracking URI, which is its registry's too.
        artifact_location: URI under which a new experiment keeps its files; None: the tracking
            server decides.
        database: the file of an SQLite registry, else None.
    """

    tracking_uri: str
    artifact_location: str | None
    database: Path | None

    @property
    def shown(self) -> str:
        """The tracking URI as messages and files may show it: without user and password."""
        return without_password(self.tracking_uri)


def locate(section: RegisterSection, project: str, beside: Path) -> Location:
    """Return where the section's registry is.

    An empty `tracking_uri` means an SQLite file in the folder that the environment variable
    `SIGHTLINE_REGISTRY_DIR` names (the local runner names the folder of all runs), or beside
    the step's output at `beside`.

    Raises:
        UserError: if the address is of no known kind, or a database without a place for files.
    """
    check_address(section)
    uri = section.tracking_uri or _default_uri(beside)
    given = f"{section.artifact_location.rstrip('/')}/{project}"
    if uri.startswith(SQLITE):
        database = Path(uri.removeprefix(SQLITE).partition("?")[0]).resolve()
        files = given if section.artifact_location else _files_beside(database, project)
        return Location(uri, files, database)
    if section.artifact_location:
        return Location(uri, given, None)
    return Location(uri, None, None)


def _default_uri(beside: Path) -> str:
    folder = Path(os.environ.get("SIGHTLINE_REGISTRY_DIR") or beside.parent).resolve()
    return f"{SQLITE}{folder / 'mlflow.db'}"


def _files_beside(database: Path, project: str) -> str:
    return (database.parent / f"{database.stem}-files" / project).as_uri()


@contextmanager
def exclusive(location: Location) -> Iterator[None]:
    """Let one step at a time into an SQLite registry; others wait.

    MLflow creates a new database's tables without a lock, and two writers would else both find
    that a version does not exist yet. A database server takes care of its own writers.
    """
    if location.database is None:
        yield
        return
    location.database.parent.mkdir(parents=True, exist_ok=True)
    lock = location.database.with_name(location.database.name + ".lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes, however we end
        yield
