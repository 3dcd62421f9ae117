"""Values for matrices, rows and columns, on Triton's interpreter: those of the reference, however matrices are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from thalweg.errors import NonFiniteGradientError
from thalweg.formula import Direction, Level, Parameter, Rule, Scalar, State, Update, largest, mean, rule, total
from thalweg.kernels.triton.tiles import BAND, NARROW, WORDS, block_width, divide_by_row
from tolerances import BACKENDS, deviation

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.chain import Chain

ELEMENTS = 512
"""How many elements a block has in single precision."""
SHAPES = ((3, 4), (5,), (), (2, 3, 5), (1, 6), (6, 1), (2, 2, 2, 2))
CUT = ((BAND + 3, 150), (3, 700), (2, BAND + 1, NARROW + 2), (150, 2))
"""Cut into tiles along both axes, of every width of blocks."""


def made(formula: Callable[..., Update]) -> Rule:
    return rule(title="A formula", source="a test")(formula)


def of_both(
    chain: Chain, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype, triton: str, steps: int = 2
) -> tuple[list[Tensor], list[Tensor]]:
    arrived = []
    for backend in (triton, "reference"):
        optimizer = tw.Optimizer(parameters(shapes, dtype), chain, backend=backend)
        moved = descend(optimizer, steps)
        kept = [value for state in optimizer.state.values() for name, value in state.items() if name != "step"]
        arrived.append([*moved, *kept])
    return arrived[0], arrived[1]


def every_level(g: Direction, p: Parameter) -> Update:
    x = g * p - 0.3
    row, column = mean(x**2, per="row"), total(x, per="column")
    peaks = largest(x, per="row") - largest(x, per="column") + largest(x, per="matrix")
    return x * row - column + mean(row, per="matrix") + total(x, per="matrix") + peaks + mean(x, per="model")


@pytest.mark.parametrize("shapes", [SHAPES, CUT], ids=["small", "cut"])
def test_sums_at_every_level_are_those_of_the_reference(shapes: tuple[tuple[int, ...], ...], triton: str) -> None:
    found, expected = of_both(tw.chain(made(every_level)(), tw.step(0.01)), shapes, torch.float64, triton, 1)
    assert deviation(found, expected) <= BACKENDS[torch.float64]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_adafactor_is_that_of_the_reference(dtype: torch.dtype, triton: str) -> None:
    shapes = ((BAND + 3, 130), (3, 4), (5,), (2, 2, 5))
    found, expected = of_both(tw.chain(tw.adafactor(), tw.step(0.1)), shapes, dtype, triton)
    assert deviation(found, expected) <= BACKENDS.get(dtype, torch.finfo(dtype).eps)


def test_states_of_another_dtype_are_read_and_written_as_such(triton: str) -> None:
    chain = tw.chain(tw.adafactor(), tw.step(0.1), tw.ema(beta=0.5))
    arrived = []
    for backend in (triton, "reference"):
        optimizer = tw.Optimizer(parameters(SHAPES, torch.float32), chain, backend=backend, state_dtype=torch.float16)
        descend(optimizer, 2)
        states = [value for state in optimizer.state.values() for value in state.values()]
        assert any(value.dtype == torch.float16 for value in states)
        arrived.append(states)
    assert deviation(*arrived) <= torch.finfo(torch.float16).eps


def test_a_single_pass_stores_and_gathers(triton: str) -> None:
    def late(
        g: Direction,
        r: Annotated[Scalar, State(level=Level.ROW)],
        c: Annotated[Scalar, State(level=Level.COLUMN)],
    ) -> Update:
        return g + r - c, total(g, per="row"), total(g, per="column")

    chain = tw.chain(made(late)(), tw.step(0.1))
    found, expected = of_both(chain, SHAPES, torch.float64, triton, 3)
    assert deviation(found, expected) <= BACKENDS[torch.float64]


def test_matrices_that_lie_by_columns_step_as_plain_ones(triton: str) -> None:
    turned = torch.randn(40, 70).t().requires_grad_()
    plain = turned.detach().contiguous().clone().requires_grad_()
    for tensor in (turned, plain):
        descend(tw.Optimizer([tensor], tw.chain(tw.adafactor(), tw.step(0.1)), backend=triton), 2)
    assert torch.equal(turned, plain)


def test_a_gradient_that_is_not_finite_stops_such_a_step_before_anything_moves(triton: str) -> None:
    tensors = parameters(((3, 4), (70, 80)), torch.float32)
    give_gradients(tensors, 0)
    tensors[1].grad[69, 79] = float("inf")
    before = [tensor.detach().clone() for tensor in tensors]
    optimizer = tw.Optimizer(tensors, tw.chain(tw.adafactor(), tw.step(0.1)), backend=triton)
    with pytest.raises(NonFiniteGradientError, match=r"parameter 1 of group 0 \(70×80\).*nothing has moved"):
        optimizer.step()
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))


@pytest.mark.parametrize("stack", [(1, 1, 1), (2, 3, 5), (1, 2 * BAND + 1, 300), (3, 2, 1100), (5, BAND, NARROW)])
def test_tiles_cover_every_element_once_and_have_places_of_their_own(stack: tuple[int, int, int]) -> None:
    batch, rows, columns = stack
    tiles = divide_by_row([(1, 4, 4), stack], ELEMENTS)
    words = [dict(zip(WORDS, map(int, one), strict=True)) for some in tiles.of_width.values() for one in some]
    own = [one for one in words if one["tensor"] == 1]
    covered = np.zeros((batch, rows * columns), dtype=int)
    places: dict[str, list[int]] = {"row": [], "column": []}
    for one in own:
        at = one["start"] + np.arange(one["rows"])[:, None] * columns + np.arange(one["width"])
        np.add.at(covered.reshape(-1), at.reshape(-1), 1)
        assert one["width"] <= block_width(rows, columns, ELEMENTS)
        places["row"] += [one["row_part"] + i * one["row_parts"] for i in range(one["rows"])]
        places["column"] += [one["column_part"] + i * one["column_parts"] for i in range(one["width"])]
    assert (covered == 1).all()
    for name, per in (("row", tiles.per_row), ("column", tiles.per_column)):
        assert sorted(places[name]) == list(range(4, int(per.sum())))
    assert sorted(one["part"] for one in words) == list(range(int(tiles.per_matrix.sum())))
