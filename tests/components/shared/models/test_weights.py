from pathlib import Path

import pytest
import safetensors.torch
import torch
from torchvision import models

from components.shared.errors import UserError
from components.shared.models import create_model, load_weights
from components.shared.models.backbones import Backbone


@pytest.fixture
def body() -> Backbone:
    network = create_model("resnet18", "classify", outputs=3, image_size=64)
    backbone: Backbone = network.backbone
    return backbone


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_torchvision_weights_fit_and_are_used(tmp_path: Path, body: Backbone, suffix: str) -> None:
    torch.manual_seed(7)
    theirs = models.resnet18()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(theirs.state_dict(), path)
    else:
        safetensors.torch.save_file(theirs.state_dict(), path)
    load_weights(body, "resnet18", str(path))
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.eval()(images)
        features = body.eval()(images)[-1].mean(dim=(2, 3))
    torch.testing.assert_close(features, expected)


def test_none_leaves_the_body_alone(body: Backbone) -> None:
    before = body.conv1.weight.clone()  # type: ignore[union-attr,operator]
    load_weights(body, "resnet18", "none")
    assert torch.equal(body.conv1.weight, before)  # type: ignore[union-attr,arg-type]


def test_weights_of_another_architecture_are_refused(tmp_path: Path, body: Backbone) -> None:
    path = tmp_path / "weights.pth"
    torch.save(models.resnet34().state_dict(), path)
    with pytest.raises(UserError, match="does not fit resnet18"):
        load_weights(body, "resnet18", str(path))


def test_a_pickle_is_not_run(tmp_path: Path, body: Backbone) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "harmed",)

    path = tmp_path / "weights.pth"
    torch.save({"conv1.weight": Attack()}, path)
    with pytest.raises(UserError, match="holds more than tensors"):
        load_weights(body, "resnet18", str(path))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("resnet18", "IMAGENET", "expected none, IMAGENET1K_V1"),
        ("resnet9", "IMAGENET1K_V1", "torchvision has none for this model"),
        ("resnet18", "missing.pth", "no such file"),
    ],
)
def test_names_that_lead_nowhere_are_said(
    body: Backbone, model: str, weights: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_weights(body, model, weights)


def test_a_damaged_file_is_said(tmp_path: Path, body: Backbone) -> None:
    for suffix in (".pth", ".safetensors"):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(b"\x80\x02 nothing here")
        with pytest.raises(UserError, match=r"train\.weights: .*weights\."):
            load_weights(body, "resnet18", str(path))
