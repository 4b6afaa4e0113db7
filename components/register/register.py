"""Keep a model that passed the gate as a version, and make it the champion."""

import json
from pathlib import Path

from components.register.config import RegisterSection
from components.register.location import Location, exclusive, locate
from components.register.mlflow_quiet import MlflowException
from components.register.record import Candidate, Record, read_record
from components.register.registry import Registry
from components.shared.errors import UserError
from components.shared.files import write_text


def register(
    section: RegisterSection,
    project: str,
    candidate: Candidate,
    version: Path,
) -> None:
    """Register the model archive, with its config, metrics, verdict and data's fingerprint.

    The new version becomes the champion: this step runs only for a model that passed the gate.
    The champion before it gets the alias `previous`. The same model on the same data is one
    version, however often it is registered.

    Args:
        section: where model versions are kept.
        project: names the experiment, and the registered model unless the section does.
        candidate: the model, and the files that tell where it comes from and how good it is.
        version: where to write the version's JSON: `name`, `version`, `alias`, `tracking_uri`,
            `run_id`, `model_version` (the archive's SHA-256), `source` (its URI), `created`
            (false when it existed already) and `previous` (the version it replaced, or null).

    Raises:
        UserError: if the verdict says no, or the registry cannot be reached or refuses.
    """
    record = read_record(candidate)
    location = locate(section, project, beside=version)
    with exclusive(location):
        try:
            answer = _register(section, section.model_name or project, project, record, location)
        except MlflowException as error:
            reason = error.message.strip().replace(location.tracking_uri, location.shown)
            raise UserError(f"register: MLflow at {location.shown} failed: {reason}") from error
    write_text(version, json.dumps(answer, indent=2) + "\n")
    state = "new" if answer["created"] else "known already"
    print(f"{answer['name']} version {answer['version']} ({state}) is {answer['alias']}")


def _register(
    section: RegisterSection, name: str, project: str, record: Record, location: Location
) -> dict[str, object]:
    registry = Registry(location)
    known = registry.find(name, record)
    kept = known or registry.add(name, project, record)
    champion = registry.promote(name, str(kept.version), section.champion_alias)
    return {
        "name": name,
        "version": champion.version,
        "alias": section.champion_alias,
        "tracking_uri": location.shown,
        "run_id": kept.run_id,
        "model_version": record.model_sha256,
        "source": kept.source,
        "created": known is None,
        "previous": champion.previous,
    }
