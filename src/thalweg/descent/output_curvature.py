"""Curvature through a function's outputs, JᵀHJ: Gauss–Newton's, and Fisher's, which are all of this form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import torch
from torch.distributions import kl_divergence

from thalweg.curvature.products import Products
from thalweg.descent.failures import NoStepError, Status
from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from torch.distributions import Distribution

    from thalweg.descent.trial import Evaluated, Trial

Reduction = Literal["mean", "sum"]
_AT_ONCE = 64
"""How many rows are pulled back by one call of autograd."""


class OutputCurvature:
    """B = JᵀHJ at a point, with J = ∂outputs/∂x and H a matrix of the outputs' size, in products or whole.

    `loss` is a function of the outputs whose second derivative is H. `roots` gives the rows of a matrix R with
    H = RᵀR, of which there are `count`; without it they come from H's eigenvalues.
    """

    def __init__(
        self,
        here: Trial,
        seen: Evaluated,
        loss: Tensor,
        roots: Iterator[Tensor] | None = None,
        count: int | None = None,
    ) -> None:
        self._here = here
        self._seen = seen
        self._loss = loss
        self._roots = roots
        self._products = Products(loss, seen.inputs, seen.outputs)
        self.penalty = seen.penalty
        """What B has on its diagonal besides."""
        self.size = self._products.layout.size
        self.rank = seen.outputs.numel() if count is None else count
        """How many rows A has in B = AᵀA."""

    def product(self, v: Tensor) -> Tensor:
        """B times a vector: one product."""
        self._here.spend()
        return self._product(v)

    def dense(self) -> Tensor:
        """B whole, of shape (n, n): as many products as it has columns or rows A, whichever are fewer."""
        if self.rank < self.size:
            A = self.rows()
            return A.T @ A + torch.diag(self._seen.penalty + torch.zeros_like(A[0]))
        self._here.spend(self.size)
        eye = torch.eye(self.size, dtype=self._loss.dtype, device=self._loss.device)
        B = torch.stack([self._product(column) for column in eye])
        return (B + B.T) / 2

    def rows(self) -> Tensor:
        """A of shape (rank, n), with B = AᵀA + diag(penalty): as many products as it has rows."""
        self._here.spend(self.rank)
        return torch.cat(list(self._pulled_back()))

    def diagonal(self) -> Tensor:
        """The diagonal of B: as many products as it has rows A, which are never held all at once."""
        self._here.spend(self.rank)
        return self._seen.penalty + cast("Tensor", sum(rows.square().sum(0) for rows in self._pulled_back()))

    def _product(self, v: Tensor) -> Tensor:
        seen = self._seen
        return seen.scaled(self._products.gauss_newton(seen.scaled(v))) + seen.penalty * v

    def _pulled_back(self) -> Iterator[Tensor]:
        for chunk in _chunks(self._roots or iter(_root(self._loss, self._seen.outputs))):
            found = torch.autograd.grad(
                self._seen.outputs,
                self._seen.inputs,
                chunk,
                retain_graph=True,
                is_grads_batched=True,
                allow_unused=True,
                materialize_grads=True,
            )
            yield self._seen.scaled(torch.cat([rows.reshape(len(chunk), -1) for rows in found], 1))


def gauss_newton_curvature(here: Trial) -> OutputCurvature:
    """That of the function's own value: H is its second derivative by the outputs."""
    seen = here.evaluated()
    return OutputCurvature(here, seen, seen.loss)


def hessian_product(here: Trial) -> Callable[[Tensor], Tensor]:
    """Products with the Hessian of the function's own value, from the same evaluation."""
    seen = here.evaluated()
    products = Products(seen.loss, seen.inputs)

    def product(v: Tensor) -> Tensor:
        here.spend()
        return seen.scaled(products.hessian(seen.scaled(v))) + seen.penalty * v

    return product


def fisher_curvature(
    here: Trial, distribution: Callable[[Tensor], Distribution] | None, reduction: Reduction
) -> OutputCurvature:
    """The Fisher matrix: H is the second derivative of KL(p(outputs now) ‖ p(outputs)), or of the function's value."""
    if distribution is None:
        return gauss_newton_curvature(here)
    seen = here.evaluated()
    now, near = distribution(seen.outputs.detach()), distribution(seen.outputs)
    try:
        divergence = kl_divergence(now, near).sum()
    except NotImplementedError:
        raise CurvatureError(
            f"`distribution` made {now!r}, whose divergence from another torch does not know; it is given the outputs, "
            "and makes a torch.distributions.Distribution that is in the list of `torch.distributions.kl`"
        ) from None
    return OutputCurvature(here, seen, divergence * _share(seen, reduction))


