"""The predictions table: any model's answers, and whose they are."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.shared.errors import UserError
from components.shared.predictions import (
    Detection,
    ModelIdentity,
    Prediction,
    iter_predictions,
    read_identity,
    write_predictions,
)
from components.shared.task import Split

IDENTITY = ModelIdentity("resnet18", "abc123", "classify", ("cat", "guide dog"))


@pytest.mark.parametrize(
    "prediction",
    [
        Prediction(label=1, score=0.75, probabilities=(0.25, 0.75)),
        Prediction(count=2, count_expected=1.5, probabilities=(0.0, 0.5, 0.5)),
        Prediction(
            score=0.5, count=1,
            boxes=(Detection(0, 0.5, 0.25, 0.0, 1.0, 0.5), Detection(1, 0.125, 0, 0, 0.5, 0.5)),
        ),
        Prediction(score=0.0, count=0, boxes=()),
        Prediction(),
    ],
)  # fmt: skip
def test_a_prediction_comes_back_as_it_was(prediction: Prediction, tmp_path: Path) -> None:
    rows: list[tuple[str, Split, Prediction]] = [
        ("b", "val", prediction),
        ("a", "test", prediction),
    ]
    path = tmp_path / "new" / "predictions.parquet"
    assert write_predictions(path, rows, IDENTITY) == 2
    assert list(iter_predictions(path)) == rows
    assert read_identity(path) == IDENTITY


def test_no_predictions(tmp_path: Path) -> None:
    assert write_predictions(tmp_path / "p", [], IDENTITY) == 0
    assert list(iter_predictions(tmp_path / "p")) == []


def test_other_files_are_refused(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p", [], IDENTITY)
    pq.write_table(pq.read_table(tmp_path / "p").replace_schema_metadata({}), tmp_path / "q")
    with pytest.raises(UserError, match=r"q: not a predictions table of version 1"):
        read_identity(tmp_path / "q")
