"""What every test starts from: one torch thread, one seed, its own kernels, and Hypothesis without a stopwatch."""

from __future__ import annotations

import gc
import os
import signal

import pytest

# What is imported here, the process that hands out the tests imports too, before the others start.


@pytest.hookimpl(tryfirst=True)  # before Hypothesis looks for its own options
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        return
    from hypothesis import settings

    # Hypothesis times each example, and a kernel's first call compiles it.
    settings.register_profile("default", deadline=None)
    settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_sessionstart() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so it is in the background, and in all that is started here
        _ = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Importing makes objects that stay, and looking for garbage among them takes as long as the imports themselves.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> None:
    import torch

    # The tests run in two processes side by side, and small tensors gain nothing from threads.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _kernels_are_kept(pytestconfig: pytest.Config) -> None:
    # One folder for all tests, all workers and the next run; a kernel's file is named after all that it depends on.
    os.environ.setdefault("THALWEG_CACHE", str(pytestconfig.cache.mkdir("thalweg")))


@pytest.fixture(autouse=True)
def _seed() -> None:
    import torch

    torch.manual_seed(0)
