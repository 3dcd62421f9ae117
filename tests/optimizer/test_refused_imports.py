"""A state of torch's that does not fit is refused with one sentence, and so is a chain that torch cannot say."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import descend, parameters
from thalweg.errors import CheckpointError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.chain import Chain

DECAYED_ADAM = tw.chain(tw.adam(), tw.decay(), tw.step(0.5))


def pair(order: str = "ab") -> list[tuple[str, Tensor]]:
    a, b = parameters([(3,), (3,)])
    return [(name, {"a": a, "b": b}[name]) for name in order]


def adams_state() -> Any:
    first = torch.optim.Adam(pair(), lr=0.25)
    descend(first, 1)
    return first.state_dict()


REFUSED: dict[str, tuple[Callable[[], tw.Optimizer], Callable[[], Any], Any, str]] = {
    "another formula": (
        lambda: tw.Optimizer(pair(), tw.chain(tw.lion(), tw.step(1))),
        adams_state,
        "Adam",
        r"a, b: torch.optim.Adam with these settings is chain\(adam\(.*\), step\(0.25\)\), and .* by chain\(lion\(",
    ),
    "a formula that is another at zero": (
        lambda: tw.Optimizer(pair(), tw.chain(tw.heavy_ball(form="torch"), tw.step(1))),
        lambda: torch.optim.SGD(pair(), dampening=0.5).state_dict(),
        "SGD",
        r"a, b: torch.optim.SGD with these settings is chain\(gradient_descent\(\), step\(0.001\)\), and this",
    ),
    "a number that our rule does not take": (
        lambda: tw.Optimizer(pair(), tw.chain(tw.heavy_ball(form="torch"), tw.step(1))),
        lambda: torch.optim.SGD(pair(), momentum=0.5, dampening=1.0).state_dict(),
        "SGD",
        r"group 0: heavy_ball: `dampening` is 1.0; it must lie in \[0, 1\)",
    ),
    "another class": (
        lambda: tw.Optimizer(pair(), tw.chain(tw.adadelta(), tw.step(1))),
        adams_state,
        torch.optim.Adadelta,
        "the state's groups lack rho: they are not torch.optim.Adadelta's",
    ),
    "another drop-in": (
        lambda: tw.Adamax(pair()),
        adams_state,
        torch.optim.Adam,
        "the state is to be torch.optim.Adam's, and this optimizer is the drop-in Adamax",
    ),
    "no state dict": (
        lambda: tw.Optimizer(pair(), DECAYED_ADAM),
        lambda: {"state": {}},
        "Adam",
        "this is no optimizer's state dict: that is a dictionary with `state` and a list of `param_groups`",
    ),
    "an optimizer of torch's": (
        lambda: torch.optim.Adam(pair()),  # pyright: ignore[reportReturnType]
        adams_state,
        "Adam",
        "the first argument is a Adam, and must be an optimizer of thalweg's",
    ),
}


@pytest.mark.parametrize(("mine", "state", "of", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(mine: Any, state: Any, of: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        tw.load_torch_state(mine(), state(), of)


def test_an_optimizer_of_torchs_that_has_no_drop_in_is_refused() -> None:
    with pytest.raises(
        UnknownNameError, match=r"there is no drop-in for torch.optim.LBFGS; known are: ASGD, Adadelta, Adafactor"
    ):
        tw.load_torch_state(tw.Optimizer(pair(), DECAYED_ADAM), adams_state(), torch.optim.LBFGS)


UNSAID: dict[str, tuple[Chain, str, str]] = {
    "another rule": (
        tw.chain(tw.lion(), tw.step(1)),
        "AdamW",
        r"torch.optim.AdamW is another formula than chain\(lion\(\), step\(1\)\), whatever its settings",
    ),
    "epsilon elsewhere": (tw.chain(tw.adam(epsilon="inside"), tw.step(1)), "Adam", "is another formula than chain"),
    "decay behind another rule": (tw.chain(tw.rmsprop(), tw.decay(), tw.step(1)), "RMSprop", "is another formula than"),
    "momentum of zero, which torch leaves out and the dampening with it": (
        tw.chain(tw.heavy_ball(beta=0.0, dampening=0.5, form="torch"), tw.step(1)),
        "SGD",
        r"torch.optim.SGD has no settings that mean chain\(heavy_ball\(beta=0, dampening=0.5, form='torch'\), step\(1",
    ),
}


@pytest.mark.parametrize(("chain", "of", "message"), UNSAID.values(), ids=UNSAID)
def test_what_torch_cannot_say_is_refused(chain: Chain, of: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        tw.torch_state(tw.Optimizer(pair(), chain), of)


def test_without_names_the_groups_must_be_alike() -> None:
    first = torch.optim.AdamW(parameters([(3,), (3,)]))
    a, b = parameters([(3,), (3,)])
    second = tw.Optimizer([{"params": [a]}, {"params": [b]}], DECAYED_ADAM)
    message = (
        r"the state is of 2 parameters, and this optimizer has 1 \+ 1; without names on both sides .* by their order"
    )
    with pytest.raises(CheckpointError, match=message):
        tw.load_torch_state(second, first.state_dict(), "AdamW")


def test_where_torch_counts_no_steps_a_schedule_must_be_told() -> None:
    first = torch.optim.SGD(pair(), momentum=0.9)
    descend(first, 3)
    second = tw.Optimizer(pair(), tw.chain(tw.heavy_ball(form="torch"), tw.step(tw.linear(1.0, 0.0, steps=10))))
    with pytest.raises(
        CheckpointError, match=r"a, b: its schedule goes on from a step that torch.optim.SGD does not count"
    ):
        tw.load_torch_state(second, first.state_dict(), "SGD")
    tw.load_torch_state(second, first.state_dict(), "SGD", steps=3)
    assert second.param_groups[0]["steps"] == 3


def test_what_fits_is_taken_where_loading_is_not_strict() -> None:
    first = torch.optim.AdamW(pair())
    descend(first, 1)
    (shaped,) = parameters([(4,)])
    second = tw.Optimizer([*pair("b"), ("a", shaped), ("c", parameters([(2,)])[0])], DECAYED_ADAM)
    report = tw.load_torch_state(second, first.state_dict(), "AdamW", strict=False)
    assert (report.loaded, report.missing, list(report.mismatched)) == (("b",), ("c",), ["a"])
