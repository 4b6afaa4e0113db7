"""Batches of decoded images and labels from RecordIO."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from components.shared.augmentation.config import Operations
from components.shared.cores import usable_cores
from components.shared.errors import UserError
from components.shared.progress import progress
from components.shared.recordio import RecordReader, RecordSet, detection_boxes
from components.shared.task import Split, Task
from components.shared.training.seeds import generator
from components.shared.training.windows import draw_window
from components.shared.transforms import ImageError, Window, read_images

CACHE_BYTES: Final = 2 << 30  # decoded images kept in memory, all splits together

_CHUNK = 256  # images decoded between two steps of the progress line
_MOST_WORKERS = 8

Targets = Tensor | list[Tensor]  # classes or counts, int64 (N,); or boxes (M, 5) an image
Batch = tuple[Tensor, Targets]  # with images, uint8 (N, 3, S, S)


class ImageRecords(Dataset[Batch]):
    """One split's images, fitted to the model's size; decoded once if memory allows, else anew.

    It gives whole batches for lists of indices, so nothing is stacked twice.
    """

    def __init__(self, records: RecordSet, split: Split, size: int) -> None:
        self._reader: RecordReader = records.reader(split)
        self._task = records.task
        self._split = split
        self._size = size
        self._cache: Tensor | None = None
        self._labels: list[npt.NDArray[np.float32]] = []

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def nbytes(self) -> int:
        """Bytes that all decoded images take."""
        return len(self) * 3 * self._size**2

    @property
    def is_cached(self) -> bool:
        """Whether every image is decoded already."""
        return self._cache is not None

    def cache(self) -> None:
        """Decode every image into memory."""
        images = torch.empty(len(self), 3, self._size, self._size, dtype=torch.uint8)
        starts = range(0, len(self), _CHUNK)
        with ThreadPoolExecutor(usable_cores()) as pool:
            for start in progress(starts, len(starts), f"reading {self._split} images"):
                indices = range(start, min(start + _CHUNK, len(self)))
                images[start : start + _CHUNK], labels = self._read(indices, pool)
                self._labels.extend(labels)
        self._cache = images

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a batch."""
        if self._cache is None:
            return self.read(indices)
        labels = [self._labels[index] for index in indices]
        return self._cache[torch.as_tensor(indices)], _targets(labels, self._task)

    def read(self, indices: Sequence[int], windows: Sequence[Window] | None = None) -> Batch:
        """Return a batch that is decoded anew, of each image the part that its window shows."""
        images, labels = self._read(indices, None, windows)
        return images, _targets(labels, self._task)

    def _read(
        self,
        indices: Sequence[int],
        pool: ThreadPoolExecutor | None,
        windows: Sequence[Window] | None = None,
    ) -> tuple[Tensor, list[npt.NDArray[np.float32]]]:
        found = [self._reader[index] for index in indices]
        try:
            images = read_images([record.image for record in found], self._size, pool, windows)
        except ImageError as error:
            raise UserError(
                f"{self._split} record {indices[error.index]}: {error.reason}; "
                "run the steps from ingest again"
            ) from None
        return images, [record.label for record in found]


class RandomWindows(Dataset[Batch]):
    """Training images of which a part is shown, drawn anew each epoch.

    Where images are decoded anew too, this beats a crop of the fitted ones: the window has the
    detail of the original, and it is cut by the processes that read.
    """

    def __init__(self, images: ImageRecords, section: Operations, seed: int) -> None:
        self._images = images
        self._section = section
        self._seed = seed

    def __len__(self) -> int:
        return len(self._images)

    def __getitems__(self, draws: Sequence[tuple[int, int]]) -> Batch:
        """Return a batch, for pairs of index and epoch."""
        chances = [generator(self._seed, "window", epoch, index) for index, epoch in draws]
        windows = [draw_window(self._section, chance) for chance in chances]
        return self._images.read([index for index, _ in draws], windows)


class Shuffled(Sampler[int]):
    """Every index once an epoch, in an order that depends on seed and epoch alone.

    A training that goes on after an interruption so sees the images it would have seen.

    Attributes:
        epoch: whose order it gives, from 0.
    """

    def __init__(self, length: int, seed: int) -> None:
        self._length = length
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order; Lightning calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        chance = generator(self._seed, "order", self.epoch)
        yield from torch.randperm(self._length, generator=chance).tolist()


class ShuffledDraws(Sampler[tuple[int, int]]):
    """The pairs of index and epoch that `RandomWindows` takes."""

    def __init__(self, length: int, seed: int) -> None:
        self._order = Shuffled(length, seed)

    def __len__(self) -> int:
        return len(self._order)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self._order.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((index, self._order.epoch) for index in self._order)


