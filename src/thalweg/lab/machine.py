"""Which machine a race ran on, and with which versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from thalweg.lab.records import Json

PACKAGES = ("thalweg", "torch", "numpy", "numba", "scipy")
CPUINFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, Json]:
    """The processor, its cores, the memory and the system; nothing that names the machine or its owner."""
    return {
        "cpu": _processor(),
        "cores": psutil.cpu_count(logical=False) or 1,
        "threads": psutil.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def describe_versions() -> dict[str, Json]:
    """The versions that a race's numbers depend on."""
    found: dict[str, Json] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _processor() -> str:
    """The processor's model, as Linux says it, or else as the platform does."""
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
