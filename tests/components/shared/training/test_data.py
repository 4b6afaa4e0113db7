import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from components.shared.augmentation.config import Operations
from components.shared.errors import UserError
from components.shared.recordio import RecordSet, RecordWriter
from components.shared.training import data as data_module
from components.shared.training.data import ImageRecords, Shuffled, ShuffledDraws, TrainingData

DrawRecords = Callable[..., Path]

FLIPS = Operations(horizontal_flip=0.5)
CROPS = Operations(crop_scale=0.2)


def test_reads_images_and_labels(draw_records: DrawRecords) -> None:
    images = ImageRecords(RecordSet(draw_records("classify")), "train", 16)
    pixels, labels = images.__getitems__([0, 1, 2])
    assert pixels.shape == (3, 3, 16, 16)
    assert pixels.dtype == torch.uint8
    assert isinstance(labels, Tensor)
    assert labels.tolist() == [0, 1, 0]
    red, blue = pixels[:2].float().mean(dim=(2, 3))
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100


def test_boxes_come_an_image_each(draw_records: DrawRecords) -> None:
    images = ImageRecords(RecordSet(draw_records("detect")), "val", 16)
    _, boxes = images.__getitems__([0, 3])
    assert [tuple(each.shape) for each in boxes] == [(1, 5), (1, 5)]


def test_the_cache_changes_nothing(draw_records: DrawRecords) -> None:
    records = RecordSet(draw_records("count"))
    fresh, cached = ImageRecords(records, "train", 16), ImageRecords(records, "train", 16)
    cached.cache()
    assert cached.is_cached
    assert cached.nbytes == 32 * 3 * 16 * 16
    indices = [5, 0, 31, 7]
    for one, other in zip(fresh.__getitems__(indices), cached.__getitems__(indices), strict=True):
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        assert torch.equal(one, other)


def test_more_than_memory_allows_is_read_by_workers(
    draw_records: DrawRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_records("classify")
    cached = TrainingData(folder, "classify", 16)
    monkeypatch.setattr(data_module, "CACHE_BYTES", 1000)
    streamed = TrainingData(folder, "classify", 16)
    assert not streamed.train.is_cached
    loader = streamed.train_loader(8, 1, 0, FLIPS)
    assert loader.num_workers == 1
    for one, other in zip(cached.train_loader(8, 0, 0, FLIPS), loader, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_what_is_read_anew_is_cropped_while_reading(
    draw_records: DrawRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_records("classify")
    assert not TrainingData(folder, "classify", 16).crops_while_reading(CROPS)
    monkeypatch.setattr(data_module, "CACHE_BYTES", 1000)
    data = TrainingData(folder, "classify", 16)
    assert data.crops_while_reading(CROPS)
    assert not data.crops_while_reading(FLIPS)
    assert not data.crops_while_reading(Operations(crop_scale=0.2, pad=0.1))
    assert not data.crops_while_reading(Operations(crop_scale=0.2, rotate=5))

    def epoch(number: int, workers: int, seed: int = 0) -> Tensor:
        loader = data.train_loader(8, workers, seed, CROPS)
        assert isinstance(loader.sampler, ShuffledDraws)
        loader.sampler.set_epoch(number)
        return torch.cat([images for images, _ in loader])

    first = epoch(0, workers=0)
    assert first.shape == (32, 3, 16, 16)
    # The same by any number of processes; other windows in another epoch, or by another seed.
    assert torch.equal(first, epoch(0, workers=2))
    others = {0: epoch(1, workers=0), 1: epoch(0, workers=0, seed=1)}
    assert not any(torch.equal(first.sort(0).values, one.sort(0).values) for one in others.values())


def test_boxes_are_never_cropped_while_reading(
    draw_records: DrawRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "CACHE_BYTES", 1000)
    data = TrainingData(draw_records("detect"), "detect", 16)
    assert not data.crops_while_reading(CROPS)


def test_every_image_once_an_epoch_in_an_order_of_its_own() -> None:
    sampler = Shuffled(50, seed=1)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert sorted(orders[0]) == list(range(50))
    assert orders[0] == orders[2] != orders[1]
    assert list(Shuffled(50, seed=2)) != list(Shuffled(50, seed=1))


def test_a_small_last_batch_is_left_for_another_epoch(draw_records: DrawRecords) -> None:
    data = TrainingData(draw_records("classify"), "classify", 16)
    assert [len(batch[0]) for batch in data.train_loader(10, 0, 0, FLIPS)] == [10, 10, 10]
    assert [len(batch[0]) for batch in data.train_loader(64, 0, 0, FLIPS)] == [32]
    assert [len(batch[0]) for batch in data.val_loader(10, 0)] == [10, 6]


def test_counts_go_up_to_the_largest_in_training(draw_records: DrawRecords) -> None:
    assert TrainingData(draw_records("count", name="a"), "count", 16).outputs == 4
    assert TrainingData(draw_records("detect", name="b"), "detect", 16).outputs == 1


def test_weights_let_classes_count_alike(draw_records: DrawRecords) -> None:
    folder = draw_records("classify")
    (folder / "train.lst").write_text("".join(f"{i}\t{i // 3}.0\t{i}.png\n" for i in range(4)))
    data = TrainingData(folder, "classify", 16)
    weights = data.class_weights()
    assert weights.tolist() == pytest.approx([2 / 3, 2])
    assert float((weights * torch.tensor([3, 1])).sum()) == pytest.approx(4)


def test_the_test_images_are_not_read(draw_records: DrawRecords) -> None:
    folder = draw_records("classify")
    for suffix in ("rec", "idx", "lst"):
        (folder / f"test.{suffix}").unlink()
    assert TrainingData(folder, "classify", 16).counts == {"train": 32, "val": 16}


def test_records_that_cannot_serve_are_refused(draw_records: DrawRecords) -> None:
    with pytest.raises(UserError, match="records for task 'count', not 'classify'"):
        TrainingData(draw_records("count", name="a"), "classify", 16)
    with pytest.raises(UserError, match=r"no val images; .*raise split\.val"):
        TrainingData(draw_records("classify", (8, 0, 8), name="b"), "classify", 16)


def test_a_bad_image_is_named(draw_records: DrawRecords) -> None:
    folder = draw_records("classify")
    with RecordWriter(folder / "train.rec", folder / "train.idx") as records:
        for index in range(3):
            records.write(index, 0.0, b"no image")
    with pytest.raises(UserError, match=r"train record 0: .*run the steps from ingest again"):
        TrainingData(folder, "classify", 16)


def test_travels_to_worker_processes(draw_records: DrawRecords) -> None:
    images = ImageRecords(RecordSet(draw_records("classify")), "train", 16)
    images.__getitems__([0])
    again = pickle.loads(pickle.dumps(images))  # noqa: S301
    assert torch.equal(again.__getitems__([4])[0], images.__getitems__([4])[0])
