"""A process that has stepped may fork, and what it has forked may step."""

from __future__ import annotations

import os
import time
import warnings
from typing import TYPE_CHECKING

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from descents import one_parameter, optimizer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def in_a_fork(work: Callable[[], bool], seconds: float = 300) -> bool:
    """What some work in a forked process gives; False if it does not end in time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def test_stepping_goes_on_in_a_forked_child_and_in_its_parent() -> None:
    parameter = one_parameter(1.0, 300_000)
    optimizer = optimizer_of("gradient_descent", [parameter])
    optimizer.step()

    def step() -> bool:
        optimizer.step()
        return abs(float(parameter.data[77_777]) - 0.9) < 1e-6

    assert in_a_fork(step)
    assert float(parameter.data[0]) == pytest.approx(0.95), "the child's step is its own"
    assert step()


def test_a_forked_child_may_make_an_optimizer_and_compile_its_kernel() -> None:
    optimizer_of("gradient_descent", [one_parameter()]).step()

    def step() -> bool:
        parameter = one_parameter(dtype=torch.float64)
        optimizer_of("adamax", [parameter]).step()
        return float(parameter.data[0]) < 1

    assert in_a_fork(step)


def test_a_data_loader_may_fork_its_workers_after_a_step_and_between_steps() -> None:
    data = TensorDataset(torch.randn(64, 8), torch.randn(64, 1))
    model = torch.nn.Linear(8, 1)
    optimizer = optimizer_of("adam", model)
    model(data.tensors[0]).sum().backward()
    optimizer.step()
    for _ in range(2):
        loader = DataLoader(data, batch_size=16, num_workers=2, multiprocessing_context="fork", timeout=300)
        for inputs, outputs in loader:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(inputs), outputs).backward()
            optimizer.step()
    assert optimizer.state[model.weight]["step"] == 9
