"""Lowering makes a formula quicker and leaves its value as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import usual_chain
from dialects import DIALECTS, Dialect
from formula_values import value_of
from thalweg.formula import Direction, Level, Step, Update, rule
from thalweg.formula.scalar import descend
from thalweg.kernels import plan

if TYPE_CHECKING:
    from thalweg.formula import Scalar


ELEMENT_WISE = [dialect for dialect in DIALECTS if not plan(usual_chain(dialect.stage).trace()).levels]


@pytest.mark.parametrize("dialect", ELEMENT_WISE, ids=str)
def test_lowering_changes_no_value(dialect: Dialect) -> None:
    chain = usual_chain(dialect.stage)
    traced = chain.trace()
    lowered = plan(traced)
    random = np.random.default_rng(0)
    inputs = {name: random.uniform(0.5, 1.5, 50) for name in lowered.slots}
    inputs["g"] = inputs["g"] - 1
    if "mean" in inputs:
        inputs["mean"] = inputs["mean"] / 10  # a mean is smaller than the root mean square
    settings = {name: value(0) if callable(value) else value for name, value in chain.numbers(traced).items()}
    numbers = {"t": 3.0, **settings}
    given = {name: np.float64(value) for name, value in numbers.items()}
    written = {"p": traced.parameter, **{k.name: k.after for k in traced.states if k.after is not k.before}}
    constants = lowered.compute_constants(*(numbers[name] for name in lowered.inputs))
    computed = {f"k{place}": np.float64(value) for place, value in enumerate(constants)}
    assert [slot for slot, _ in lowered.stores] == list(written)
    for slot, value in lowered.stores:
        with np.errstate(invalid="ignore"):  # in the branch of a `where` that is not taken
            expected = value_of(written[slot], inputs | given)
        np.testing.assert_allclose(value_of(value, inputs | computed), expected, rtol=1e-12, err_msg=slot)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_what_is_the_same_for_all_elements_is_not_computed_for_each(dialect: Dialect) -> None:
    for node in operations(plan(usual_chain(dialect.stage).trace()).stores):
        assert any(operand.level is Level.ELEMENT for operand in node.operands), node


def test_adams_loop_has_the_operations_of_a_kernel_written_by_hand() -> None:
    planned = plan(tw.chain(tw.adam(), tw.step(0.1)).trace())
    used = sorted(node.operation for node in operations(planned.stores))
    # two averages of a sum and two products, the square, its correction, the root, ε, the quotient, the rate, the move
    assert used == sorted(["multiply"] * 7 + ["add"] * 3 + ["sqrt", "divide", "subtract"])
    assert len(planned.constants) == 7


def test_equal_parts_are_computed_once() -> None:
    def twice(g: Direction) -> Update:
        return (g + 1) * (g + 1) + (g + 1) * (g + 1)

    made = rule(title="Twice", source="a test")(twice)
    planned = plan(tw.chain(made(), tw.step(1.0)).trace())
    assert (
        sum(node.operation == "add" and node.operands[1].operation == "constant" for node in operations(planned.stores))
        == 1
    )


def test_a_square_is_a_product_and_other_powers_are_powers() -> None:
    def powers(g: Direction) -> Update:
        return g**2 + g**3 + g**0.5

    made = rule(title="Powers", source="a test")(powers)
    used = [node.operation for node in operations(plan(tw.chain(made(), tw.step(1.0)).trace()).stores)]
    assert used.count("power") == 2


def test_a_constant_is_computed_in_double_precision_though_the_parameters_are_single() -> None:
    def cancelling(g: Direction, t: Step) -> Update:
        return g * (((1 + 1e-9 * t) - 1) * 1e9)

    made = rule(title="Cancelling", source="a test")(cancelling)
    parameter = torch.zeros(3, requires_grad=True)
    parameter.grad = torch.ones(3)
    tw.Optimizer([parameter], tw.chain(made(), tw.step(1.0))).step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -1.0), rtol=1e-6, atol=0)


def operations(stores: tuple[tuple[str, Scalar], ...]) -> list[Scalar]:
    nodes = descend(*(value for _, value in stores))
    return [node for node in nodes if node.operation not in {"constant", "input"}]
