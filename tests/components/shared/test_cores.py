"""A container's CPU limit counts, not the cores of its node."""

import os
from pathlib import Path

import pytest

from components.shared.cores import usable_cores

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", CORES),
        ("100000 100000", 1),
        ("150000 100000", 1),  # a second thread would wait half of the time
        ("50000 100000", 1),  # less than a core is still one thread
        (f"{CORES * 1000000} 100000", CORES),
        ("nonsense", CORES),
    ],
)
def test_the_limit_of_a_control_group_holds(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert usable_cores(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", CORES), ("100000", 1)])
def test_the_older_control_groups_too(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == expected


def test_without_control_groups_the_cores_count(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == CORES
