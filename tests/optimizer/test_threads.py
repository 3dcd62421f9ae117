"""Optimizers may be stepped from several threads at once, and gradients dropped meanwhile."""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import torch

from descents import descend, one_parameter, optimizer_of, parameters
from thalweg.kernels.numba import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES = [(60_000,), (300, 7), ()]


@pytest.fixture(params=[1, 2])
def torch_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(1)


@pytest.mark.usefixtures("torch_threads")
def test_four_threads_stepping_four_optimizers_at_once_arrive_where_each_would_alone() -> None:
    rules = ["adam", "heavy_ball", "adam", "rprop"]
    alone = [descend(optimizer_of(rule, parameters(SHAPES, torch.float32)), 20) for rule in rules]
    with ThreadPoolExecutor(4) as pool:
        optimizers = [optimizer_of(rule, parameters(SHAPES, torch.float32)) for rule in rules]
        together = list(pool.map(lambda optimizer: descend(optimizer, 20), optimizers))
    for some, others in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.mark.usefixtures("torch_threads")
def test_two_threads_stepping_one_optimizer_take_whole_steps_in_turn() -> None:
    shared, alone = parameters(SHAPES, torch.float32), parameters(SHAPES, torch.float32)
    optimizer, other = optimizer_of("adam", shared), optimizer_of("adam", alone)
    for parameter in (*shared, *alone):
        parameter.grad = torch.full_like(parameter, 0.5)
    start = threading.Barrier(2)

    def step_often() -> None:
        start.wait()
        for _ in range(25):
            optimizer.step()

    threads = [threading.Thread(target=step_often) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(50):
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(shared, alone, strict=True))
    assert optimizer.state[shared[0]]["step"] == 50


def test_a_gradient_that_is_dropped_while_the_kernel_runs_is_there_until_it_has_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parameter = one_parameter()
    gradient = weakref.ref(parameter.grad)
    optimizer = optimizer_of("gradient_descent", [parameter])
    run = Block.run

    def run_later(block: Block, *arguments: Any, **named: Any) -> int | None:
        parameter.grad = None  # as another thread might, since a running kernel does not hold the interpreter
        assert gradient() is not None
        return run(block, *arguments, **named)

    monkeypatch.setattr(Block, "run", run_later)
    optimizer.step()
    assert gradient() is None
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.95))
