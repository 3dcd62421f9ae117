"""Minibatches: a seed's own order, epoch by epoch, whatever step one starts from."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from thalweg.lab.minibatches import batches, take
from thalweg.lab.problem import DataOrder, Problem


def _problem(examples: int, batch_size: int, data_order: DataOrder = "reshuffled") -> Problem:
    arrays = (torch.arange(examples).float(),)
    return Problem(
        name="numbers",
        model=lambda: nn.Linear(1, 1),
        loss=lambda model, batch: model(batch[0].unsqueeze(1)).mean(),
        train=arrays,
        test=arrays,
        batch_size=batch_size,
        steps=1,
        data_order=data_order,
    )


def _first(problem: Problem, seed: int, steps: int, start: int = 0) -> list[Tensor]:
    return list(itertools.islice(batches(problem, seed, start=start), steps))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32))
def test_an_epoch_sees_no_example_twice_and_drops_the_remainder(examples: int, batch_size: int, seed: int) -> None:
    batch_size = min(batch_size, examples)
    epoch = torch.cat(_first(_problem(examples, batch_size), seed, examples // batch_size))
    assert len(epoch) == examples // batch_size * batch_size
    assert len(epoch.unique()) == len(epoch)
    assert 0 <= epoch.min() <= epoch.max() < examples


def test_reshuffled_draws_a_new_order_for_every_epoch() -> None:
    steps = torch.stack(_first(_problem(100, 10), 1, 20))
    assert not torch.equal(steps[:10], steps[10:])
    assert torch.equal(steps[10:].flatten().sort().values, torch.arange(100))


def test_fixed_reuses_the_first_order() -> None:
    steps = torch.stack(_first(_problem(103, 10, "fixed"), 1, 30))
    assert torch.equal(steps[:10], steps[10:20])
    assert torch.equal(steps[:10], steps[20:])


def test_fixed_and_reshuffled_begin_alike() -> None:
    fixed, reshuffled = _first(_problem(100, 10, "fixed"), 7, 10), _first(_problem(100, 10), 7, 10)
    assert all(map(torch.equal, fixed, reshuffled))


def test_a_seed_has_its_own_order_and_always_the_same() -> None:
    once, again, other = (torch.cat(_first(_problem(100, 10), seed, 20)) for seed in (5, 5, 6))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_torchs_random_state_neither_decides_nor_notices() -> None:
    torch.manual_seed(1)
    once, state = torch.cat(_first(_problem(100, 10), 5, 20)), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(once, torch.cat(_first(_problem(100, 10), 5, 20)))
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


@given(st.integers(0, 40), st.sampled_from(["reshuffled", "fixed"]))
def test_a_run_goes_on_from_any_step_as_if_it_had_never_stopped(start: int, data_order: DataOrder) -> None:
    problem = _problem(23, 3, data_order)
    whole, rest = _first(problem, 3, 60), _first(problem, 3, 60 - start, start)
    assert len(rest) == 60 - start
    assert all(map(torch.equal, whole[start:], rest))


def test_take_gives_each_arrays_examples() -> None:
    inputs, labels = take((torch.arange(20).view(10, 2), torch.arange(10)), torch.tensor([3, 1]))
    assert inputs.tolist() == [[6, 7], [2, 3]]
    assert labels.tolist() == [3, 1]
