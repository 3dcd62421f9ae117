"""The curvature by a difference of two gradients: what is found, and that nothing else has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional

import thalweg as tw
from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from torch import Tensor

A = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, -1.0], [0.0, -1.0, 4.0]], dtype=torch.float64)
FD = tw.chain(tw.vsgd(samples=2, form="differences"), tw.step(1.0))


def quadratic(p: Tensor) -> Tensor:
    return p @ A @ p / 2


def test_it_is_the_rise_of_the_gradient_along_the_average_over_the_way() -> None:
    p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    average = torch.tensor([0.5, 0.0, -1.0], dtype=torch.float64)
    before = p.detach().clone()
    (found,) = tw.finite_difference().estimate_by(lambda: quadratic(p), [p], [{"g_bar": average}])
    rise = A @ average
    torch.testing.assert_close(found, torch.stack([rise[0] / 0.5, torch.zeros(()).double(), rise[2] / -1.0]).abs())
    assert torch.equal(p, before)
    assert p.grad is None


def test_before_there_is_an_average_it_is_taken_along_the_gradient() -> None:
    p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    g = A @ p.detach()
    for states in ({}, {"g_bar": torch.zeros(3, dtype=torch.float64)}):
        (found,) = tw.finite_difference().estimate_by(lambda: quadratic(p), [p], [states])
        torch.testing.assert_close(found, (A @ g / g).abs())


def test_both_evaluations_draw_the_same_and_so_does_the_next() -> None:
    p = torch.ones(64, requires_grad=True)
    masks = []

    def loss() -> Tensor:
        dropped = functional.dropout(torch.ones(64), 0.5)
        masks.append(dropped)
        return (dropped * p**2).sum()

    torch.manual_seed(1)
    (found,) = tw.finite_difference().estimate_by(loss, [p], [{}])
    loss()
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])
    assert found is not None
    torch.testing.assert_close(found, torch.where(masks[0] > 0, 4.0, 0.0))


def test_vsgd_by_differences_is_given_them_by_the_optimizer() -> None:
    p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([p], FD, curvature=tw.finite_difference())
    by_hand = p.detach().clone().requires_grad_()
    other = tw.Optimizer([by_hand], FD)
    for _ in range(12):
        assert optimizer.estimate_curvature(lambda: quadratic(p))
        g = A @ by_hand.detach()
        along = other.state[by_hand]["g_bar"] if other.state[by_hand] else g
        other.take_curvature([(A @ along / along).abs()])
        p.grad, by_hand.grad = A @ p.detach(), g
        optimizer.step()
        other.step()
    torch.testing.assert_close(p, by_hand)
    assert quadratic(p.detach()) < quadratic(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))


@pytest.mark.parametrize(
    "value", [torch.ones(3, requires_grad=True), torch.ones(()), 1.0], ids=["3", "no graph", "float"]
)
def test_a_function_that_gives_no_loss_is_refused_and_the_parameter_stays(value: object) -> None:
    p = torch.ones(3, requires_grad=True)
    with pytest.raises(CurvatureError, match="must return one number with its graph"):
        tw.finite_difference().estimate_by(lambda: value, [p], [{}])  # pyright: ignore[reportArgumentType]
    assert torch.equal(p, torch.ones(3))


def test_where_the_second_evaluation_fails_the_parameter_is_put_back() -> None:
    p = torch.ones(3, requires_grad=True)
    with pytest.raises(CurvatureError):
        tw.finite_difference().estimate_by(lambda: quadratic(p.double()) if bool((p == 1).all()) else p, [p], [{}])
    assert torch.equal(p, torch.ones(3))


def test_a_loss_in_place_of_a_function_is_refused() -> None:
    p = torch.ones(3, requires_grad=True)
    optimizer = tw.Optimizer([p], FD, curvature=tw.finite_difference())
    with pytest.raises(CurvatureError, match="give `estimate_curvature` a function that computes it"):
        optimizer.estimate_curvature((p**2).sum())
