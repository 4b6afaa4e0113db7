"""A project's config: one YAML file, one section a step."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import Field, ValidationError, model_validator

from components.augment.config import AugmentSection
from components.augment.config import check_task as check_augment_task
from components.deploy.config import DeploySection
from components.evaluate.config import EvaluateSection
from components.evaluate.names import check_metrics
from components.explore.config import ExploreSection
from components.im2rec.config import Im2RecSection
from components.ingest.config import IngestSection
from components.ingest.config import check_task as check_ingest_task
from components.predict.config import PredictSection
from components.register.config import SQLITE, RegisterSection, check_address
from components.shared.config import Section, explain
from components.shared.errors import UserError
from components.shared.task import Task
from components.shared.training.checks import check_settings
from components.shared.training.config import is_weights_file
from components.split.config import SplitSection
from components.train.config import TrainSection
from components.tune.config import TuneSection
from components.tune.ranges import own_values
from components.validate.config import ValidateSection
from components.validate.config import check_task as check_validate_task
from pipelines.placement import PlacementSection

AnySection = TypeVar("AnySection", bound=Section)


class Project(Section):
    """A whole config file. Every section may be left out: its defaults then hold."""

    project: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        description="names runs, the registered model and the endpoint",
    )
    task: Task
    seed: int = Field(0, ge=0, lt=2**31)
    ingest: IngestSection = IngestSection()
    # pydantic's own methods hold the names `validate` and `register`.
    validate_: ValidateSection = Field(ValidateSection(), alias="validate")
    explore: ExploreSection = ExploreSection()
    split: SplitSection = SplitSection()
    augment: AugmentSection = AugmentSection()
    im2rec: Im2RecSection = Im2RecSection()
    train: TrainSection = TrainSection()
    tune: TuneSection = TuneSection()
    predict: PredictSection = PredictSection()
    evaluate: EvaluateSection = EvaluateSection()
    register_: RegisterSection = Field(RegisterSection(), alias="register")
    deploy: DeploySection = DeploySection()
    placement: PlacementSection = PlacementSection()

    def section(self, step: str) -> Section:
        """Return the section of a step by its name."""
        found: Section = getattr(self, f"{step}_" if step in ("validate", "register") else step)
        return found

    def to_yaml(self) -> str:
        """Return the whole config, defaults written out, as YAML."""
        return yaml.safe_dump(json.loads(self.model_dump_json(by_alias=True)), sort_keys=False)

    @model_validator(mode="after")
    def _settings_suit_the_task(self) -> Self:
        try:
            check_ingest_task(self.ingest, self.task)
            check_address(self.register_)
            check_settings(self.train, self.task)
            check_augment_task(self.augment, self.task)
            check_validate_task(self.validate_, self.task)
            check_metrics(self.evaluate, self.task)
            own_values(self.tune.space, self.train, self.task)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self


def load(path: Path, overrides: Iterable[str] = ()) -> Project:
    """Read a config file and apply `key=value` overrides.

    Args:
        path: the YAML file.
        overrides: dotted keys and YAML values, e.g. `train.epochs=3`.

    Raises:
        UserError: naming the file and each wrong key.
    """
    values = _read(path)
    for override in overrides:
        _apply(values, override)
    try:
        project = Project.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}:\n{explain(error, Project)}") from None
    try:
        return _with_absolute_paths(project)
    except (ValueError, RuntimeError) as error:  # a zero byte, say, or the home of nobody
        raise UserError(f"{path}: a path in it cannot be one: {error}") from None


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys differ."""
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{twice}' stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); see configs/") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    try:
        values = yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys such as project, task and ingest")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one dotted key in place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: expected key=value, e.g. train.epochs=3")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        value = text
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise UserError(f"--set {override}: '{parent}' is a value, not a section")
    section[last] = value


def local_paths(project: Project) -> dict[str, Path]:
    """Return the files and folders of this machine that a config names, by key."""
    named = {
        "ingest.uri": project.ingest.uri,
        "ingest.ids": project.ingest.ids or "",
        "validate.drift.baseline": project.validate_.drift.baseline,
        "train.weights": project.train.weights if is_weights_file(project.train.weights) else "",
    }
    found = {key: _on_this_machine(address) for key, address in named.items()}
    return {key: path for key, path in found.items() if path is not None}


def registry_folders(project: Project) -> list[Path]:
    """Return the folders of this machine in which a config keeps its registry."""
    database = project.register_.tracking_uri
    found = [_database(database).parent] if database.startswith(SQLITE) else []
    files = _on_this_machine(project.register_.artifact_location)
    if files is not None:
        found.append(files)
    return [folder.expanduser().resolve() for folder in found]


def _on_this_machine(address: str) -> Path | None:
    """Return the file or folder that an address names; None for none, and for remote ones."""
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    return Path(address) if address and "://" not in address else None


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE).partition("?")[0])


def check_paths(project: Project) -> None:
    """Make sure that every local path exists.

    Raises:
        UserError: naming the key, the path, and how to give another.
    """
    for key, path in local_paths(project).items():
        if not path.exists():
            raise UserError(f"{key}: {path} does not exist; give your own with --set {key}=PATH")


def _with_absolute_paths(project: Project) -> Project:
    """Resolve local paths against the user's folder: steps run in folders of their own."""
    paths = local_paths(project)
    if project.ingest.download_folder:
        paths["ingest.download_folder"] = Path(project.ingest.download_folder)
    resolved = {key: str(path.expanduser().resolve()) for key, path in paths.items()}
    uri = project.register_.tracking_uri
    if uri.startswith(SQLITE):
        given = _database(uri)
        whole = given.expanduser().resolve()
        resolved["register.tracking_uri"] = uri.replace(f"{SQLITE}{given}", f"{SQLITE}{whole}")
    for key, path in resolved.items():
        project = _replaced(project, key.split("."), path)
    return project


def _replaced(section: AnySection, key: Sequence[str], value: str) -> AnySection:
    """Return a section with the setting of a dotted key replaced."""
    first, *rest = key
    fields = type(section).model_fields.items()
    name = next(name for name, field in fields if first in (name, field.alias))
    inner = _replaced(getattr(section, name), rest, value) if rest else value
    return section.model_copy(update={name: inner})
