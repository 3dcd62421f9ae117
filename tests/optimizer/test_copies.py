"""An optimizer can be copied, pickled and saved, and goes on as the original would."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import descend, one_parameter, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

MAKERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "a chain": lambda params: tw.Optimizer(params, tw.chain(tw.adam(0.8), tw.decay(0.1), tw.step(0.1))),
    "a schedule": lambda params: tw.Optimizer(params, tw.chain(tw.adam(), tw.step(tw.cosine(0.1, steps=9)))),
    "no rate": lambda params: tw.Optimizer(params, tw.chain(tw.rprop())),
    "SGD": lambda params: tw.SGD(params, lr=0.1, momentum=0.9, dampening=0.3),
    "AdamW": lambda params: tw.AdamW(params, lr=torch.tensor(0.1), amsgrad=True),
    "NAdam": lambda params: tw.NAdam(params, lr=0.1, decoupled_weight_decay=True, weight_decay=0.1),
    "ASGD": lambda params: tw.ASGD(params, lr=0.1, lambd=0.1, t0=2),
    "Adafactor": lambda params: tw.Adafactor(params, lr=0.1, weight_decay=0.1),
    "Muon": lambda params: tw.Muon([p for p in params if p.dim() == 2], lr=0.1),
    "groups": lambda params: tw.Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.3}]),
}


def torch_saved(optimizer: torch.optim.Optimizer) -> Any:
    file = io.BytesIO()
    torch.save(optimizer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),  # noqa: S301  # our own bytes
    "torch.save": torch_saved,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_copy_goes_on_as_the_original_would_and_apart_from_it(make: Any, copied: Any) -> None:
    original = make(parameters())
    reached = descend(original, 4)
    other = copied(original)
    assert all(
        torch.equal(a, b) for a, b in zip(descend(other, 3, start=4), descend(original, 3, start=4), strict=True)
    )
    assert not torch.equal(original.param_groups[0]["params"][0], reached[0])
    assert type(other) is type(original)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_copy_made_before_the_first_step_is_whole(make: Any) -> None:
    original = make(parameters())
    other = copy.deepcopy(original)
    assert all(torch.equal(a, b) for a, b in zip(descend(other, 2), descend(original, 2), strict=True))


def test_a_copy_keeps_how_it_treats_what_is_not_finite_and_what_it_has_skipped() -> None:
    parameter = one_parameter()
    optimizer = tw.SGD([parameter], nonfinite="skip")
    parameter.grad = torch.full((3,), float("nan"))
    optimizer.step()
    other = copy.deepcopy(optimizer)
    assert other.skipped == 1
    other.param_groups[0]["params"][0].grad = torch.full((3,), float("nan"))
    other.step()
    assert (other.skipped, optimizer.skipped) == (2, 1)


def test_a_copied_optimizer_takes_new_groups() -> None:
    optimizer = copy.deepcopy(tw.Optimizer([one_parameter()], tw.chain(tw.adam(), tw.step(0.1))))
    optimizer.add_param_group({"params": [one_parameter()]})
    assert len(optimizer.param_groups) == 2


def test_the_state_is_one_object_from_the_beginning() -> None:
    parameter = one_parameter()
    optimizer = tw.Adam([parameter])
    state = optimizer.state
    optimizer.step()
    assert state[parameter]["step"] == 1
    assert optimizer.state is state


def test_a_closed_over_schedule_is_what_cannot_be_pickled_and_nothing_else() -> None:
    optimizer = tw.Optimizer([one_parameter()], tw.chain(tw.adam(), tw.step(lambda _: 0.1)))
    optimizer.step()
    assert copy.deepcopy(optimizer).param_groups[0]["lr"] == 0.1
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    optimizer.load_state_dict(torch.load(file, weights_only=True))
