"""How busy other programs keep the machine meanwhile: what they take, a bench cannot have."""

from __future__ import annotations

import time

import psutil


class Company:
    """Watches from its making on."""

    def __init__(self) -> None:
        self._wall, self._own, self._busy = time.monotonic(), time.process_time(), _busy_seconds()

    def cores(self) -> float:
        """How many processors other programs have kept busy, on average."""
        wall = time.monotonic() - self._wall
        others = (_busy_seconds() - self._busy) - (time.process_time() - self._own)
        return max(others, 0.0) / wall


def _busy_seconds() -> float:
    """The time that all processors together have worked since the machine was started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted among the users' already
    return sum(times) - idle - guests
