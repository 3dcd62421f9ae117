"""A step is an in-place change that autograd sees, and records nothing itself."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import one_parameter, optimizer_of

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend

backends = pytest.mark.parametrize("backend", ["numba", "reference"])


@backends
@pytest.mark.parametrize("layout", ["dense", "with gaps"])
def test_going_backward_through_a_value_that_a_step_has_changed_raises_torchs_own_error(
    layout: str, backend: Backend
) -> None:
    parameter = torch.ones(3, requires_grad=True) if layout == "dense" else torch.ones(6)[::2].requires_grad_()
    optimizer = tw.SGD([parameter], lr=0.1, backend=backend)
    loss = (parameter * parameter).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@backends
def test_a_step_records_nothing(backend: Backend) -> None:
    parameter = one_parameter()
    optimizer = optimizer_of("adam", [parameter], backend=backend)
    optimizer.step()
    assert parameter.is_leaf
    assert parameter.grad_fn is None
    assert not any(value.requires_grad for value in optimizer.state[parameter].values())


def test_the_version_of_a_parameter_that_did_not_move_stays() -> None:
    moving, idle = one_parameter(), torch.ones(3, requires_grad=True)
    optimizer = tw.SGD([moving, idle], lr=0.1)
    optimizer.step()
    assert moving._version == 1
    assert idle._version == 0


@backends
def test_a_gradient_that_is_itself_recorded_does_not_record_the_step(backend: Backend) -> None:
    parameter = torch.ones(3, requires_grad=True)
    (parameter**3).sum().backward(create_graph=False)
    gradient = torch.autograd.grad((parameter**3).sum(), parameter, create_graph=True)[0]
    parameter.grad = gradient.mul(1.0).detach().requires_grad_()
    optimizer_of("adam", [parameter], backend=backend).step()
    assert parameter.grad_fn is None


@backends
@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_a_step_may_be_taken_in_any_mode(mode: Any, backend: Backend) -> None:
    parameter = one_parameter()
    optimizer = optimizer_of("gradient_descent", [parameter], backend=backend)
    with mode():
        optimizer.step()
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.9))
