"""Bodies in stages: the first may stay as they are, the later ones learn faster."""

from collections.abc import Sequence
from typing import Any, Self

from torch import nn


class Staged(nn.Module):
    """A body that is made of stages, each of some modules, from the image on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kept: list[nn.Module] = []

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the modules of each stage."""
        raise NotImplementedError

    def freeze(self, count: int) -> None:
        """Keep the first stages as they are, the statistics of their normalisation included."""
        self._kept = [module for stage in self.stages()[:count] for module in stage]
        for module in self._kept:
            module.requires_grad_(False)
            module.eval()

    def train(self, mode: bool = True) -> Self:
        """Switch to training or evaluation; frozen stages keep their running statistics."""
        super().train(mode)
        for module in self._kept:
            module.eval()
        return self
