"""Weights for a model's body: from torchvision by name, or from a file."""

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision.models import get_model_weights

from components.shared.errors import UserError
from components.shared.training.config import is_weights_file

NONE = "none"


def load_weights(backbone: nn.Module, model: str, weights: str) -> None:
    """Fill a body with weights; `none` leaves it as it is.

    Files are read without unpickling anything but tensors. Layers of a classifier (`fc.…`) are
    passed over.

    Args:
        backbone: the body to fill, with torchvision's parameter names.
        model: the model's name; its last part names torchvision's (`fcos_resnet18`).
        weights: `none`; a torchvision name such as `IMAGENET1K_V1`, downloaded unless it is in
            torch's cache; or a `.safetensors`, `.pth` or `.pt` file of a state dictionary.

    Raises:
        UserError: if the weights cannot be had or do not fit the body.
    """
    if weights == NONE:
        return
    path = Path(weights)
    found = (
        _read(path) if is_weights_file(weights) else _download(model.rpartition("_")[2], weights)
    )
    state = {
        name.removeprefix("backbone."): value
        for name, value in found.items()
        if not name.startswith(("fc.", "head."))
    }
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        raise UserError(
            f"train.weights: {weights} does not fit {model} ({' '.join(lines)[:300]}); "
            "use weights of the same architecture"
        ) from None


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"train.weights: {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise UserError(f"train.weights: {path}: no file of weights ({_first(error)})") from None
    except Exception as error:  # unpickling a file of anything else raises anything
        raise UserError(
            f"train.weights: {path}: holds more than tensors ({_first(error)}); save the "
            "model's state_dict() alone"
        ) from None
    if not isinstance(loaded, dict) or not all(isinstance(one, Tensor) for one in loaded.values()):
        raise UserError(f"train.weights: {path}: expected a dictionary of tensors by name")
    return loaded


def _download(architecture: str, name: str) -> dict[str, Tensor]:
    try:
        known = get_model_weights(architecture)
    except ValueError:
        raise UserError(
            f"train.weights: torchvision has none for this model; use 'none' or a file instead "
            f"of '{name}'"
        ) from None
    if name not in known.__members__:
        names = ", ".join(known.__members__)
        raise UserError(
            f"train.weights: '{name}'; expected none, {names}, or a .safetensors or .pth file"
        )
    try:
        state: dict[str, Tensor] = known[name].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"train.weights: {name} cannot be downloaded ({_first(error)}); give a file of "
            "weights, or none"
        ) from None
    return state


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