class TrainingData:
    """The training and validation images of a RecordIO folder; the test images stay unread.

    Attributes:
        task: what the labels are for.
        classes: class names; empty for counts.
        outputs: what a model must tell apart: classes, or counts from 0 to the largest seen.
        fingerprint: of the image table that the records were made from.
        digest: SHA-256 over the records' metadata and indices, for telling data apart.
        counts: images by split, of train and val.
        train: training images.
        val: validation images.
    """

    def __init__(self, folder: Path, task: Task, size: int) -> None:
        """Open the records, and decode them where they fit in memory.

        Raises:
            UserError: if they are for another task, or a split is empty.
        """
        records = RecordSet(folder)
        if records.task != task:
            raise UserError(
                f"{folder}: records for task '{records.task}', not '{task}'; run im2rec again"
            )
        for split in ("train", "val"):
            if not records.counts.get(split):
                raise UserError(
                    f"{folder}: no {split} images; training needs some to learn from and others "
                    f"to choose by: raise split.{split}"
                )
        self.task: Task = task
        self.classes = records.classes
        self.fingerprint = records.fingerprint
        self.digest = records.digest()
        self.train = ImageRecords(records, "train", size)
        self.val = ImageRecords(records, "val", size)
        self.counts = {"train": len(self.train), "val": len(self.val)}
        if self.train.nbytes + self.val.nbytes <= CACHE_BYTES:
            self.train.cache()
            self.val.cache()
        self._records = records
        self.outputs = len(self.classes)
        if task == "count":
            self.outputs = int(records.labels("train").max()) + 1

    def class_weights(self) -> Tensor:
        """Return weights of classes (or counts), float32 (outputs,), under which all count alike.

        The mean over the training images is 1; a class of which there is none weighs nothing.
        """
        labels = torch.from_numpy(self._records.labels("train")).long()
        frequencies = torch.bincount(labels, minlength=self.outputs).float()
        known = (frequencies > 0).sum()
        weights = len(labels) / (known * frequencies.clamp(min=1))
        return torch.where(frequencies > 0, weights, 0.0)

    def crops_while_reading(self, section: Operations) -> bool:
        """Tell whether `train_loader` crops, so that nobody else must."""
        if self.task == "detect" or self.train.is_cached:
            return False
        # What is moved before the crop, or shifted by it, is needed whole.
        return section.crop_scale < 1 and section.pad == 0 and not section.moves()

    def train_loader(
        self, batch_size: int, workers: int, seed: int, section: Operations
    ) -> DataLoader[Batch]:
        """Return shuffled training batches, all of the same size where there are enough images.

        A small last batch would have noisy statistics in batch normalisation.

        Args:
            batch_size: images.
            workers: processes, where images are decoded anew; -1: by cores.
            seed: of the order, and of what is cropped while reading.
            section: changes to be made to training images; see `crops_while_reading`.
        """
        options = {"batch_size": batch_size, "drop_last": len(self.train) >= batch_size}
        count = _workers(self.train, workers)
        if self.crops_while_reading(section):
            draws = ShuffledDraws(len(self.train), seed)
            windows = RandomWindows(self.train, section, seed)
            return _loader(windows, count, sampler=draws, **options)
        return _loader(self.train, count, sampler=Shuffled(len(self.train), seed), **options)

    def val_loader(self, batch_size: int, workers: int) -> DataLoader[Batch]:
        """Return all validation batches in record order."""
        return _loader(self.val, _workers(self.val, workers), batch_size=batch_size)


def _loader(images: Dataset[Batch], count: int, **options: Any) -> DataLoader[Batch]:
    return DataLoader(
        images,
        num_workers=count,
        collate_fn=_as_it_is,
        # A fork would copy the threads' locks of the libraries in whatever state they are.
        multiprocessing_context="forkserver" if count else None,
        persistent_workers=count > 0,
        pin_memory=torch.cuda.is_available(),
        **options,
    )


def _workers(images: ImageRecords, asked: int) -> int:
    if images.is_cached:
        return 0
    return min(usable_cores(), _MOST_WORKERS) if asked < 0 else asked


def _as_it_is(batch: Any) -> Any:
    return batch  # a whole batch already, see `__getitems__`


def _targets(labels: Sequence[npt.NDArray[np.float32]], task: Task) -> Targets:
    if task == "detect":
        return [torch.from_numpy(detection_boxes(label).copy()) for label in labels]
    return torch.tensor([int(label[0]) for label in labels], dtype=torch.int64)
