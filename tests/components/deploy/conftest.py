"""A model without weights, and the application that serves it, over real HTTP."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image

from components.deploy.app import create_app
from components.deploy.request import Limits
from components.shared.archive import ModelCard, write_archive
from components.shared.models import create_model
from components.shared.predictions import ModelIdentity, Prediction
from components.shared.recordio import RecordWriter
from components.shared.task import Task
from components.shared.transforms import MEAN, STD, ImageError


class Brightness:
    """Classifies images as dark or light by their mean; remembers the batches it was given."""

    def __init__(self) -> None:
        self.identity = ModelIdentity("brightness", "ab" * 32, "classify", ("dark", "light é"))
        self.batches: list[int] = []
        self.hold = threading.Event()
        self.hold.set()

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        self.hold.wait(30)
        self.batches.append(len(images))
        return [self._one(index, image) for index, image in enumerate(images)]

    def _one(self, index: int, image: bytes) -> Prediction:
        try:
            with Image.open(io.BytesIO(image)) as opened:
                light = float(np.asarray(opened.convert("L")).mean()) / 255
        except OSError as error:
            raise ImageError(index, f"cannot be decoded: {error}") from error
        return Prediction(label=int(light > 0.5), probabilities=(1 - light, light))


@pytest.fixture
def model() -> Brightness:
    return Brightness()


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Return a function that encodes an image of one gray level, with some noise."""

    def encode(
        level: int = 200, size: tuple[int, int] = (64, 48), kind: str = "JPEG", **options: Any
    ) -> bytes:
        noise = np.random.default_rng(0).integers(-40, 40, (*size[::-1], 3))
        pixels = np.clip(level + noise, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def write_records(tmp_path: Path) -> Callable[[Task, Sequence[bytes]], Path]:
    """Return a function that writes images as the test split, ids t/000, t/001, …"""

    def write(task: Task, images: Sequence[bytes]) -> Path:
        folder = tmp_path / "records"
        folder.mkdir()
        label = [2.0, 5.0] if task == "detect" else [0.0]
        with RecordWriter(folder / "test.rec", folder / "test.idx") as writer:
            for index, image in enumerate(images):
                writer.write(index, label, image)
        numbers = "\t".join(f"{value:.6f}" for value in label)
        lines = [f"{index}\t{numbers}\tt/{index:03d}.jpg\n" for index in range(len(images))]
        (folder / "test.lst").write_text("".join(lines))
        counts = {"train": 0, "val": 0, "test": len(images)}
        meta = {"version": "1", "task": task, "classes": ["dark", "light"], "counts": counts}
        (folder / "meta.json").write_text(json.dumps(meta | {"fingerprint": "0" * 64}))
        return folder

    return write


Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves a model by real HTTP and gives a client."""
    with ExitStack() as stack:
        yield lambda model, limits=None: stack.enter_context(_served(model, limits))


@contextmanager
def _served(model: Brightness, limits: Limits | None) -> Iterator[httpx.Client]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(model, limits), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port = listener.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        model.hold.set()
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def make_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a real model archive with random weights."""

    def make(task: Task = "classify", seed: int = 0) -> Path:
        path = tmp_path_factory.mktemp("model") / "model.tar.gz"
        name, size = ("fcos_resnet18", 64) if task == "detect" else ("resnet9", 32)
        classes = ("dark", "light")
        outputs = 4 if task == "count" else 2
        torch.manual_seed(seed)
        network = create_model(name, task, outputs=outputs, image_size=size)
        card = ModelCard(
            name=name,
            task=task,
            classes=classes,
            outputs=outputs,
            image_size=size,
            mean=MEAN,
            std=STD,
            nms_threshold=0.5,
            min_score=0.001,
            max_detections=20,
            metrics={},
            epoch=1,
            seed=seed,
            settings={},
            data={},
            libraries={},
        )
        write_archive(path, card, network.state_dict(), "A model for tests.")
        return path

    return make
