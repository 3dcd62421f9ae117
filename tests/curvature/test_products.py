"""Products on a kept graph against dense matrices that torch builds column by column from the function itself."""

# ruff: noqa: ANN401  # autograd's contexts

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional

from thalweg.curvature import Products
from thalweg.errors import CurvatureError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def hessian(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return jacrev(jacrev(f))


class Small:
    """A network with a flat parameter vector, and the loss as a function of that vector for torch.func."""

    def __init__(self, dtype: torch.dtype, penalty: float = 0.0) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 3)
        ).to(dtype)
        self.x, self.y = torch.randn(6, 1, 6, 6, dtype=dtype), torch.randint(0, 3, (6,))
        self.penalty = penalty
        self.parameters = list(self.model.parameters())
        self.at = torch.cat([p.detach().reshape(-1) for p in self.parameters])

    def outputs(self, at: Tensor) -> Tensor:
        pieces = at.split([p.numel() for p in self.parameters])
        named = zip(self.model.named_parameters(), pieces, strict=True)
        return functional_call(self.model, {name: piece.view(p.shape) for (name, p), piece in named}, self.x)

    def loss(self, at: Tensor) -> Tensor:
        return self.loss_of(self.outputs(at)) + self.penalty * at.square().sum()

    def loss_of(self, outputs: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, self.y)

    def products(self) -> Products:
        outputs = self.model(self.x)
        loss = self.loss_of(outputs) + self.penalty * sum(p.square().sum() for p in self.parameters)
        return Products(loss, self.parameters, outputs)


def dense(product: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    return torch.stack([product(column) for column in torch.eye(len(like), dtype=like.dtype)], 1)


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= TOLERANCE[found.dtype] * expected.abs().max())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_products_are_those_of_the_dense_matrices(dtype: torch.dtype) -> None:
    small = Small(dtype, penalty=0.1)
    products = small.products()
    J = jacrev(small.outputs)(small.at).flatten(0, 1)
    outputs = small.outputs(small.at)
    H_out = hessian(small.loss_of)(outputs).view(outputs.numel(), -1)
    assert close(dense(products.hessian, small.at), hessian(small.loss)(small.at))
    assert close(dense(products.gauss_newton, small.at), J.T @ H_out @ J)
    assert close(products.gradient(), torch.func.grad(small.loss)(small.at))
    assert not products.hessian(small.at).requires_grad


def test_what_the_loss_leaves_out_or_is_linear_in_has_zeros_and_what_is_frozen_no_place() -> None:
    used, linear, unused = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    frozen = torch.ones(5, dtype=torch.float64)
    outputs = (used**2, linear * 3)
    loss = outputs[0].square().sum() + outputs[1].sum()
    products = Products(loss, [linear, frozen, used, unused], outputs)
    expected = torch.zeros(6, dtype=torch.float64)
    expected[2:4] = 12
    assert torch.equal(products.hessian(torch.ones_like(expected)), expected)
    expected[2:4] = 8  # (2 w)² · 2
    assert torch.equal(products.gauss_newton(torch.ones_like(expected)), expected)
    assert torch.equal(products.gradient(), torch.tensor([3.0, 3, 4, 4, 0, 0], dtype=torch.float64))


def test_a_loss_linear_in_the_outputs_has_no_gauss_newton_matrix_and_a_linear_one_no_hessian() -> None:
    w = torch.ones(2, requires_grad=True)
    outputs = 3 * w
    products = Products(outputs.sum(), [w], outputs)
    assert not products.hessian(torch.ones(2)).any()
    assert not products.gauss_newton(torch.ones(2)).any()


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * slope * ctx.saved_tensors[0]


def attention(w: Tensor) -> Tensor:
    query = w.view(1, 1, 4, 4)
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.FLASH_ATTENTION):
        return functional.scaled_dot_product_attention(query, query, query).square()


@pytest.mark.parametrize("function", [Once.apply, attention], ids=["once_differentiable", "flash attention"])
@pytest.mark.parametrize("product", ["hessian", "gauss_newton"])
def test_a_function_that_cannot_be_differentiated_twice_is_named(function: Callable[..., Any], product: str) -> None:
    w = torch.randn(16, requires_grad=True)
    outputs = function(w)
    with pytest.raises(CurvatureError, match=r"cannot be differentiated twice \(.*(once_diff|_flash_attention)"):
        getattr(Products(outputs.square().sum(), [w], outputs), product)(torch.ones(16))


def _weights() -> Tensor:
    return torch.ones(3, requires_grad=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: Products(w, [w]), CurvatureError, r"of one number, and the loss has the shape \(3,\)"),
        (lambda w: Products(w.detach().sum(), [w]), CurvatureError, "the loss has no graph"),
        (lambda w: Products(w.sum(), [w.detach()]), ParameterError, "no trainable parameter"),
        (lambda w: Products(w.sum(), []), ParameterError, "no trainable parameter"),
        (lambda w: Products(w.sum(), [w, w]), ParameterError, "given twice"),
        (lambda w: Products(w.sum(), [w, w.double()]), ParameterError, "float32 on cpu, torch.float64 on cpu"),
        (lambda w: Products(w.sum(), [w * 1j]), ParameterError, "complex"),
        (
            lambda w: Products(w.sum(), [w]).hessian(torch.ones(4)),
            CurvatureError,
            r"shape \(4,\).*need the shape \(3,\)",
        ),
        (lambda w: Products(w.sum(), [w]).hessian(torch.ones(3).double()), CurvatureError, "torch.float64, on cpu"),
        (lambda w: Products(w.sum(), [w]).gauss_newton(torch.ones(3)), CurvatureError, "give them as `outputs`"),
        (lambda w: Products(w.sum(), [w], w.detach()).gauss_newton(torch.ones(3)), CurvatureError, "has no graph"),
        (lambda w: Products(w.sum(), [w], w * 2).gauss_newton(torch.ones(3)), CurvatureError, "does not depend on"),
    ],
)
def test_what_has_no_products_is_refused(make: Callable[[Tensor], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(_weights())


def test_a_graph_that_backward_has_freed_is_an_error() -> None:
    w = _weights()
    loss = w.exp().sum()
    loss.backward()
    with pytest.raises(CurvatureError, match="the graph is gone"):
        Products(loss, [w]).gradient()