def empirical_curvature(
    here: Trial, reduction: Reduction, *, probes: int | None = None, seed: int = 0
) -> OutputCurvature:
    """The empirical Fisher matrix, of the examples' own gradients: H has the blocks rᵢrᵢᵀ, with r = ∂loss/∂outputs.

    The outputs' first dimension counts the N examples. Where the loss is their mean, it is the mean over them, too. Its
    rows are the examples' gradients; or, for `probes`, as many sums of them with random signs, right on average.
    """
    seen = here.evaluated()
    outputs = seen.outputs.reshape(_examples(seen), -1)
    (slope,) = torch.autograd.grad(seen.loss, seen.outputs, retain_graph=True)
    # a mean's slopes are 1/N of the examples' own
    r = slope.detach().reshape(outputs.shape) / _share(seen, reduction) ** 0.5
    surrogate = (r * outputs).sum(1).square().sum() / 2
    weights = _alone(r) if probes is None else _signs(r, probes, seed)
    roots = ((weight[:, None] * r).reshape(seen.outputs.shape) for weight in weights)
    return OutputCurvature(here, seen, surrogate, roots, probes or len(r))


def _examples(seen: Evaluated) -> int:
    return len(seen.outputs) if seen.outputs.ndim else 1


def _share(seen: Evaluated, reduction: Reduction) -> float:
    """By how much each example counts."""
    return 1 / _examples(seen) if reduction == "mean" else 1.0


def _alone(r: Tensor) -> Iterator[Tensor]:
    """Weights that pick one example each."""
    for i in range(len(r)):
        weight = torch.zeros_like(r[:, 0])
        weight[i] = 1
        yield weight


def _signs(r: Tensor, probes: int, seed: int) -> Iterator[Tensor]:
    """Weights that give all examples a random sign."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(probes):
        signs = torch.randint(0, 2, (len(r),), generator=generator) * 2 - 1
        yield signs.to(r) / probes**0.5


def _root(loss: Tensor, outputs: Tensor) -> Iterator[Tensor]:
    """The rows of a square root of the loss's second derivative by the outputs, in their shape."""
    blocks = _blocks(loss, outputs)
    eigenvalues, V = torch.linalg.eigh((blocks + blocks.mT) / 2)
    if eigenvalues.min() < -(torch.finfo(blocks.dtype).eps ** 0.5) * eigenvalues.abs().max():
        raise NoStepError(
            Status.NO_DIRECTION,
            "the value is not convex in the outputs, which makes the Gauss–Newton matrix indefinite; return outputs "
            "that it is convex in, as logits for a cross-entropy",
        )
    R = eigenvalues.clamp(min=0).sqrt()[..., None] * V.mT
    for i, block in enumerate(R):
        for row in block:
            found = torch.zeros_like(R[:, 0])
            found[i] = row
            yield found.reshape(outputs.shape)


def _blocks(loss: Tensor, outputs: Tensor) -> Tensor:
    """The blocks of H, one for each example; or, where it is no such matrix, H as one block."""
    products = Products(loss, [outputs])
    examples = len(outputs) if outputs.ndim else 1
    eye = torch.eye(outputs.numel() // examples, dtype=outputs.dtype, device=outputs.device)
    # of a matrix of blocks, these are all columns at once
    blocks = torch.stack([products.hessian(e.repeat(examples)).view(examples, -1) for e in eye], 2)
    v = torch.linspace(-1, 2, outputs.numel(), dtype=outputs.dtype, device=outputs.device)
    alone = (blocks @ v.view(examples, -1, 1)).reshape(-1)
    if torch.allclose(alone, products.hessian(v), rtol=1e-4, atol=1e-5 * float(alone.abs().max())):
        return blocks
    eye = torch.eye(outputs.numel(), dtype=outputs.dtype, device=outputs.device)
    return torch.stack([products.hessian(e) for e in eye])[None]


def _chunks(rows: Iterator[Tensor]) -> Iterator[Tensor]:
    chunk: list[Tensor] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _AT_ONCE:
            yield torch.stack(chunk)
            chunk = []
    if chunk:
        yield torch.stack(chunk)
