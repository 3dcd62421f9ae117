"""What belongs to a group goes with its parameters: numbers, where schedules stand, the state of the whole model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, parameters
from thalweg.errors import CheckpointError
from thalweg.formula import (
    ColumnZeros,
    Direction,
    ModelZeros,
    RowZeros,
    TensorZeros,
    Update,
    mean,
    rule,
    sqrt,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ADAM = tw.chain(tw.adam(), tw.decay(), tw.step(0.1))


def pair(*names: str) -> list[tuple[str, Tensor]]:
    return list(zip(names, parameters([(3,)] * len(names)), strict=True))


def stepped(optimizer: tw.Optimizer, steps: int = 2) -> tw.Optimizer:
    descend(optimizer, steps)
    return optimizer


def test_numbers_go_with_the_state() -> None:
    first = tw.Optimizer(pair("a"), ADAM)
    first.param_groups[0]["beta1"] = 0.5
    second = tw.Optimizer(pair("a"), ADAM)
    tw.load_named_state(second, tw.named_state(stepped(first)))
    assert (second.param_groups[0]["beta1"], second.param_groups[0]["steps"]) == (0.5, 2)


def test_an_optimizer_keeps_its_own_numbers_where_that_is_asked_for() -> None:
    first = tw.Optimizer(pair("a"), tw.chain(tw.adam(beta1=0.5), tw.step(0.2)))
    second = tw.Optimizer(pair("a"), tw.chain(tw.adam(), tw.step(0.1)))
    assert tw.load_named_state(second, tw.named_state(stepped(first)), settings="own").fits
    group = second.param_groups[0]
    assert (group["beta1"], group["lr"], group["steps"]) == (0.9, 0.1, 2)
    assert torch.equal(second.state[group["params"][0]]["m"], first.state[first.param_groups[0]["params"][0]]["m"])


def test_each_part_of_a_divided_group_has_its_numbers() -> None:
    first = stepped(tw.Optimizer(pair("a", "b"), tw.chain(tw.adam(), tw.step(0.2))))
    (a, b) = pair("a", "b")
    second = tw.Optimizer([{"params": [b]}, {"params": [a]}], tw.chain(tw.adam(), tw.step(0.1)))
    tw.load_named_state(second, tw.named_state(first))
    assert [group["lr"] for group in second.param_groups] == [0.2, 0.2]


def divided() -> tw.Optimizer:
    (a, b) = pair("a", "b")
    return stepped(tw.Optimizer([{"params": [a], "weight": 0.0}, {"params": [b], "lr": 0.2}], ADAM))


def test_groups_that_contradict_each_other_are_not_merged() -> None:
    second = tw.Optimizer(pair("a", "b"), ADAM)
    message = r"group 0: its parameters come .* differ in weight \(0.0, 0.01\), lr \(0.1, 0.2\)\n.*settings='own'"
    with pytest.raises(CheckpointError, match=message):
        tw.load_named_state(second, tw.named_state(divided()))
    assert second.state_dict()["state"] == {}


def test_groups_that_contradict_each_other_leave_the_numbers_alone_where_loading_is_not_strict() -> None:
    second = tw.Optimizer(pair("a", "b"), ADAM)
    report = tw.load_named_state(second, tw.named_state(divided()), strict=False)
    assert (report.loaded, list(report.mismatched)) == (("a", "b"), ["group 0"])
    assert (second.param_groups[0]["lr"], second.param_groups[0]["weight"]) == (0.1, 0.01)


def test_groups_that_were_divided_can_be_merged_with_the_optimizers_own_numbers() -> None:
    second = tw.Optimizer(pair("a", "b"), ADAM)
    assert tw.load_named_state(second, tw.named_state(divided()), settings="own").fits
    assert second.param_groups[0]["steps"] == 2


def test_a_scheduler_of_torchs_finds_what_it_left_in_the_group() -> None:
    first = tw.Adam(pair("a"), lr=0.4)
    scheduler = torch.optim.lr_scheduler.StepLR(first, 1)
    stepped(first, 1)
    scheduler.step()
    second = tw.Adam(pair("a"))
    tw.load_named_state(second, tw.named_state(first))
    again = torch.optim.lr_scheduler.StepLR(second, 1, last_epoch=0)
    assert second.param_groups[0]["initial_lr"] == 0.4
    assert again.get_last_lr() == pytest.approx([0.004])


SCHEDULE = tw.warmup(3) >> tw.cosine(0.3, steps=10)
BECOMES: dict[str, tuple[object, object, float]] = {
    "a schedule where there was a number": (0.1, SCHEDULE, SCHEDULE(2)),
    "a number where there was a schedule": (SCHEDULE, 0.1, 0.1),
    "another schedule": (SCHEDULE, tw.linear(0.2, 0.1, steps=4), 0.15),
}


@pytest.mark.parametrize(("before", "after", "rate"), BECOMES.values(), ids=BECOMES)
def test_the_chain_of_now_says_how_the_rate_goes_on(before: float, after: float, rate: float) -> None:
    first = stepped(tw.Optimizer(pair("a"), tw.chain(tw.adam(), tw.step(before))))
    second = tw.Optimizer(pair("a"), tw.chain(tw.adam(), tw.step(after)))
    tw.load_named_state(second, tw.named_state(first))
    stepped(second, 1)
    assert second.param_groups[0]["lr"] == pytest.approx(rate)


def with_plateau(controller: Callable[[int], float]) -> tw.Optimizer:
    return tw.Optimizer(pair("a"), tw.chain(tw.adam(), tw.step(tw.warmup(2) >> controller)))


def test_a_controller_goes_on_where_it_stood() -> None:
    before, after = (tw.plateau(0.1, factor=0.5, patience=0) for _ in range(2))
    first, second = with_plateau(before), with_plateau(after)
    for metric in (1.0, 2.0):
        before.update(metric)
    stepped(first)
    assert tw.load_named_state(second, tw.named_state(first)).fits
    assert after.state_dict() == before.state_dict()
    assert after(0) == 0.05


def test_a_controller_of_another_kind_is_refused_and_stays() -> None:
    before, after = tw.plateau(0.1), tw.plateau(0.1, mode="max")
    state = tw.named_state(stepped(with_plateau(before)))
    with pytest.raises(CheckpointError, match=r"group 0: `lr`: plateau\(0.1, mode='max'\): the state is of a plateau"):
        tw.load_named_state(with_plateau(after), state)
    assert after.state_dict() == tw.plateau(0.1, mode="max").state_dict()


@rule(title="Coarse", source="made up for this test", learning_rate=0.1)
def coarse(
    g: Direction, of_tensor: TensorZeros, of_row: RowZeros, of_column: ColumnZeros, of_model: ModelZeros
) -> Update:
    """Divide by averages of several levels."""
    of_tensor = 0.9 * of_tensor + total(g**2, per="tensor")
    of_row = 0.9 * of_row + mean(g**2, per="row")
    of_column = 0.9 * of_column + mean(g**2, per="column")
    of_model = 0.9 * of_model + total(g**2, per="model")
    return g / (1 + sqrt(of_tensor + of_row * of_column) + sqrt(of_model)), of_tensor, of_row, of_column, of_model


def coarse_optimizer(dtype: torch.dtype) -> tw.Optimizer:
    names = ("matrix", "vector", "scalar", "stack")
    tensors = parameters([(3, 4), (5,), (), (2, 3, 2)], dtype)
    return tw.Optimizer(list(zip(names, tensors, strict=True)), tw.chain(coarse(), tw.step(0.1)), backend="reference")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_states_of_rows_tensors_and_the_model_go_on_to_the_last_bit(dtype: torch.dtype) -> None:
    whole, first, second = (coarse_optimizer(dtype) for _ in range(3))
    expected = descend(whole, 6)
    for parameter, reached in zip(second.param_groups[0]["params"], descend(first, 3), strict=True):
        parameter.data.copy_(reached)
    state = copy.deepcopy(tw.named_state(first))
    assert state["groups"][0]["settings"]["of_model"] > 0
    assert tw.load_named_state(second, state, settings="own").fits
    assert all(torch.equal(a, b) for a, b in zip(descend(second, 3, start=3), expected, strict=True))


def test_the_models_state_begins_anew_where_it_had_not_begun() -> None:
    first, second = coarse_optimizer(torch.float64), coarse_optimizer(torch.float64)
    descend(second, 2)
    tw.load_named_state(second, tw.named_state(first))
    assert "of_model" not in second.param_groups[0]
    descend(second, 1)
    descend(first, 1)
    assert second.param_groups[0]["of_model"] == first.param_groups[0]["of_model"]


def test_a_state_of_rows_has_a_value_for_each_row() -> None:
    first = coarse_optimizer(torch.float64)
    descend(first, 1)
    state = copy.deepcopy(tw.named_state(first))
    state["state"]["matrix"]["of_row"] = torch.ones(4, 1, dtype=torch.float64)
    with pytest.raises(CheckpointError, match=r"`of_row` has shape \(4, 1\), and the parameter's must have \(3, 1\)"):
        tw.load_named_state(coarse_optimizer(torch.float64), state)


def test_stages_choose_their_parameters_in_the_new_groups_too() -> None:
    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))

    chain = tw.chain(tw.adam(), tw.decay(0.5, skip=("norm", "bias")), tw.step(0.1))
    before, after = network(), network()
    first, second = tw.Optimizer(before, chain), tw.Optimizer(after, chain)
    descend(first, 3)
    after.load_state_dict(before.state_dict())
    assert tw.load_named_state(second, copy.deepcopy(tw.named_state(first))).fits
    assert second.param_groups[0]["roles"] == first.param_groups[0]["roles"]
    assert all(torch.equal(a, b) for a, b in zip(descend(second, 2, start=3), descend(first, 2, start=3), strict=True))
