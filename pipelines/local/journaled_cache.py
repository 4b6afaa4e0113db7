"""kfp.local's cache, with a record of every step that it spares."""

import json
from pathlib import Path
from typing import Any, ClassVar

from kfp import dsl
from kfp.local import cache

from components.shared.files import write_text
from pipelines.images import is_current
from pipelines.local.journal import Journal, StepRecord


class JournaledCache(cache.LocalCache):  # type: ignore[misc]
    """kfp's cache, telling the journal of each step that it spared."""

    journal: ClassVar[Journal]
    fresh: ClassVar[bool]

    def __init__(self, cache_root: str) -> None:
        super().__init__(cache_root)
        self._tasks: dict[str, tuple[str, str]] = {}  # step and image by key
        self._folder = Path(cache_root)

    def compute_key(self, component_name: str, image: str, *args: Any, **kwargs: Any) -> str:
        """Return kfp's key, remembering whose it is."""
        key: str = super().compute_key(component_name, image, *args, **kwargs)
        self._tasks[key] = (component_name.removeprefix("comp-"), image)
        return key

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Keep a step's outputs, unless its code was edited while it ran."""
        step, image = self._tasks[key]
        if is_current(image, step):
            write_text(self._seen(key), json.dumps(_state(outputs)))
            super().put(key, outputs)
        else:
            self.journal.say(f"{'':>17} {step} is not cached: its code was edited")

    def get(self, key: str) -> dict[str, Any] | None:
        """Return a step's kept outputs, and record that it was spared."""
        outputs = None if self.fresh else self._kept(key)
        if outputs is None:
            return None
        artifacts = {n: v for n, v in outputs.items() if isinstance(v, dsl.Artifact)}
        name, _ = self._tasks[key]
        self.journal.end(
            StepRecord(
                name=name,
                status="succeeded",
                seconds=0.0,
                cached=True,
                artifacts={n: Path(v.uri) for n, v in artifacts.items()},
                kinds={n: v.schema_title for n, v in artifacts.items()},
            )
        )
        return outputs

    def _kept(self, key: str) -> dict[str, Any] | None:
        """Return what is kept; a damaged entry is none, nor one whose files have changed since."""
        try:
            outputs: dict[str, Any] | None = super().get(key)
            if outputs is None:
                return None
            values = outputs.values()
            if any(isinstance(value, dsl.Artifact) and not value.uri for value in values):
                return None
            seen = json.loads(self._seen(key).read_text("utf-8"))
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            return None
        if seen == _state(outputs):
            return outputs
        self.journal.say(f"{'':>17} {self._tasks[key][0]} is done again: its files have changed")
        return None

    def _seen(self, key: str) -> Path:
        return self._folder / f"{key}.files"


def _state(outputs: dict[str, Any]) -> list[list[Any]]:
    """Return path, size and time of change of every file of a step's artifacts."""
    roots = sorted(Path(one.uri) for one in outputs.values() if isinstance(one, dsl.Artifact))
    files = [path for root in roots for path in sorted([root, *root.rglob("*")]) if path.is_file()]
    stats = [(path, path.stat()) for path in files]
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]
