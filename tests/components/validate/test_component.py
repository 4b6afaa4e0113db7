"""The component as a task runs it: its source alone, called by KFP's executor."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from components.shared.table import read_info
from components.validate.profile import measure

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "components" / "validate" / "component.py"
PREAMBLE = "from kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n"

# Python runs it at its start: whatever asks the network, now or at the end, leaves a trace.
SITECUSTOMIZE = """
import socket

def refuse(*address, **_):
    with open("connections", "a") as trace:
        trace.write(f"{address}\\n")
    raise OSError("no network in this test")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.create_connection = refuse
"""


def artifact(path: Path) -> dict[str, Any]:
    one = {"name": path.name, "type": {"schemaTitle": "system.Artifact"}, "uri": str(path)}
    return {"artifacts": [one | {"metadata": {}}]}


def execute(folder: Path, paths: Any, baseline: str) -> subprocess.CompletedProcess[str]:
    """Run the component's function as the pod's command line does, without a network."""
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    tree = ast.parse(SOURCE.read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    function.decorator_list = []
    (folder / "ephemeral.py").write_text(PREAMBLE + ast.unparse(function))
    config = json.dumps({"drift": {"severity": "fail"}})
    values = {"task": "classify", "seed": 0, "config": config, "baseline": baseline}
    message = {
        "inputs": {
            "parameterValues": values,
            "artifacts": {name: artifact(path) for name, path in asdict(paths.inputs).items()},
        },
        "outputs": {
            "artifacts": {name: artifact(path) for name, path in asdict(paths.outputs).items()},
            "outputFile": str(folder / "executor.json"),
        },
    }
    command = [sys.executable, "-m", "kfp.dsl.executor_main"]
    command += ["--component_module_path", str(folder / "ephemeral.py")]
    command += ["--executor_input", json.dumps(message), "--function_to_execute", "validate"]
    environment = os.environ | {"_KFP_RUNTIME": "true", "PYTHONPATH": f"{folder}:{ROOT}"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.slow
def test_drift_ends_the_task_with_a_message_and_no_connection_is_opened(
    row: Callable[..., dict[str, Any]], write_data: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [row(i, label=i % 2) for i in range(80)]
    dark, light = (
        write_data(rows, "classify", ("cat", "dog"), shade=lambda i, add=add: add + i, name=name)
        for add, name in ((10, "dark"), (150, "light"))
    )
    info = read_info(dark.inputs.table)
    earlier = measure(dark.inputs.table, dark.inputs.images, info, 0, 80).to_json()

    done = execute(tmp_path, light, earlier)

    assert done.returncode == 1
    assert "error: validate: 2 expectations are not met:\n  drift_psi: " in done.stderr
    assert "e.g. brightness (" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "connections").exists()
    assert all(path.exists() for path in asdict(light.outputs).values())
