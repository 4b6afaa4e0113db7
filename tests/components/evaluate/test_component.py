"""The component as a task runs it: its source alone, called by KFP's executor."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.evaluate.join import Sample

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "components" / "evaluate" / "component.py"
PREAMBLE = "from kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n"
OUTPUTS = ("report", "metrics", "classification", "verdict")


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the component's function on a project's files, as the pod's command line does."""

    def make(task: str, config: str, files: Any) -> subprocess.CompletedProcess[str]:
        tree = ast.parse(SOURCE.read_text())
        function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
        function.decorator_list = []
        (tmp_path / "ephemeral.py").write_text(PREAMBLE + ast.unparse(function))
        inputs = {"predictions", "table", "images", "model"}
        message = {
            "inputs": {
                "parameterValues": {"task": task, "seed": 1, "config": config},
                "artifacts": {name: _artifact(name, getattr(files, name)) for name in inputs},
            },
            "outputs": {
                "artifacts": {name: _artifact(name, tmp_path / "out" / name) for name in OUTPUTS},
                "outputFile": str(tmp_path / "executor.json"),
            },
        }
        command = [sys.executable, "-m", "kfp.dsl.executor_main"]
        command += ["--component_module_path", str(tmp_path / "ephemeral.py")]
        command += ["--executor_input", json.dumps(message), "--function_to_execute", "evaluate"]
        environment = os.environ | {"_KFP_RUNTIME": "true", "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )

    return make


@pytest.mark.slow
@pytest.mark.parametrize(("bound", "passed"), [(0.0, "true"), (1.1, "false")])
def test_outputs_of_a_classifier(
    execute: Callable[..., subprocess.CompletedProcess[str]],
    project: Callable[..., Any],
    classified: Callable[[int, int, int], list[Sample]],
    tmp_path: Path,
    bound: float,
    passed: str,
) -> None:
    files = project("classify", ["a", "b"], classified(9, 2, 1), classified(9, 2, 2))
    config = json.dumps({"gate": [{"metric": "accuracy", "at_least": bound}], "bootstrap": 10})
    done = execute("classify", config, files)
    assert done.returncode == 0, done.stderr
    output = json.loads((tmp_path / "executor.json").read_text())
    assert output["parameterValues"] == {"Output": passed}
    artifacts = {name: one["artifacts"][0] for name, one in output["artifacts"].items()}
    written = json.loads((tmp_path / "out" / "verdict").read_text())
    assert artifacts["metrics"]["metadata"] == written["metrics"]
    matrix = artifacts["classification"]["metadata"]["confusionMatrix"]
    assert [one["displayName"] for one in matrix["annotationSpecs"]] == ["a", "b"]
    assert (tmp_path / "out" / "report").read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_a_users_mistake_ends_the_task_with_a_sentence(
    execute: Callable[..., subprocess.CompletedProcess[str]],
    project: Callable[..., Any],
    classified: Callable[[int, int, int], list[Sample]],
) -> None:
    files = project(
        "classify", ["a", "b"], classified(3, 2, 1), classified(3, 2, 2), lambda rows: rows[1:]
    )
    done = execute("classify", "{}", files)
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "1 images of val and test have no prediction" in done.stderr
    assert "Traceback" not in done.stderr


def _artifact(name: str, path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {
        "model": "Model", "report": "HTML", "metrics": "Metrics",
        "classification": "ClassificationMetrics", "verdict": "Artifact",
    }  # fmt: skip
    schema = {"schemaTitle": f"system.{kinds.get(name, 'Dataset')}", "schemaVersion": "0.0.1"}
    # Local runs put paths where clusters put addresses; the executor leaves both as they are.
    return {"artifacts": [{"name": name, "type": schema, "uri": str(path), "metadata": {}}]}
