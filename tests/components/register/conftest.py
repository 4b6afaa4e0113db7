"""A project's outputs as the steps before register leave them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.register.mlflow_quiet import MlflowClient
from components.register.record import Candidate
from components.shared.predictions import ModelIdentity, Prediction, write_predictions
from components.shared.table import TableInfo, write_rows

CONFIG = """\
project: dogs
train:
  epochs: 3
  learning_rate: 0.002
  augment: {mixup: 0.4}
evaluate:
  gate:
    - {metric: accuracy, at_least: 0.5}
"""


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it, made once: its migrations take seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _empty_database: Path) -> Path:
    """The folder of all runs, with a registry in which nothing is registered yet."""
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(_empty_database, folder / "mlflow.db")
    monkeypatch.setenv("SIGHTLINE_REGISTRY_DIR", str(folder))
    return folder


@pytest.fixture
def make_candidate(tmp_path: Path) -> Callable[..., Candidate]:
    """Return a function that writes a candidate; the arguments vary one thing each."""

    def make(
        *, model: bytes = b"weights", rows: int = 2, passed: object = True, config: str = CONFIG
    ) -> Candidate:
        folder = tmp_path / f"outputs-{len(list(tmp_path.glob('outputs-*')))}"
        folder.mkdir()
        (folder / "model").write_bytes(model)
        metrics = {
            "accuracy": {"value": 0.75, "low": 0.6, "high": 0.9},
            "loss": 0.5,
            "undefined": None,
            "endless": float("inf"),
        }
        verdict = {"verdict": {"passed": passed, "rules": []}, "metrics": metrics}
        (folder / "verdict").write_text(json.dumps(verdict))
        table = [_row(f"{index:03d}") for index in range(rows)]
        write_rows(folder / "table", table, TableInfo("classify", ("cat", "dog")))
        identity = ModelIdentity("resnet18", "0" * 64, "classify", ("cat", "dog"))
        predictions = [("000", "test", Prediction(label=1, score=0.9, probabilities=(0.1, 0.9)))]
        write_predictions(folder / "predictions", predictions, identity)  # type: ignore[arg-type]
        return Candidate(
            config,
            model=folder / "model",
            verdict=folder / "verdict",
            table=folder / "table",
            predictions=folder / "predictions",
        )

    return make


def _row(image_id: str) -> dict[str, object]:
    return {
        "image_id": image_id,
        "sha256": "0" * 64,
        "width": 8,
        "height": 8,
        "format": "jpeg",
        "group": image_id,
        "split": "test",
        "label": 1,
        "count": None,
        "boxes": None,
        "source": f"{image_id}.jpg",
        "attributes": {},
    }
