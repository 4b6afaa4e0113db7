"""Runs, model versions and aliases in MLflow."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.register.config import PREVIOUS
from components.register.location import Location
from components.register.mlflow_quiet import (
    Metric,
    MlflowClient,
    MlflowException,
    ModelVersion,
    Param,
)
from components.register.record import DATA_TAG, MODEL_FILE, MODEL_TAG, Record
from components.shared.errors import UserError

_BATCH = 100  # parameters MLflow takes in one request


@dataclass(frozen=True)
class Champion:
    """The outcome of a promotion.

    Attributes:
        version: the version that holds the alias now.
        previous: the version that held it before; None when there was none.
    """

    version: str
    previous: str | None


class Registry:
    """One MLflow tracking server or database, seen as a registry of a project's models."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._client = MlflowClient(location.tracking_uri, location.tracking_uri)

    def find(self, name: str, record: Record) -> ModelVersion | None:
        """Return the newest version of this very model on this very data, or None."""
        wanted = f"name = '{name}' and tags.`{MODEL_TAG}` = '{record.model_sha256}'"
        found = [
            version
            for version in self._client.search_model_versions(wanted)
            if version.tags.get(DATA_TAG) == record.data_fingerprint
        ]
        return max(found, key=lambda version: int(version.version), default=None)

    def add(self, name: str, experiment: str, record: Record) -> ModelVersion:
        """Log the record as a run, and its archive as the next version of the model."""
        experiment_id = self._experiment(experiment)
        run = self._client.create_run(
            experiment_id, tags=record.tags, run_name=f"{name}-{record.model_sha256[:8]}"
        )
        with self._finished(run.info.run_id):
            self._log(run.info.run_id, record)
            self._make_model(name)
            return self._client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{MODEL_FILE}",
                run_id=run.info.run_id,
                tags=record.tags,
            )

    def promote(self, name: str, version: str, alias: str) -> Champion:
        """Give the alias to a version; its former holder becomes `previous`."""
        holder = self._client.get_registered_model(name).aliases.get(alias)
        holder = None if holder is None else str(holder)  # its type depends on the store
        if holder == version:
            return Champion(version, None)
        if holder is not None:
            # The former champion is marked first: between two requests both may be it, never none.
            self._client.set_registered_model_alias(name, PREVIOUS, holder)
            self._client.set_model_version_tag(name, version, "replaced", holder)
        self._client.set_registered_model_alias(name, alias, version)
        return Champion(version, holder)

    def _experiment(self, name: str) -> str:
        """Return the id of the project's experiment, made when it is missing."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return self._client.create_experiment(name, self._location.artifact_location)
            except MlflowException as error:
                # Someone else made it in between (no lock spans a tracking server's clients).
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self._experiment(name)
        if found.lifecycle_stage != "active":
            raise UserError(
                f"register: the experiment '{name}' was deleted; bring it back with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
            )
        return found.experiment_id

    def _make_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _log(self, run_id: str, record: Record) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0) for key, value in record.metrics.items()]
        params = [Param(key, value) for key, value in record.params.items()]
        self._client.log_batch(run_id, metrics=metrics)
        for start in range(0, len(params), _BATCH):
            self._client.log_batch(run_id, params=params[start : start + _BATCH])
        self._client.log_text(run_id, record.config_text, "config.yaml")
        with tempfile.TemporaryDirectory() as folder:
            for file_name, path in record.files.items():
                # MLflow keeps a file's own name; the orchestrator's names mean nothing here.
                link = Path(folder) / file_name
                link.symlink_to(path.resolve())
                self._client.log_artifact(run_id, str(link))

    @contextmanager
    def _finished(self, run_id: str) -> Iterator[None]:
        """End the run with the block: as finished, or as failed."""
        try:
            yield
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, "FINISHED")
