from pathlib import Path

import pytest

from components.shared.errors import UserError
from pipelines.config import Project, check_paths, load, registry_folders

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text("project: small\ntask: classify\ntrain: {epochs: 2}\n")
    return path


def test_the_five_projects_are_there() -> None:
    assert {path.stem for path in CONFIGS} == {"demo", "airplanes", "bins", "dogs", "scones"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_valid_and_gated(path: Path) -> None:
    project = load(path)
    assert project.project == path.stem
    assert project.evaluate.gate


def test_sections_survive_the_json_that_pipeline_parameters_carry(config: Path) -> None:
    project = load(config)
    for name in ("ingest", "validate", "train", "evaluate", "register"):
        section = project.section(name)
        assert type(section).from_json(section.model_dump_json()) == section


def test_the_printed_config_loads_again(config: Path, tmp_path: Path) -> None:
    project = load(config, ["train.epochs=7"])
    printed = tmp_path / "printed.yaml"
    printed.write_text(project.to_yaml())
    assert load(printed) == project


def test_an_override_wins_over_the_file(config: Path) -> None:
    project = load(config, ["train.epochs=3", "train.augment.mixup=0.4", "ingest.classes=[a, b]"])
    assert project.train.epochs == 3
    assert project.train.augment.mixup == 0.4
    assert project.ingest.classes == ["a", "b"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epoch=3", "train.epoch: unknown key; did you mean 'epochs'?"),
        ("trian.epochs=3", "trian: unknown key; did you mean 'train'?"),
        ("validat.min_images=3", "validat: unknown key; did you mean 'validate'?"),
        ("train.augment.hflip=1", "train.augment.hflip: unknown key; "),
        ("train.epochs=0", "train.epochs: input should be greater than or equal to 1; got 0"),
        ("train.epochs=many", "train.epochs: input should be a valid integer"),
        ("train.model=resnet", "train.model: input should be 'resnet18'"),
        ("task=segment", "task: input should be 'detect', 'count' or 'classify'; got 'segment'"),
        ("project=My Project", "project: string should match pattern"),
        ("ingest.format=voc", "ingest: uri is required for format 'voc'"),
        ("split.train=0.9", "split: train, val and test must sum to 1; they sum to 1.1"),
        ("train.model=fcos_resnet18", "'fcos_resnet18' does not serve task 'classify'"),
        ("evaluate.gate=[{metric: ap}]", "evaluate.gate.0: give either at_least or at_most"),
        ("evaluate.gate=[{metrics: ap}]", "unknown key; did you mean 'metric'?"),
        (
            "evaluate.gate=[{metric: acuracy, at_least: 0.9}]",
            "evaluate.gate.0.metric: 'acuracy' is not measured for task 'classify'; "
            "did you mean 'accuracy'?",
        ),
        (
            "evaluate.benchmark.metrics={rmse: 1.0}",
            "evaluate.benchmark.metrics.rmse: 'rmse' is not measured for task 'classify'; known: ",
        ),
        ("tune.space={learning_rat: {low: 1, high: 2}}", "did you mean 'learning_rate'?"),
        ("tune.space={epochs: {low: 2, high: 1}}", "low below high"),
        (
            "tune.space={model: {choices: [resnet18, fcos_resnet18]}}",
            "tune.space.model: train.model: 'fcos_resnet18' does not serve task 'classify'",
        ),
        ("train.learning_rate=.nan", "train.learning_rate"),
        ("augment.copies=-1", "augment.copies: input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path_and_the_way_out(
    config: Path, override: str, expected: str
) -> None:
    with pytest.raises(UserError) as error:
        load(config, [override])
    assert expected in str(error.value)
    assert str(config) in str(error.value)


def test_all_mistakes_are_reported_at_once(config: Path) -> None:
    with pytest.raises(UserError) as error:
        load(config, ["train.epoch=3", "split.seeds=1"])
    assert "train.epoch" in str(error.value)
    assert "split.seeds" in str(error.value)


@pytest.mark.parametrize("key", ["augment.crop_scale", "train.augment.crop_scale"])
def test_counting_refuses_crops(config: Path, key: str) -> None:
    with pytest.raises(UserError, match="remove an item"):
        load(config, ["task=count", f"{key}=0.5"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("project: [", "not valid YAML"),
        ("- a\n- b\n", "expected keys such as project"),
        ("task: count\n", "project: is required"),
        ("project: a\ntask: count\nproject: b\n", "the key 'project' stands twice"),
        ("train: {epochs: 1, epochs: 2}\n", "the key 'epochs' stands twice"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load(path)
    assert expected in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary\.yaml: not UTF-8 text"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read"):
        load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("override", ["train", "=3", "train.epochs.x=3"])
def test_a_malformed_override_is_refused(config: Path, override: str) -> None:
    with pytest.raises(UserError):
        load(config, [override])


@pytest.mark.parametrize("key", ["ingest.ids", "ingest.download_folder", "validate.drift.baseline"])
def test_every_local_path_is_resolved_and_a_remote_one_is_left(
    config: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    section, *rest = key.split(".")

    def value(text: str) -> str:
        found: object = load(config, [f"{key}={text}"]).section(section)
        for name in rest:
            found = getattr(found, name)
        return str(found)

    assert value("here/file") == str(config.parent / "here" / "file")
    if key != "ingest.download_folder":
        assert value("s3://bucket/file") == "s3://bucket/file"


def test_a_relative_source_is_resolved_against_the_users_folder(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    project = load(config, ["ingest.format=voc", "ingest.uri=data"])
    assert project.ingest.uri == str(tmp_path / "data")
    check_paths(project)


def test_a_file_address_is_read_as_one(config: Path) -> None:
    project = load(config, ["ingest.format=voc", "ingest.uri=file:///tmp/my%20data"])
    assert project.ingest.uri == "/tmp/my data"  # noqa: S108


def test_a_missing_source_is_named(config: Path) -> None:
    project = load(config, ["ingest.format=voc", "ingest.uri=/nowhere/at/all"])
    with pytest.raises(UserError, match=r"ingest\.uri: /nowhere/at/all does not exist"):
        check_paths(project)


def test_a_remote_source_is_left_alone(config: Path) -> None:
    project = load(config, ["ingest.format=folders", "ingest.uri=s3://bucket/prefix"])
    assert isinstance(project, Project)
    assert project.ingest.uri == "s3://bucket/prefix"
    check_paths(project)


def test_a_registry_on_this_machine_is_resolved(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = load(config, ["register.tracking_uri=sqlite:///here/mlflow.db?timeout=9"])
    assert project.register_.tracking_uri == f"sqlite:///{tmp_path}/here/mlflow.db?timeout=9"
    assert registry_folders(project) == [tmp_path / "here"]
    files = load(config, ["register.artifact_location=file:///models"])
    assert registry_folders(files) == [Path("/models")]
    server = load(config, ["register.tracking_uri=http://mlflow:5000"])
    assert server.register_.tracking_uri == "http://mlflow:5000"
    assert registry_folders(server) == []


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["ingest.uri=/data/dogs"], "ingest: uri is given, but format 'synthetic' draws"),
        (["ingest.format=voc", "ingest.uri=ftp://x/y"], "ingest.uri: unknown scheme 'ftp'; give"),
        (
            ["ingest.format=voc", "ingest.uri=/x", "ingest.ids=ftp://x"],
            "ingest.ids: unknown scheme",
        ),
        (["ingest.format=bins", "ingest.uri=s3://b"], "'bins' has labels for count, not for task"),
        (["register.tracking_uri=foo"], "'foo' is not an address of an MLflow server"),
        (["register.tracking_uri=postgresql://me:pw@db/x"], "required with the database postgre"),
        (["seed=2026-13-45"], "seed: input should be a valid integer"),
    ],
)
def test_what_can_be_known_at_once_is_refused_at_once(
    config: Path, overrides: list[str], expected: str
) -> None:
    with pytest.raises(UserError) as error:
        load(config, overrides)
    assert expected in str(error.value)
    assert "pw" not in str(error.value)


def test_a_path_that_cannot_be_one_is_no_traceback(config: Path) -> None:
    with pytest.raises(UserError, match="a path in it cannot be one: embedded null byte"):
        load(config, ["ingest.format=folders", 'ingest.uri="a\\0b"'])


def test_yaml_may_merge_mappings(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "project: small\ntask: classify\naugment: &flips {horizontal_flip: 0.3}\n"
        "train: {augment: {<<: *flips, mixup: 0.2}}\n"
    )
    project = load(path)
    assert project.train.augment.horizontal_flip == project.augment.horizontal_flip == 0.3
    path.write_text("project: small\ntask: classify\nseed: 2026-13-45\n")
    with pytest.raises(UserError, match="not valid YAML: month must be in"):
        load(path)
