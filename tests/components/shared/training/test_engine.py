import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model_weights

from components.shared.augmentation.config import Operations
from components.shared.errors import UserError
from components.shared.recordio import RecordWriter
from components.shared.task import Task
from components.shared.training import data as data_module
from components.shared.training import objectives
from components.shared.training.checkpoints import Checkpoints, training_key
from components.shared.training.checks import WEIGHTS, check_settings
from components.shared.training.config import TrainSection
from components.shared.training.data import TrainingData
from components.shared.training.engine import Fitted, computing_precision, fit
from components.shared.training.image_augment import augment_images
from components.shared.training.recorder import Best, DivergedError, Epoch
from components.shared.training.settings import override

SIZE = 24
SMALL = TrainSection(
    model="resnet9",
    image_size=SIZE,
    epochs=4,
    batch_size=8,
    precision="fp32",
    augment={"horizontal_flip": 0.5, "mixup": 0.2},
)
DrawRecords = Callable[..., Path]


class Stopped(Exception):  # noqa: N818 -- not an error: the process is stopped
    """Stands for a process that ends."""


def stop_after(number: int) -> Callable[[Epoch, Best], None]:
    def on_epoch(epoch: Epoch, best: Best) -> None:
        if epoch.number == number:
            raise Stopped

    return on_epoch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where checkpoints go."""
    return tmp_path / "checkpoints"


@pytest.fixture
def data(draw_records: DrawRecords) -> TrainingData:
    return TrainingData(draw_records("classify"), "classify", SIZE)


def assert_same(one: Fitted, other: Fitted) -> None:
    assert [(epoch.train, epoch.val, epoch.learning_rate) for epoch in one.history] == [
        (epoch.train, epoch.val, epoch.learning_rate) for epoch in other.history
    ]
    assert one.best.epoch == other.best.epoch
    for name, value in one.best.weights.items():
        assert torch.equal(value, other.best.weights[name]), name


def test_a_seed_repeats_a_training_and_another_does_not(data: TrainingData) -> None:
    section = override(SMALL, {"epochs": 2})
    first, second, other = fit(section, data, 0), fit(section, data, 0), fit(section, data, 1)
    assert_same(first, second)
    assert first.history[0].train != other.history[0].train


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_goes_on_as_if_it_had_not_been_interrupted(
    data: TrainingData, folder: Path, ema_decay: float
) -> None:
    section = override(SMALL, {"ema_decay": ema_decay})
    whole = fit(section, data, 0)
    with pytest.raises(Stopped):
        fit(section, data, 0, folder, stop_after(2))
    torch.rand(3)  # what another process draws must not matter
    resumed = fit(section, data, 0, folder)
    assert resumed.resumed_epochs == 2
    assert_same(whole, resumed)
    assert not [*folder.iterdir()]


@pytest.mark.parametrize("early_stop_epochs", [0, 1])
def test_a_training_that_was_over_is_not_prolonged(
    data: TrainingData, folder: Path, early_stop_epochs: int
) -> None:
    settings = {"schedule": "constant", "learning_rate": 1e-12}
    section = override(SMALL, {"early_stop_epochs": early_stop_epochs} | settings)
    whole = fit(section, data, 0)
    with pytest.raises(Stopped):
        fit(section, data, 0, folder, stop_after(len(whole.history)))
    resumed = fit(section, data, 0, folder)
    assert resumed.resumed_epochs == len(whole.history)
    assert_same(whole, resumed)


def test_a_damaged_checkpoint_is_passed_over(
    data: TrainingData, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = fit(SMALL, data, 0)
    with pytest.raises(Stopped):
        fit(SMALL, data, 0, folder, stop_after(3))
    newest = max(folder.glob("*/epoch-*.ckpt"))
    newest.write_bytes(newest.read_bytes()[:-1000])
    resumed = fit(SMALL, data, 0, folder)
    assert resumed.resumed_epochs == 2
    assert "damaged" in capsys.readouterr().out
    assert_same(whole, resumed)


def test_another_training_does_not_take_the_checkpoints(data: TrainingData, folder: Path) -> None:
    with pytest.raises(Stopped):
        fit(SMALL, data, 0, folder, stop_after(1))
    assert fit(SMALL, data, 1, folder).resumed_epochs == 0
    faster = override(SMALL, {"learning_rate": 0.01})
    assert fit(faster, data, 0, folder).resumed_epochs == 0
    # Readers only change how fast the same training is.
    assert fit(override(SMALL, {"workers": 1}), data, 0, folder).resumed_epochs == 1


def test_only_the_newest_checkpoints_are_kept(data: TrainingData, folder: Path) -> None:
    with pytest.raises(Stopped):
        fit(SMALL, data, 0, folder, stop_after(4))
    names = sorted(path.name[:11] for path in folder.glob("*/*.ckpt"))
    assert names == ["epoch-00003", "epoch-00004"]


@pytest.mark.parametrize(
    ("task", "metric", "reached"),
    [("classify", "accuracy", 0.95), ("count", "rmse", 0.9)],
)
def test_learns_what_is_plain_to_see(
    draw_records: DrawRecords, task: Task, metric: str, reached: float
) -> None:
    data = TrainingData(draw_records(task, (64, 24, 4)), task, SIZE)
    section = override(SMALL, {"epochs": 8, "augment.mixup": 0.0})
    metrics = fit(section, data, 0).best.metrics
    # The best constant's root mean square error of counts 0 to 3 is 1.12.
    assert metrics[metric] >= reached if task == "classify" else metrics[metric] <= reached


def test_trains_a_detector(draw_records: DrawRecords) -> None:
    data = TrainingData(draw_records("detect", (8, 4, 0)), "detect", 64)
    section = TrainSection(model="fcos_resnet18", image_size=64, epochs=1, batch_size=4)
    fitted = fit(section, data, 0)
    assert set(fitted.best.metrics) == {"loss", "ap", "ap50"}
    assert set(fitted.history[0].train) == {"loss"}


def test_bf16_trains_as_well(data: TrainingData) -> None:
    fitted = fit(override(SMALL, {"precision": "bf16", "epochs": 1}), data, 0)
    assert fitted.precision == "bf16-mixed"
    assert fitted.best.weights["head.weight"].dtype == torch.float32


def test_precision_follows_the_setting_or_the_hardware() -> None:
    assert computing_precision("fp32") == "32-true"
    assert computing_precision("bf16") == "bf16-mixed"
    if not torch.cuda.is_available() and Path("/proc/cpuinfo").exists():
        has = any(flag in Path("/proc/cpuinfo").read_text() for flag in ("avx512_bf16", "amx_bf16"))
        assert (computing_precision("auto") == "bf16-mixed") == has


def test_the_best_epoch_is_kept_and_training_stops_early(data: TrainingData) -> None:
    # Rates so high that they soon spoil what was reached.
    section = override(
        SMALL,
        {"schedule": "constant", "learning_rate": 0.1, "epochs": 30, "early_stop_epochs": 2},
    )
    fitted = fit(section, data, 0)
    ranks = [(epoch.val["accuracy"], -epoch.val["loss"]) for epoch in fitted.history]
    assert len(ranks) == fitted.best.epoch + 2 < 30
    assert max(ranks) == ranks[fitted.best.epoch - 1]
    assert fitted.best.metrics == fitted.history[fitted.best.epoch - 1].val


def test_a_loss_that_is_no_number_ends_the_training(data: TrainingData) -> None:
    section = override(
        SMALL,
        {"optimizer": "sgd", "learning_rate": 1e18, "gradient_clip": 0, "schedule": "constant"},
    )
    with pytest.raises(DivergedError, match=r"epoch \d is not a number; lower train.learning_rate"):
        fit(section, data, 0)


@pytest.mark.parametrize(
    ("task", "model", "settings", "message"),
    [
        ("detect", "fcos_resnet18", {"augment.mixup": 0.1}, r"augment\.mixup: does not serve"),
        ("detect", "fcos_resnet18", {"label_smoothing": 0.1}, "label_smoothing: does not serve"),
        ("detect", "fcos_resnet18", {"mirror_average": True}, "mirror_average: does not serve"),
        ("detect", "fcos_resnet18", {"class_weights": "balanced"}, "class_weights: does not serve"),
        ("count", "resnet18", {"augment.crop_scale": 0.5}, "a crop can remove an item"),
        ("classify", "resnet18", {"augment.mosaic": 0.5}, r"augment\.mosaic: does not serve"),
        ("detect", "fcos_resnet18", {"model": "resnet18"}, "'resnet18' does not serve"),
        ("count", "resnet18", {"model": "ssd_resnet50"}, "'ssd_resnet50' does not serve"),
        (
            "classify",
            "resnet18",
            {"weights": "imagenet"},
            "'imagenet'; for resnet18 give none, DEF",
        ),
        ("classify", "resnet9", {"weights": "DEFAULT"}, "resnet9 give none, or a .safetensors"),
        ("classify", "resnet18", {"weights": "w.bin"}, r"train\.weights: 'w\.bin'"),
        ("count", "resnet34", {"batch_size": 1, "image_size": 32}, "1 is too few for resnet34"),
    ],
)
def test_settings_that_a_task_would_ignore_are_refused(
    task: Task, model: str, settings: dict[str, object], message: str
) -> None:
    suited = override(TrainSection(), {"model": model})
    check_settings(suited, task)
    with pytest.raises(UserError, match=message):
        check_settings(override(suited, settings), task)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from components.shared.training.data import TrainingData
from components.shared.signals import exit_on_sigterm
from components.shared.training.engine import fit
from components.shared.training.config import TrainSection

def end(epoch, best):
    if epoch.number == 2:
        os.kill(os.getpid(), signal.{signal})

section = TrainSection.model_validate_json({section!r})
with exit_on_sigterm():
    fit(section, TrainingData(Path({records!r}), "classify", {size}), 0, Path({checkpoints!r}), end)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_killed_process_leaves_what_the_next_one_needs(
    draw_records: DrawRecords, tmp_path: Path, name: str
) -> None:
    records, checkpoints = draw_records("classify"), tmp_path / "checkpoints"
    script = KILLED.format(
        root=str(Path(__file__).resolve().parents[4]),
        signal=name,
        section=SMALL.model_dump_json(),
        records=str(records),
        size=SIZE,
        checkpoints=str(checkpoints),
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    expected = -signal.SIGKILL if name == "SIGKILL" else 128 + signal.SIGTERM
    assert ended.returncode == expected, ended.stderr
    assert "Traceback" not in ended.stderr
    data = TrainingData(records, "classify", SIZE)
    resumed = fit(SMALL, data, 0, checkpoints)
    assert resumed.resumed_epochs == 2
    assert_same(resumed, fit(SMALL, data, 0))


def test_checkpoints_are_whole_or_absent(tmp_path: Path) -> None:
    def works(path: Path) -> None:
        path.write_bytes(b"whole")

    def fails(path: Path) -> None:
        path.write_bytes(b"half of")
        raise OSError(28, "No space left on device")

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, works)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(2, fails)
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.read_bytes() == b"whole"


def test_a_training_is_another_with_other_code_or_other_weights(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "backbone.safetensors"
    section = override(SMALL, {"weights": str(weights)})
    keys = []
    for content, image in [(b"1", "trainer:a"), (b"1", "trainer:a"), (b"2", "trainer:a"),
                           (b"1", "trainer:b")]:  # fmt: skip
        weights.write_bytes(content)
        monkeypatch.setenv("SIGHTLINE_IMAGE", image)
        keys.append(training_key(section, data, 0))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert training_key(override(section, {"workers": 3}), data, 0) == keys[-1]


@pytest.mark.parametrize(("memory", "scale"), [(0, 1.0), (1 << 30, 0.5)])
def test_images_are_cropped_once(
    memory: int, scale: float, draw_records: DrawRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "CACHE_BYTES", memory)
    asked = []

    def watched(images: torch.Tensor, section: Operations, chance: torch.Generator) -> torch.Tensor:
        asked.append(section.crop_scale)
        return augment_images(images, section, chance)

    monkeypatch.setattr(objectives, "augment_images", watched)
    section = override(SMALL, {"augment.crop_scale": 0.5, "epochs": 1, "workers": 0})
    fit(section, TrainingData(draw_records("classify"), "classify", SIZE), 0)
    assert set(asked) == {scale}


def test_an_unreadable_record_is_named_by_reading_processes_too(
    draw_records: DrawRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_records("classify")
    with RecordWriter(folder / "train.rec", folder / "train.idx") as records:
        for index in range(32):
            records.write(index, 0.0, b"no image")
    monkeypatch.setattr(data_module, "CACHE_BYTES", 0)
    broken = TrainingData(folder, "classify", SIZE)
    with pytest.raises(UserError, match=r"^train record \d+: .*; run the steps from ingest again$"):
        fit(override(SMALL, {"workers": 1, "epochs": 1}), broken, 0)


def test_weights_are_those_that_torchvision_offers() -> None:
    for name, offered in WEIGHTS.items():
        assert set(offered) == {*get_model_weights(name).__members__, "DEFAULT"}
