"""The reference backend: changes nothing that it is given, and computes half precision in single."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import usual_chain
from thalweg.formula import Direction, Step, Update, rule, where
from thalweg.kernels import plan
from thalweg.kernels.reference import compute

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend


def test_nothing_that_goes_in_is_changed() -> None:
    planned = plan(usual_chain("adam").trace())
    arrays = {name: torch.rand(4) for name in planned.slots}
    before = {name: value.clone() for name, value in arrays.items()}
    compute(planned, planned.passes[-1], arrays, tuple(1.0 for _ in planned.constants))
    assert all(torch.equal(arrays[name], before[name]) for name in arrays)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_condition_on_the_step_joins_one_on_the_element(backend: Backend) -> None:
    def late_and_uphill(g: Direction, t: Step) -> Update:
        return where((t > 2) & (g > 0), g, 0) + where((t > 2) | (g > 5), 10 * g, 0)

    stage = rule(title="Late and uphill", source="a test")(late_and_uphill)()
    parameter = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(stage, tw.step(1.0)), backend=backend)
    path: list[list[float]] = []
    for _ in range(3):
        parameter.grad = torch.tensor([1.0, -1.0, 6.0], dtype=torch.float64)
        optimizer.step()
        path.append(parameter.tolist())
    assert path == [[0, 0, -60], [0, 0, -120], [-11, 10, -186]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_comes_out_as_it_went_in(dtype: torch.dtype) -> None:
    planned = plan(tw.chain(tw.adam(), tw.step(0.1)).trace())
    arrays = {name: torch.rand(4).to(dtype) for name in planned.slots}
    new, _ = compute(planned, planned.passes[-1], arrays, tuple(1.0 for _ in planned.constants))
    assert {value.dtype for value in new.values()} == {dtype}
