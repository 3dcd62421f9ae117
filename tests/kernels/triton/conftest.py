"""What the tests of the Triton backend start from: a folder for compiled kernels, and optimizers that it steps."""

from __future__ import annotations

import importlib.util
import os

import pytest

if importlib.util.find_spec("triton") is None:  # there is none for this machine
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True, scope="session")
def _compiled_kernels_are_kept(pytestconfig: pytest.Config) -> None:
    os.environ.setdefault("TRITON_CACHE_DIR", str(pytestconfig.cache.mkdir("triton")))


@pytest.fixture
def triton() -> str:
    """The name of the backend, which steps tensors on the CPU by Triton's interpreter."""
    return "triton"
