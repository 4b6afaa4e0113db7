from collections.abc import Callable
from pathlib import Path

import pytest

from components.predict.config import PredictSection
from components.predict.predict import predict
from components.shared.archive import read_archive
from components.shared.errors import UserError
from components.shared.predictions import iter_predictions, read_identity
from components.shared.recordio import RecordWriter
from components.shared.task import Task
from components.shared.training.config import TrainSection
from components.train.train import train

DrawRecords = Callable[..., Path]


def trained(records: Path, task: Task, folder: Path) -> Path:
    model = folder / "model.tar.gz"
    section = TrainSection(
        model="fcos_resnet18" if task == "detect" else "resnet9",
        image_size=64 if task == "detect" else 16,
        epochs=1,
        batch_size=8,
    )
    train(section, {}, task, 0, records, model, folder / "report.html", folder / "checkpoints")
    return model


@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_answers_for_every_validation_and_test_image(
    draw_records: DrawRecords, tmp_path: Path, task: Task
) -> None:
    records = draw_records(task, (16, 7, 5))
    model = trained(records, task, tmp_path)
    table = tmp_path / "predictions.parquet"
    predict(PredictSection(batch_size=3), model, records, table)
    rows = list(iter_predictions(table))
    expected = [("val", index) for index in range(7)] + [("test", index) for index in range(5)]
    assert [(image_id, split) for image_id, split, _ in rows] == [
        (f"{split}/{index:04d}", split) for split, index in expected
    ]
    field = {"classify": "label", "count": "count_expected", "detect": "boxes"}[task]
    assert all(getattr(prediction, field) is not None for _, _, prediction in rows)
    identity = read_identity(table)
    assert identity == read_archive(model).identity

    # How many images go at once changes nothing that matters.
    predict(PredictSection(batch_size=100), model, records, tmp_path / "again.parquet")
    for (_, _, one), (_, _, other) in zip(
        rows, iter_predictions(tmp_path / "again.parquet"), strict=True
    ):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_a_model_of_other_classes_is_refused(draw_records: DrawRecords, tmp_path: Path) -> None:
    model = trained(draw_records("classify", name="a"), "classify", tmp_path)
    with pytest.raises(UserError, match=r"serves task 'classify' with 2 classes, but .*'count'"):
        predict(PredictSection(), model, draw_records("count", name="b"), tmp_path / "p.parquet")


def test_a_bad_image_is_named(draw_records: DrawRecords, tmp_path: Path) -> None:
    records = draw_records("classify", (16, 4, 2))
    model = trained(records, "classify", tmp_path)
    with RecordWriter(records / "test.rec", records / "test.idx") as writer:
        for index in range(2):
            writer.write(index, 0.0, b"no image")
    with pytest.raises(UserError, match="test image test/0000: not an image"):
        predict(PredictSection(), model, records, tmp_path / "p.parquet")
