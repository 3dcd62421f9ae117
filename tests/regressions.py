"""Linear, logistic and softmax regression with their curvature written by hand, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROWS, WIDTH, CLASSES = 23, 4, 3


@dataclass(frozen=True)
class Regression:
    """A linear model with its loss and data; `hessian` is also Gauss–Newton's and Fisher's matrix."""

    model: nn.Module
    loss: nn.Module
    data: tuple[torch.Tensor, torch.Tensor]
    hessian: Array
    empirical_fisher: Array


def _design(outputs: int, seed: int) -> tuple[nn.Linear, Array, Array, Array]:
    """A linear layer, X, X with a column of ones, and the outputs Wx + b."""
    torch.manual_seed(seed)
    model = nn.Linear(WIDTH, outputs).double()
    X = np.random.default_rng(seed).normal(size=(ROWS, WIDTH))
    W, b = (p.detach().numpy() for p in model.parameters())
    return model, X, np.hstack([X, np.ones((ROWS, 1))]), X @ W.T + b


def _in_torchs_order(matrix: Array, outputs: int) -> Array:
    """From ((w₁, b₁), (w₂, b₂), …) to torch's order: all weights, then all biases."""
    places = np.arange(outputs * (WIDTH + 1)).reshape(outputs, WIDTH + 1)
    order = np.concatenate([places[:, :-1].ravel(), places[:, -1]])
    return matrix[np.ix_(order, order)]


def _assembled(X1: Array, inner: Array, slopes: Array) -> tuple[Array, Array]:
    """Σ Sₙ ⊗ xₙxₙᵀ for the outputs' second derivatives Sₙ, and Σ (gₙ ⊗ xₙ)(gₙ ⊗ xₙ)ᵀ for their slopes."""
    outputs = slopes.shape[1]
    bent = sum(np.kron(S, np.outer(x, x)) for S, x in zip(inner, X1, strict=True))
    squared = sum(np.outer(np.kron(g, x), np.kron(g, x)) for g, x in zip(slopes, X1, strict=True))
    return _in_torchs_order(np.asarray(bent), outputs), _in_torchs_order(np.asarray(squared), outputs)


def linear(outputs: int = 2) -> Regression:
    """Of (1/Nk) Σ ‖Wx + b − y‖²."""
    model, X, X1, f = _design(outputs, 1)
    y = np.random.default_rng(2).normal(size=(ROWS, outputs))
    inner = np.broadcast_to(2 * np.eye(outputs), (ROWS, outputs, outputs))
    bent, squared = _assembled(X1, inner, 2 * (f - y))
    terms = ROWS * outputs
    return Regression(model, nn.MSELoss(), (torch.as_tensor(X), torch.as_tensor(y)), bent / terms, squared / terms)


def logistic() -> Regression:
    """Of (1/N) Σ log(1 + eᶠ) − y f, with f = wx + b."""
    model, X, X1, f = _design(1, 3)
    y = (np.random.default_rng(4).random((ROWS, 1)) < 0.4).astype(float)
    p = 1 / (1 + np.exp(-f))
    bent, squared = _assembled(X1, (p * (1 - p))[..., None], p - y)
    loss = nn.BCEWithLogitsLoss()
    return Regression(model, loss, (torch.as_tensor(X), torch.as_tensor(y)), bent / ROWS, squared / ROWS)


def softmax() -> Regression:
    """Cross-entropy (1/N) Σ −log p_y, where p is the softmax of Wx + b."""
    model, X, X1, f = _design(CLASSES, 5)
    y = np.random.default_rng(6).integers(0, CLASSES, ROWS)
    p = np.exp(f) / np.exp(f).sum(1, keepdims=True)
    inner = np.stack([np.diag(row) - np.outer(row, row) for row in p])
    bent, squared = _assembled(X1, inner, p - np.eye(CLASSES)[y])
    loss = nn.CrossEntropyLoss()
    return Regression(model, loss, (torch.as_tensor(X), torch.as_tensor(y)), bent / ROWS, squared / ROWS)


EACH: dict[str, Callable[[], Regression]] = {"linear": linear, "logistic": logistic, "softmax": softmax}


def dense(operator: Any) -> Array:  # noqa: ANN401  # of any room
    return operator.to_dense().numpy()
