"""Ingest in parts: what a cluster gets, and, run for real by kfp.local, the same artifacts."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import dsl

from components.ingest.component import ingest as ingest_step
from components.ingest.config import IngestSection
from components.shared.images import DATA
from pipelines import training
from pipelines.config import load
from pipelines.images import ROOT, reference
from pipelines.local.handlers import Session, installed
from pipelines.local.journal import Journal
from pipelines.placement import PlacementSection

SECTION = IngestSection.model_validate({"synthetic": {"images": 40, "size": 32}})
SOURCE = {"task": "count", "seed": 0, "config": SECTION.model_dump_json(), "source_version": "1"}


def configure(task: dsl.PipelineTask) -> dsl.PipelineTask:
    return task.set_container_image(reference(DATA, "ingest"))


@dsl.pipeline(name="alone")
def alone() -> None:
    configure(ingest_step(**SOURCE))


@dsl.pipeline(name="in-parts")
def in_parts() -> None:
    training._ingest_in_parts(SOURCE, 2, configure)


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., Journal]:
    """Run a pipeline in the environments of its images; tell what its journal recorded."""

    def execute(pipeline: Any) -> Journal:
        journal = Journal(steps=4, stream=io.StringIO())
        session = Session(journal, tmp_path / "logs")
        root = tmp_path / "run"
        with installed(session, "venv", root, tmp_path / "cache"):
            pipeline()
        return journal

    return execute


def contents(path: Path) -> dict[str, str]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    digests = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return dict(zip((str(file.relative_to(path)) for file in files), digests, strict=True))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The training pipeline in IR, with ingest in three parts."""
    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    placement = PlacementSection(parts=3, registry="registry.example/team")
    training.compile_pipeline(load(ROOT / "configs" / "bins.yaml"), placement, path)
    found: dict[str, Any] = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return found


def test_the_parts_are_a_loop_between_plan_and_merger(compiled: dict[str, Any]) -> None:
    tasks = compiled["root"]["dag"]["tasks"]
    (loop,) = (task for task in tasks.values() if "parameterIterator" in task)
    assert json.loads(loop["parameterIterator"]["items"]["raw"]) == [0, 1, 2]
    assert loop["dependentTasks"] == ["ingest-plan"]
    assert list(compiled["components"][loop["componentRef"]["name"]]["dag"]["tasks"]) == [
        "ingest-part"
    ]
    assert set(tasks["ingest-merge"]["dependentTasks"]) > {"ingest-plan"}
    assert "ingest" not in tasks
    assert "ingest-merge" in tasks["validate"]["dependentTasks"]


def test_the_parts_run_in_the_image_of_their_step(compiled: dict[str, Any]) -> None:
    for task in ("plan", "part", "merge"):
        executor = compiled["deploymentSpec"]["executors"][f"exec-ingest-{task}"]
        assert executor["container"]["image"] == reference(DATA, "ingest", "registry.example/team")


@pytest.mark.slow
def test_parts_give_the_artifacts_of_one_task(execute: Callable[..., Journal]) -> None:
    (whole,) = execute(alone).records
    records = execute(in_parts).records
    assert sorted(record.name for record in records)[::3] == ["ingest-merge", "ingest-plan"]
    assert sum(record.name.startswith("ingest-part") for record in records) == 2
    merged = next(record for record in records if record.name == "ingest-merge")
    assert merged.artifacts.keys() == whole.artifacts.keys() > {"images", "table", "rejected"}
    for name, path in whole.artifacts.items():
        assert contents(merged.artifacts[name]) == contents(path)

    again = execute(in_parts).records
    assert len(again) == 4
    assert all(record.cached for record in again)
