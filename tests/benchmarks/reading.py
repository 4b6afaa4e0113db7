"""Contestants that read a training set: decode, random crop to 224 pixels, flip, normalize.

Each pass over the data is one run; loaders and their processes stay. Packages are imported where
they are used: not every environment has them all.
"""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.worker import Contestant

if TYPE_CHECKING:
    import torch

EDGE = 224
BATCH = 64
WORKERS = len(os.sched_getaffinity(0))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def ours(folder: str) -> Contestant:
    """Our records, torchvision's decoder and transforms on bytes in the loader's processes."""
    import torch
    from torch.utils.data import DataLoader, Dataset
    from torchvision.io import decode_jpeg
    from torchvision.transforms import v2

    from components.shared.recordio import RecordSet
    from components.shared.transforms import normalize

    change = v2.Compose([v2.RandomResizedCrop(EDGE, antialias=True), v2.RandomHorizontalFlip()])

    class Cropped(Dataset["torch.Tensor"]):
        def __init__(self) -> None:
            self._reader = RecordSet(Path(folder, "records")).reader("train")

        def __len__(self) -> int:
            return len(self._reader)

        def __getitem__(self, index: int) -> torch.Tensor:
            encoded = torch.frombuffer(bytearray(self._reader[index].image), dtype=torch.uint8)
            changed: torch.Tensor = change(decode_jpeg(encoded))
            return changed

    loader = DataLoader(
        Cropped(), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True,
        drop_last=True,
    )  # fmt: skip
    return Contestant(
        lambda: sum(_checked(normalize(images)) for images in loader),
        _versions("torch", "torchvision"),
    )


def train_step(folder: str) -> Contestant:
    """What the train step does on a CPU with a set that does not fit in memory.

    Its loader's processes crop and fit images to the square; flipping is left to the device.
    """
    import torch

    from components.shared.training import data
    from components.shared.training.config import TrainAugmentSection
    from components.shared.training.image_augment import augment_images
    from components.shared.transforms import normalize

    data.CACHE_BYTES = 0  # type: ignore[misc]  # as if the set were larger
    training = data.TrainingData(Path(folder, "records"), "classify", EDGE)
    section = TrainAugmentSection(horizontal_flip=0.5, crop_scale=0.08)
    loader = training.train_loader(BATCH, WORKERS, 0, section)
    flip = TrainAugmentSection(horizontal_flip=0.5)
    chance = torch.Generator().manual_seed(0)

    def run() -> int:
        done = 0
        for images, _ in loader:
            done += _checked(normalize(augment_images(images, flip, chance)))
        return done

    return Contestant(run, _versions("torch", "torchvision"))


def torchvision(folder: str) -> Contestant:
    """torchvision's ImageFolder with Pillow and the first version of the transforms."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [
        transforms.RandomResizedCrop(EDGE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    dataset = ImageFolder(str(Path(folder, "files")), transforms.Compose(steps))
    loader = DataLoader(
        dataset, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True, drop_last=True
    )
    return Contestant(
        lambda: sum(_checked(images) for images, _ in loader),
        _versions("torch", "torchvision", "pillow"),
    )


def mxnet(folder: str) -> Contestant:
    """MXNet's ImageRecordIter on our records."""
    import mxnet

    records = Path(folder, "records")
    iterator = mxnet.io.ImageRecordIter(
        path_imgrec=str(records / "train.rec"), path_imgidx=str(records / "train.idx"),
        data_shape=(3, EDGE, EDGE), batch_size=BATCH, shuffle=True, preprocess_threads=WORKERS,
        random_resized_crop=True, min_random_area=0.08, max_random_area=1.0,
        max_random_aspect_ratio=4 / 3, min_random_aspect_ratio=3 / 4, rand_mirror=True,
        **{f"mean_{name}": 255 * value for name, value in zip("rgb", MEAN, strict=True)},
        **{f"std_{name}": 255 * value for name, value in zip("rgb", STD, strict=True)},
    )  # fmt: skip

    def run() -> int:
        iterator.reset()
        done = 0
        for batch in iterator:
            batch.data[0].wait_to_read()
            done += len(batch.data[0])
        return done

    return Contestant(run, _versions("mxnet"))


def decoding(folder: str) -> Contestant:
    """The limit: JPEG decoding alone, in as many processes."""
    from torch.utils.data import DataLoader

    loader: DataLoader[Any] = DataLoader(
        _decoded(folder), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True,
        collate_fn=sum,
    )  # fmt: skip
    return Contestant(lambda: sum(loader), _versions("torch", "torchvision"))


def _decoded(folder: str) -> Any:
    """Return a dataset that decodes an image and gives the number 1."""
    import torch
    from torch.utils.data import Dataset
    from torchvision.io import decode_jpeg

    from components.shared.recordio import RecordSet

    class Decoded(Dataset[int]):
        def __init__(self) -> None:
            self._reader = RecordSet(Path(folder, "records")).reader("train")

        def __len__(self) -> int:
            return len(self._reader)

        def __getitem__(self, index: int) -> int:
            encoded = torch.frombuffer(bytearray(self._reader[index].image), dtype=torch.uint8)
            return int(decode_jpeg(encoded).shape[0] == 3)

    return Decoded()


def opening(folder: str, records: int, size: int) -> Contestant:
    """Our reader opens a large set, and reads its last record. Writes that set first."""
    from components.shared.recordio import RecordReader

    _write_large(Path(folder), records, size)
    rec = Path(folder, "large.rec")

    def run() -> int:
        reader = RecordReader(rec)
        assert reader[len(reader) - 1].image == b"last"
        return 1

    return Contestant(run, _versions("pyarrow"))


def opening_mxnet(folder: str) -> Contestant:
    """MXNet's indexed reader opens the set that `opening` wrote."""
    from mxnet import recordio

    stem = Path(folder, "large")

    def run() -> int:
        reader = recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
        assert recordio.unpack(reader.read_idx(reader.keys[-1]))[1] == b"last"
        return 1

    return Contestant(run, _versions("mxnet"))


def _write_large(folder: Path, images: int, size: int) -> None:
    """Write a sparse `large.rec` of `size` bytes, whose last record is there, and its index."""
    from components.shared.recordio_format import frame, pack

    last = frame(pack(images - 1, 0.0, b"last"))
    start = size // 4 * 4
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "large.rec").open("wb") as file:
        file.truncate(start)
        file.seek(start)
        file.write(last)
    starts = _spread(images, start)
    with (folder / "large.idx").open("w") as lines:
        lines.writelines(f"{index}\t{place}\n" for index, place in enumerate(starts))


def _spread(images: int, last: int) -> Sequence[int]:
    return [last * number // (images - 1) // 4 * 4 for number in range(images - 1)] + [last]


def _checked(images: "torch.Tensor") -> int:
    assert images.shape[1:] == (3, EDGE, EDGE)
    assert images.is_floating_point()
    return len(images)


def _versions(*packages: str) -> dict[str, str]:
    return {name: version(name) for name in packages}
