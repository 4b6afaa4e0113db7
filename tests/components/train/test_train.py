from collections.abc import Callable
from pathlib import Path

import pytest

from components.shared.archive import read_archive
from components.shared.errors import UserError
from components.shared.inference import Predictor
from components.shared.recordio import RecordSet
from components.shared.task import Task
from components.shared.training.config import TrainSection
from components.train.train import train

DrawRecords = Callable[..., Path]
SECTION = TrainSection(model="resnet9", image_size=24, epochs=3, batch_size=8)


def run(
    records: Path, out: Path, task: Task = "classify", **hyperparameters: object
) -> dict[str, float]:
    return train(
        SECTION,
        hyperparameters,
        task,
        0,
        records,
        out / "model.tar.gz",
        out / "report.html",
        out / "checkpoints",
    )


def test_gives_a_model_that_answers_and_a_report(draw_records: DrawRecords, tmp_path: Path) -> None:
    records = draw_records("classify")
    metrics = run(records, tmp_path, epochs=4)
    assert set(metrics) == {"val_loss", "val_accuracy", "epoch", "epochs_trained"}
    assert metrics["epochs_trained"] == 4

    card = read_archive(tmp_path / "model.tar.gz").card
    assert (card.name, card.task, card.classes) == ("resnet9", "classify", ("red", "blue"))
    assert card.metrics["accuracy"] == metrics["val_accuracy"]
    assert card.settings["epochs"] == 4
    assert card.data == {"fingerprint": "drawn-classify", "train": 32, "val": 16}

    reader = RecordSet(records).reader("test")
    found = Predictor.load(tmp_path / "model.tar.gz").predict([reader[i].image for i in range(8)])
    truth = [int(reader[i].label[0]) for i in range(8)]
    assert sum(one.label == label for one, label in zip(found, truth, strict=True)) >= 7

    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") >= 3
    for text in ("learning_rate", "drawn-classify", "Epochs", "tuning"):
        assert text in page
    assert not [*(tmp_path / "checkpoints").iterdir()]


def test_equal_trainings_give_equal_archives(draw_records: DrawRecords, tmp_path: Path) -> None:
    records = draw_records("count")
    run(records, tmp_path / "one", "count", epochs=1)
    run(records, tmp_path / "two", "count", epochs=1)
    one, two = ((tmp_path / name / "model.tar.gz").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("task", "hyperparameters", "message"),
    [
        ("classify", {"learning_rates": 1}, "learning_rates: unknown key; did you mean"),
        ("count", {}, "records for task 'classify', not 'count'"),
        (
            "detect",
            {"model": "fcos_resnet18", "image_size": 64},
            "records for task 'classify', not 'detect'",
        ),
        ("classify", {"augment.mosaic": 0.5}, "augment.mosaic: does not serve"),
        (
            "classify",
            {"model": "fcos_resnet18", "image_size": 64},
            "'fcos_resnet18' does not serve task 'classify'",
        ),
        ("classify", {"weights": "nowhere.pth"}, "nowhere.pth: no such file"),
    ],
)
def test_mistakes_are_explained_and_leave_nothing(
    draw_records: DrawRecords,
    tmp_path: Path,
    task: Task,
    hyperparameters: dict[str, object],
    message: str,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=message):
        run(draw_records("classify"), out, task, **hyperparameters)
    assert not (out / "model.tar.gz").exists()
    assert not (out / "report.html").exists()
