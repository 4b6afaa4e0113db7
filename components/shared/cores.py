"""How many processor cores this process may use."""

import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return the number of cores that this process may keep busy, at least 1.

    A container with a CPU limit still sees all cores of its node. As many threads as those
    would wait for each other most of the time, so the limit counts too (Linux kernel,
    "Control Group v2": `cpu.max`; version 1: `cpu.cfs_quota_us`).

    Args:
        cgroup: where the kernel shows this container's control group.
    """
    cores = len(os.sched_getaffinity(0))
    limit = _limit(cgroup)
    return cores if limit is None else max(1, min(cores, int(limit)))


def _limit(cgroup: Path) -> float | None:
    """Return the limit in cores, or None where there is none."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        return None if quota in {"max", "-1"} else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # another system: the cores decide
        return None
