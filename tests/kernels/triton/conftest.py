"""What the tests of the Triton backend start from: a folder for compiled kernels, and optimizers that it steps."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import pytest

from thalweg.kernels.triton.binding import TritonBinding
from thalweg.optimizer import layout

if TYPE_CHECKING:
    from torch import Tensor

if importlib.util.find_spec("triton") is None:  # there is none for this machine
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True, scope="session")
def _compiled_kernels_are_kept(pytestconfig: pytest.Config) -> None:
    os.environ.setdefault("TRITON_CACHE_DIR", str(pytestconfig.cache.mkdir("triton")))


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the backend that steps on Triton's interpreter, for `tw.Optimizer(backend=…)`."""
    usual = layout._binder

    def binder(backend: layout.Backend, parameter: Tensor) -> object:
        return TritonBinding if backend == "numba" else usual(backend, parameter)

    monkeypatch.setattr(layout, "_binder", binder)
    return "numba"
