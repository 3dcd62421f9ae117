"""What every test starts from: one torch thread, one seed, its own kernels, and Hypothesis without a stopwatch."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import settings

# Hypothesis times each example, and a kernel's first call compiles it.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> None:
    # The tests run in two processes side by side, and small tensors gain nothing from threads.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _kernels_are_kept(pytestconfig: pytest.Config) -> None:
    # One folder for all tests, all workers and the next run; a kernel's file is named after all that it depends on.
    os.environ.setdefault("THALWEG_CACHE", str(pytestconfig.cache.mkdir("thalweg")))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
