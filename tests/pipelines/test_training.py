"""Every config compiles, and the compiled pipeline is what a KFP backend needs."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from components.shared.errors import UserError
from pipelines.config import Project, load
from pipelines.placement import GPU_STEPS, PlacementSection
from pipelines.training import STEP_IMAGES, arguments, compile_pipeline

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def compiled(project: Project, placement: PlacementSection, tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "pipeline.yaml"
    compile_pipeline(project, placement, path)
    text = path.read_text(encoding="utf-8")
    assert text.isascii(), "some backends keep pipelines in columns that reject multi-byte text"
    return list(yaml.safe_load_all(text))


def tasks(ir: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All tasks of a pipeline by name, those behind the gate included."""
    found = dict(ir["root"]["dag"]["tasks"])
    for component in ir["components"].values():
        found.update(component.get("dag", {}).get("tasks", {}))
    return {name: task for name, task in found.items() if not name.startswith("condition")}


def container(ir: dict[str, Any], step: str) -> dict[str, Any]:
    executor = ir["components"][tasks(ir)[step]["componentRef"]["name"]]["executorLabel"]
    found: dict[str, Any] = ir["deploymentSpec"]["executors"][executor]["container"]
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_compiles_with_its_settings_as_defaults(path: Path, tmp_path: Path) -> None:
    project = load(path)
    ir = compiled(project, PlacementSection(), tmp_path)[0]
    assert set(tasks(ir)) == set(STEP_IMAGES)
    parameters = ir["root"]["inputDefinitions"]["parameters"]
    assert parameters["seed"]["defaultValue"] == project.seed
    train = json.loads(parameters["train"]["defaultValue"])
    assert train == project.train.model_dump(mode="json")


@pytest.fixture
def project() -> Project:
    return load(ROOT / "configs" / "demo.yaml")


def test_registering_and_deploying_wait_for_the_gate(project: Project, tmp_path: Path) -> None:
    ir = compiled(project, PlacementSection(), tmp_path)[0]
    gated = [c["dag"]["tasks"] for n, c in ir["components"].items() if n.startswith("comp-cond")]
    assert [set(found) for found in gated] == [{"register", "deploy"}]
    condition = next(t for n, t in ir["root"]["dag"]["tasks"].items() if n.startswith("condition"))
    assert "== 'true'" in condition["triggerPolicy"]["condition"]


def test_nothing_uses_data_that_was_not_validated(project: Project, tmp_path: Path) -> None:
    found = tasks(compiled(project, PlacementSection(), tmp_path)[0])
    assert "validate" in found["split"]["dependentTasks"]
    assert "split" in found["explore"]["dependentTasks"]


def test_steps_that_act_on_the_world_are_never_cached(project: Project, tmp_path: Path) -> None:
    found = tasks(compiled(project, PlacementSection(), tmp_path)[0])
    cached = {
        name for name, task in found.items() if task["cachingOptions"].get("enableCache", False)
    }
    assert cached == set(STEP_IMAGES) - {"register", "deploy"}


def test_every_step_names_its_image_by_content(project: Project, tmp_path: Path) -> None:
    placement = PlacementSection(registry="registry.example/team")
    ir = compiled(project, placement, tmp_path)[0]
    for step, image in STEP_IMAGES.items():
        found = container(ir, step)["image"]
        assert found.startswith(f"registry.example/team/{image}:{step}-")
        assert "pip install" not in " ".join(container(ir, step)["command"])


def test_only_training_steps_hold_a_gpu(project: Project, tmp_path: Path) -> None:
    placement = PlacementSection(gpus=2, node_selector={"gpu": "a10g"})
    ir, platform = compiled(project, placement, tmp_path)
    with_gpu = {step for step in STEP_IMAGES if "accelerator" in str(container(ir, step))}
    assert with_gpu == set(GPU_STEPS)
    kubernetes = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    placed = kubernetes["exec-train"]
    assert placed["nodeSelector"]["labels"] == {"gpu": "a10g"}
    assert placed["emptyDirMounts"][0]["mountPath"] == "/dev/shm"  # noqa: S108
    assert placed["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_the_config_text_leaves_out_where_it_runs(project: Project) -> None:
    text = arguments(project)["config_text"]
    assert "placement" not in json.loads(text)
    with pytest.raises(ValidationError):
        Project.model_validate_json("{}")
    assert Project.model_validate_json(text).train == project.train


def test_a_changed_setting_changes_only_its_own_parameter(project: Project) -> None:
    changed = project.model_copy(
        update={"evaluate": project.evaluate.model_copy(update={"worst_images": 3})}
    )
    before, after = arguments(project), arguments(changed)
    assert {key for key in before if before[key] != after[key]} == {"evaluate", "config_text"}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 200_000])
def test_a_file_that_is_no_profile_is_refused(
    project: Project, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    drift = project.validate_.drift.model_copy(update={"baseline": str(path)})
    section = project.validate_.model_copy(update={"drift": drift})
    changed = project.model_copy(update={"validate_": section})
    with pytest.raises(UserError, match=r"validate\.drift\.baseline: .*profile\.json"):
        arguments(changed)


def test_what_is_published_holds_no_password(project: Project) -> None:
    register = project.register_.model_copy(
        update={"tracking_uri": "postgresql://me:hidden@db/mlflow"}
    )
    given = arguments(project.model_copy(update={"register_": register}))
    assert "hidden" not in given["config_text"]
    assert "postgresql://db/mlflow" in given["config_text"]
    assert "hidden" in given["register"]  # the step needs it
