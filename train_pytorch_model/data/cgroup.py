"""The limits of the container that the process runs in: Linux's control groups, version 1 and 2."""

import math
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def memory_left() -> int | None:
    """The bytes that the container may still take; None where it has no limit.

    Files that are cached in memory do not count: they give way.
    """
    candidates = []
    for group in _groups("memory"):
        limit = _number(group / "memory.max", group / "memory.limit_in_bytes")
        used = _number(group / "memory.current", group / "memory.usage_in_bytes")
        if limit is not None and used is not None:
            candidates.append(max(0, limit - used + _cached_files(group)))
    return min(candidates, default=None)


def cpus() -> int | None:
    """The processors that the container's quota is worth, rounded up; None without a quota."""
    candidates = []
    for group in _groups("cpu"):
        quota, period = _quota(group)
        if quota is not None and period:
            candidates.append(max(1, math.ceil(quota / period)))
    return min(candidates, default=None)


def _groups(controller: str) -> Iterator[Path]:
    """The directories of the groups that the process is in, up to the outermost one."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # In a container the path may be the host's, of which only the root is mounted.
        top = ROOT / controller if controllers else ROOT
        group = top / path.lstrip("/")
        yield from (g for g in (group, *group.parents) if g == top or top in g.parents)


def _quota(group: Path) -> tuple[int | None, int | None]:
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota), int(period)
    except (OSError, ValueError):  # version 1, or no quota ("max")
        quota_us = _number(group / "cpu.cfs_quota_us")
        return (quota_us if quota_us and quota_us > 0 else None), _number(
            group / "cpu.cfs_period_us"
        )


def _cached_files(group: Path) -> int:
    try:
        pairs = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        statistics = {name: int(value) for name, value in pairs}
    except (OSError, ValueError):
        return 0
    inactive = ("total_inactive_file", "inactive_file")  # version 1, then version 2
    return next((statistics[name] for name in inactive if name in statistics), 0)


def _number(*files: Path) -> int | None:
    """What the first of ``files`` that holds a number says."""
    for file in files:
        try:
            return int(file.read_text())
        except (OSError, ValueError):  # no such file, or no limit ("max")
            continue
    return None
