"""Full image references: registry, name, and a tag made from content.

KFP's cache key holds the image reference but not the code inside the image. So each step's
task names its image by a tag of its own, made from all that the step can reach: the image's
Dockerfile and requirements, the step's folder, and the shared modules it imports. An edit
then redoes exactly the steps it can change, on a laptop as on a cluster. One built image
carries the tags of all its steps.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def reference(image: str, step: str, registry: str = "") -> str:
    """Return e.g. `registry.example/team/sightline/data:ingest-0f3a9c1b2d4e`."""
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}{image}:{step}-{content_tag(image, step)}"


def environment(reference_or_name: str) -> str:
    """Return the image's short name: `registry:5000/sightline/data:tag` gives `data`."""
    return reference_or_name.rsplit("/", 1)[-1].split(":", 1)[0].split("@", 1)[0]


def owner(task: str) -> str:
    """Return the step that a task is part of: `ingest-plan` and `ingest` belong to `ingest`."""
    return task.partition("-")[0]


def is_current(reference_: str, task: str) -> bool:
    """Tell whether the tag of a task's image is still that of the files as they are now."""
    name, _, tag = reference_.rpartition(":")
    step = owner(task)
    content_tag.cache_clear()
    return tag == f"{step}-{content_tag(name, step)}"


@cache
def content_tag(image: str, step: str) -> str:
    """Return 12 hexadecimal digits over the files that decide what the step does."""
    digest = hashlib.sha256()
    for path in sorted(_files(image, step)):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _files(image: str, step: str) -> set[Path]:
    folder = ROOT / "images" / environment(image)
    files = {ROOT / "images" / "kfp.txt", folder / "requirements.txt", folder / "Dockerfile"}
    own = ROOT / "components" / step
    pending = [path for path in own.rglob("*") if _counts(path)]
    while pending:
        path = pending.pop()
        if path in files:
            continue
        files.add(path)
        pending.extend(found for found in _reached(path) if found not in files)
    return {path for path in files if path.exists()}


def _counts(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def _reached(path: Path) -> Iterator[Path]:
    """Yield the files of `components` that a module imports, wherever in it it does so."""
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.startswith("components."):
                yield from _module_files(name)


def _module_files(name: str) -> Iterator[Path]:
    """Yield a module's file; for a package, its folder's files, templates included."""
    path = ROOT.joinpath(*name.split("."))
    if path.is_dir():
        yield from (file for file in path.iterdir() if _counts(file))
    elif path.with_suffix(".py").exists():
        yield path.with_suffix(".py")
