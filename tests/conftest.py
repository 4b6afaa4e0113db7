"""What every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real datasets in their upstream formats, or a skip."""
    folder = Path(os.environ.get("SIGHTLINE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real datasets at {folder}; set SIGHTLINE_TEST_DATA to their folder")
    return folder
