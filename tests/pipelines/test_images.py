from pathlib import Path

import pytest

from pipelines import images


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small house: two steps, one of which imports a shared module."""
    for path, text in {
        "images/kfp.txt": "kfp",
        "images/data/requirements.txt": "numpy",
        "images/data/Dockerfile": "FROM x",
        "components/__init__.py": "",
        "components/shared/__init__.py": "",
        "components/shared/boxes.py": "from components.shared.deep import x\n",
        "components/shared/deep.py": "x = 1\n",
        "components/shared/report/__init__.py": "",
        "components/shared/report/page.html": "<p>",
        "components/one/__init__.py": "",
        "components/one/one.py": "def f():\n    from components.shared.boxes import y\n",
        "components/two/__init__.py": "",
        "components/two/two.py": "import components.shared.report\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(images, "ROOT", tmp_path)
    images.content_tag.cache_clear()
    return tmp_path


def tags() -> tuple[str, str]:
    images.content_tag.cache_clear()
    return images.content_tag("sightline/data", "one"), images.content_tag("sightline/data", "two")


@pytest.mark.parametrize(
    ("edited", "changes_one", "changes_two"),
    [
        ("components/one/one.py", True, False),
        ("components/two/two.py", False, True),
        ("components/shared/boxes.py", True, False),
        ("components/shared/deep.py", True, False),  # reached through another module
        ("components/shared/report/page.html", False, True),  # a template
        ("images/data/requirements.txt", True, True),
        ("images/data/Dockerfile", True, True),
        ("images/kfp.txt", True, True),
    ],
)
def test_an_edit_changes_the_tag_of_exactly_the_steps_it_reaches(
    tree: Path, edited: str, changes_one: bool, changes_two: bool
) -> None:
    one, two = tags()
    path = tree / edited
    path.write_text(path.read_text() + "\n# edited\n")
    after_one, after_two = tags()
    assert (after_one != one) == changes_one
    assert (after_two != two) == changes_two


def test_compiled_python_does_not_count(tree: Path) -> None:
    before = tags()
    (tree / "components/one/__pycache__").mkdir()
    (tree / "components/one/__pycache__/one.cpython-311.pyc").write_bytes(b"x")
    assert tags() == before


@pytest.mark.parametrize(
    "reference",
    [
        "sightline/data:ingest-0f3a",
        "registry.example:5000/team/sightline/data:ingest-0f3a",
        "sightline/data@sha256:00",
        "sightline/data",
    ],
)
def test_a_reference_leads_back_to_its_environment(reference: str) -> None:
    assert images.environment(reference) == "data"


@pytest.mark.parametrize("task", ["one", "one-part"])
def test_a_task_is_current_while_the_files_of_its_step_are(tree: Path, task: str) -> None:
    found = images.reference("sightline/data", images.owner(task))
    assert images.is_current(found, task)
    (tree / "components/two/two.py").write_text("edited = True\n")
    assert images.is_current(found, task)
    (tree / "components/one/one.py").write_text("edited = True\n")
    assert not images.is_current(found, task)


def test_the_registry_comes_first(tree: Path) -> None:
    found = images.reference("sightline/data", "one", "registry.example/team/")
    assert found == f"registry.example/team/sightline/data:one-{tags()[0]}"
