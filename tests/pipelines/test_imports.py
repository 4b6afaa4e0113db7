"""The house's import rules: pipelines -> components.<step> -> components.shared, one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "components").rglob("*.py"))
STEPS = sorted(
    path.name
    for path in (ROOT / "components").iterdir()
    if path.is_dir() and path.name not in ("shared", "__pycache__")
)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def owner(path: Path) -> str:
    """The folder under components/ that a module belongs to."""
    return path.relative_to(ROOT / "components").parts[0]


def test_there_are_modules_to_look_at() -> None:
    assert len(STEPS) >= 12
    assert any(owner(path) == "shared" for path in MODULES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_its_own_step_and_shared(path: Path) -> None:
    for name in imported(path):
        assert not name.startswith("pipelines"), f"{path} imports {name}"
        if name.startswith("components."):
            target = name.split(".")[1]
            assert target in (owner(path), "shared"), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_component_modules_know_kfp(path: Path) -> None:
    if path.name == "component.py":
        return
    assert not any(name.split(".")[0] == "kfp" for name in imported(path))


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_its_parts_under_one_name(step: str) -> None:
    folder = ROOT / "components" / step
    assert (folder / "component.py").exists()
    assert (folder / "config.py").exists()
    assert (ROOT / "tests" / "components" / step).is_dir()
