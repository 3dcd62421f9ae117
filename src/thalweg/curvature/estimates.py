"""The trace and the diagonal, estimated from products with random vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from thalweg.curvature.vectors import Draws, refuse_below
from thalweg.errors import HyperparameterError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.curvature.operator import Symmetric

Method = Literal["hutch++", "hutchinson"]


@dataclass(frozen=True)
class Estimate:
    """A number, with the standard error that the scatter of its samples tells; `float(…)` gives the number."""

    value: float
    error: float

    def __float__(self) -> float:
        return self.value


def trace(A: Symmetric, *, products: int = 99, method: Method = "hutch++", seed: int = 0) -> Estimate:
    """The sum of the eigenvalues, estimated from so many products; exact where they are as many as the columns.

    "hutchinson" is the mean of vᵀAv over random signs v, with an error that falls as 1/√products. "hutch++" spends a
    third of them on finding the largest eigenvalues' space, takes the trace there exactly, and estimates only the rest;
    better for spectra with a few large eigenvalues, as those of networks are.

    Hutchinson 1989, doi:10.1080/03610918908812806; Meyer, Musco, Musco and Woodruff 2021, arXiv:2010.09649. Raises
    `HyperparameterError`.

    >>> trace(torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    Estimate(value=6.0, error=0.0)
    """
    if method not in get_args(Method):
        raise HyperparameterError(f"`method` is {method!r}; {did_you_mean(str(method), get_args(Method))}")
    refuse_below("products", products, 6 if method == "hutch++" else 2)
    n = A.shape[0]
    if products >= n:
        return Estimate(float((A @ torch.eye(n, dtype=A.dtype, device=A.device)).trace()), 0.0)
    draws = Draws(A, seed)
    if method == "hutchinson":
        return _mean(_quadratic_forms(A, draws.signs(products)))
    third = products // 3
    Q, _ = torch.linalg.qr(A @ draws.signs(third))
    V = draws.signs(products - 2 * third)
    rest = _mean(_quadratic_forms(A, V - Q @ (Q.T @ V)))
    return Estimate(float(_quadratic_forms(A, Q).sum()) + rest.value, rest.error)


def diagonal(A: Symmetric, *, products: int = 100, seed: int = 0) -> Tensor:
    """The diagonal (n,), estimated as the mean of v ⊙ Av over random signs v; exact for as many products as columns.

    An element's standard error is √(Σ of the squares beside it in its row / products).
    Bekas, Kokiopoulou and Saad 2007, doi:10.1016/j.apnum.2007.01.003. Raises `HyperparameterError`.

    >>> diagonal(torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    tensor([1., 2., 3.])
    """
    refuse_below("products", products, 1)
    n = A.shape[0]
    if products >= n:
        return (A @ torch.eye(n, dtype=A.dtype, device=A.device)).diagonal().clone()
    V = Draws(A, seed).signs(products)
    return (V * (A @ V)).mean(1)


def _quadratic_forms(A: Symmetric, V: Tensor) -> Tensor:
    """vᵀAv for each column, in float64."""
    return (V * (A @ V)).double().sum(0)


def _mean(samples: Tensor) -> Estimate:
    return Estimate(float(samples.mean()), float(samples.std()) / math.sqrt(len(samples)))
