"""What a formula may say, and what is said of one that asks more of the language than it has."""

# ruff: noqa: ARG005  # a table's functions all take the same arguments

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg import formula
from thalweg.errors import FormulaError
from thalweg.formula import (
    Direction,
    Displacement,
    Parameter,
    Position,
    Step,
    Update,
    Zeros,
    equal,
    exp,
    log,
    maximum,
    minimum,
    rule,
    sign,
    sqrt,
    where,
)
from tolerances import BACKENDS, deviation

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.formula import Scalar
    from thalweg.optimizer.layout import Backend


def stepped(on_scalars: Callable[..., Any], backend: Backend, *, steps: int = 3) -> torch.Tensor:
    """Where a direction that is a function of g, p and t leads from 1 by gradients from -1.5 to 1.5."""

    def direction(g: Direction, p: Parameter, t: Step) -> Update:
        return on_scalars(g, p, t)

    made = rule(title="A direction", source="a test")(direction)
    parameter = torch.ones(7, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(made(), tw.step(1.0)), backend=backend)
    for _ in range(steps):
        parameter.grad = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)
        optimizer.step()
    return parameter.detach()


EXPRESSIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "arithmetic": (
        lambda g, p, t: 2 - (1 + g) * 3 / (p + 4) - 1 / (g - 5) + t,
        lambda g, p, t: -((1 + g) * 3) / (p + 4) + 1 / (5 - g) + 2 + t,
    ),
    "powers": (
        lambda g, p, t: g**2 + g**3 + 2**g + (g + 4) ** p + 2.0**t,
        lambda g, p, t: g * g + g * g * g + torch.exp2(g) + (g + 4).pow(p) + math.pow(2, t),
    ),
    "signs": (lambda g, p, t: abs(g) - -g + +p + sign(g), lambda g, p, t: g.abs() + g + p + g.sign()),
    "functions": (
        lambda g, p, t: sqrt(g + 2) + exp(g) + log(g + 2) + sqrt(t) + exp(-t) + log(t),
        lambda g, p, t: (g + 2).sqrt() + g.exp() + (g + 2).log() + t**0.5 + math.exp(-t) + math.log(t),
    ),
    "the larger and the smaller": (
        lambda g, p, t: maximum(g, 0.3) * minimum(p, g) + maximum(t, 2) - minimum(t, 2),
        lambda g, p, t: g.clamp(min=0.3) * torch.minimum(p, g) + max(t, 2) - min(t, 2),
    ),
    "conditions": (
        lambda g, p, t: where((g > -1) & (g <= 0) | (g >= 1), p, where(g < -1, 2, 3)) + where(equal(t, 2), 5, 0),
        lambda g, p, t: (
            torch.where((g > -1) & (g <= 0) | (g >= 1), p, torch.where(g < -1, 2.0, 3.0)) + (5 if t == 2 else 0)
        ),
    ),
    "infinity": (lambda g, p, t: minimum(g, math.inf) + maximum(t, -math.inf), lambda g, p, t: g + t),
}


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize(("ours", "by_hand"), EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_an_expression_means_what_it_says(
    ours: Callable[..., Scalar], by_hand: Callable[..., torch.Tensor], backend: Backend
) -> None:
    expected = torch.ones(7, dtype=torch.float64)
    for t in (1, 2, 3):
        expected = expected - by_hand(torch.linspace(-1.5, 1.5, 7, dtype=torch.float64), expected, t)
    assert deviation([stepped(ours, backend)], [expected]) <= 10 * BACKENDS[torch.float64]


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_the_branch_that_is_not_taken_may_leave_the_numbers(backend: Backend) -> None:
    by_step = stepped(lambda g, p, t: where(t > 2, sqrt(t - 3), 1) * g, backend)
    assert torch.isfinite(by_step).all()
    by_element = stepped(lambda g, p, t: where(g > 0, sqrt(g), 1 / (g - 9)), backend)
    assert torch.isfinite(by_element).all()


def test_a_value_that_is_used_again_and_again_is_lowered_once() -> None:
    def doubled(g: Scalar, t: Scalar) -> Scalar:
        for _ in range(40):
            t = t + t
        return g * t * 2.0**-40

    assert torch.isfinite(stepped(lambda g, p, t: doubled(g, t), "reference")).all()


BROKEN: dict[str, tuple[Callable[..., Any], str]] = {
    "a branch": (lambda g: g if g > 0 else -g, "cannot branch on a value; write `where"),
    "the built-in min": (lambda g: min(g, 1), "cannot branch on a value; write `where"),
    "and": (lambda g: where(g > 0 and g < 1, g, 0), "cannot branch on a value; write `where"),
    "a chained comparison": (lambda g: where(0 < g < 1, g, 0), "cannot branch on a value; write `where"),
    "==": (lambda g: where(g == 1, g, 0), "equal"),
    "!=": (lambda g: where(g != 1, g, 0), "equal"),
    "a branch on ==": (lambda g: g if g == 1 else 2 * g, "."),
    "where without a condition": (lambda g: where(g, 1, 0), "a condition such as `g > 0` is needed here, and not"),
    "where with a boolean": (lambda g: where(True, g, 0), "a condition such as `g > 0` is needed here, and not True"),
    "a function of math": (math.sqrt, "."),
    "floor division": (lambda g: g // 2, "."),
    "a string": (lambda g: g * "2", "computes with scalars and numbers, and got '2' of type str"),
    "None": (lambda g: g + None, "computes with scalars and numbers, and got None of type NoneType"),
    "a tensor": (lambda g: g * torch.ones(3), "."),
    "a number with a condition": (lambda g: where((g > 0) & 1, g, 0), "."),
}


@pytest.mark.parametrize(("body", "message"), BROKEN.values(), ids=BROKEN)
def test_a_formula_that_breaks_the_language_is_refused_with_its_stage(body: Callable[..., Any], message: str) -> None:
    def odd(g: Direction) -> Update:
        return body(g)

    made = rule(title="Odd", source="a test")(odd)
    with pytest.raises(FormulaError, match=rf"chain stage 2, odd\(\): .*{message}"):
        tw.chain(tw.adam(), made(), tw.step(0.1)).trace()


RESULTS: dict[str, tuple[Callable[..., Any], str]] = {
    "a state forgotten": (lambda g, m: g, r"must return 2 values \(the result, m\) and returned 1"),
    "one value too many": (lambda g, m: (g, m, m), r"must return 2 values \(the result, m\) and returned 3"),
    "a number": (lambda g, m: (1.0, m), "must return scalars, the result first"),
    "a state that is a number": (lambda g, m: (g, 0.0), "must return scalars, the result first"),
    "nothing": (lambda g, m: None, "must return"),
    "a displacement in a state's place": (lambda g, m: (g, Displacement(m)), "must return scalars, the result first"),
}


@pytest.mark.parametrize(("body", "message"), RESULTS.values(), ids=RESULTS)
def test_a_formula_that_breaks_its_own_signature_is_refused(body: Callable[..., Any], message: str) -> None:
    def odd(g: Direction, m: Zeros) -> Update:
        return body(g, m)

    made = rule(title="Odd", source="a test")(odd)
    with pytest.raises(FormulaError, match=rf"chain stage 1, odd\(\): {message}"):
        tw.chain(made(), tw.step(0.1)).trace()


def test_a_direction_a_displacement_and_a_position_are_what_they_say() -> None:
    @rule(title="Displaced", source="a test")
    def displaced(g: Direction) -> Update:
        return Displacement(-2 * g)

    @rule(title="Placed", source="a test")
    def placed(g: Direction, p: Parameter) -> Update:
        return Position(10 * p + g)

    for stage, expected in ((displaced(), -1.0), (placed(), 11.0)):
        parameter = torch.ones(1, requires_grad=True)
        parameter.grad = torch.ones(1)
        tw.Optimizer([parameter], tw.chain(stage)).step()
        assert parameter.item() == expected


def test_the_language_says_all_that_it_exports() -> None:
    assert all(hasattr(formula, name) for name in formula.__all__)
