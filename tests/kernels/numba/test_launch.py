"""One launch steps all tensors, whatever their number, and any number of threads shares it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, parameters
from thalweg.kernels.numba import Block, launch
from thalweg.kernels.numba.pieces import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

ADAM = tw.chain(tw.adam(), tw.step(0.1))


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    seen: list[Block] = []
    begin = Block._begin

    def counted(block: Block) -> int:
        seen.append(block)
        return begin(block)

    monkeypatch.setattr(Block, "_begin", counted)
    return seen


def test_two_hundred_tensors_of_many_shapes_are_one_launch(launches: list[Block]) -> None:
    descend(tw.Optimizer(parameters([(k % 7, 3) for k in range(200)], torch.float32), ADAM), 5)
    assert len(launches) == 5


def test_groups_that_differ_in_numbers_alone_are_one_launch(launches: list[Block]) -> None:
    groups = [{"params": parameters([(3,)], torch.float32), "lr": 0.1 * k, "beta1": 0.1 * k} for k in range(9)]
    descend(tw.Optimizer(groups, ADAM), 3)
    assert len(launches) == 3


def test_tensors_of_different_age_are_one_launch(launches: list[Block]) -> None:
    tensors = parameters([(3,)] * 5, torch.float32)
    optimizer = tw.Optimizer(tensors, ADAM)
    for step in range(5):
        for tensor in tensors[: step + 1]:
            tensor.grad = torch.ones(3)
        optimizer.step()
    assert len(launches) == 5
    assert [int(optimizer.state[tensor]["step"]) for tensor in tensors] == [5, 4, 3, 2, 1]


def test_every_dtype_and_every_structure_is_a_launch_of_its_own(launches: list[Block]) -> None:
    groups = [
        {"params": [*parameters([(3,)], torch.float32), *parameters([(3,)], torch.float64)]},
        {"params": parameters([(3,)], torch.float32), "chain": tw.chain(tw.gradient_descent(), tw.step(0.1))},
    ]
    descend(tw.Optimizer(groups, ADAM), 1)
    assert len(launches) == 3


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("two_threads")
def test_without_torchs_threads_pythons_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [(3 * PIECE + 5,), (17,)]
    with_torchs = descend(tw.Optimizer(parameters(shapes, torch.float32), ADAM), 3)

    def no_library() -> None:
        raise OSError

    monkeypatch.setattr(launch, "torch_library", no_library)
    launch._launcher.cache_clear()
    try:
        with_pythons = descend(tw.Optimizer(parameters(shapes, torch.float32), ADAM), 3)
    finally:
        launch._launcher.cache_clear()
    assert all(torch.equal(a, b) for a, b in zip(with_torchs, with_pythons, strict=True))
