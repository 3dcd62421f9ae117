"""What a loss says of the model's predictions: labels that could have been, drawn, or all that the curvature needs.

The loss's Hessian in the outputs is read off the loss itself. For softmax with cross-entropy it is c(diag(p) − ppᵀ) in
each row; for squared errors, the binary cross-entropy and others it is diagonal. A derivative drawn as the label is
drawn from the model's own prediction has that Hessian for its covariance: Martens and Grosse 2015, section 5, and
Martens 2020, arXiv:1412.1193. Weights, means and masks are in c, so that nothing need be said of them.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, cast

import torch

from thalweg.errors import CurvatureError, GradientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_CLOSE = 1e-3
"""How far, relatively, a Hessian may be from one of the known forms: rounding, nothing else."""
_CLOSE_NARROW = 3e-2
"""The same for outputs in bfloat16 or float16."""


class Prediction(abc.ABC):
    """The Hessian H of the loss in the outputs, as vectors of the outputs' shape."""

    @abc.abstractmethod
    def sample(self, generator: torch.Generator) -> Tensor:
        """A random v with E[v vᵀ] = H, for each example alone."""

    @abc.abstractmethod
    def roots(self) -> Iterator[Tensor]:
        """Vectors with Σ v vᵀ = H for each example: as many as an example has outputs."""


class Categorical(Prediction):
    """Softmax with cross-entropy: rows (rows, classes) of probabilities, and what each row counts."""

    def __init__(self, outputs: Tensor, classes: int, weights: Tensor, chances: Tensor) -> None:
        self._like, self._classes = outputs, classes
        self._weights, self._chances = weights, chances

    def sample(self, generator: torch.Generator) -> Tensor:
        """√c(p − one label drawn from p)."""
        labels = torch.multinomial(self._chances, 1, generator=generator)
        drawn = self._chances.scatter_add(1, labels, -torch.ones_like(self._chances[:, :1]))
        return self._shaped(self._weights.sqrt() * drawn)

    def roots(self) -> Iterator[Tensor]:
        """√(c p_k)(p − e_k) for each class k, at each place of an example alone."""
        places = self._chances.shape[0] // self._like.shape[0]
        row = torch.arange(self._chances.shape[0], device=self._chances.device) % places
        for place in range(places):
            here = (row == place).to(self._chances).unsqueeze(1)
            for label in range(self._chances.shape[1]):
                wrong = self._chances.clone()
                wrong[:, label] -= 1
                yield self._shaped(here * (self._weights * self._chances[:, label : label + 1]).sqrt() * wrong)

    def _shaped(self, rows: Tensor) -> Tensor:
        moved = self._like.movedim(self._classes, -1)
        return rows.reshape(moved.shape).movedim(-1, self._classes).to(self._like.dtype)


class Independent(Prediction):
    """Outputs that a loss takes one by one: the diagonal of H, in their shape."""

    def __init__(self, diagonal: Tensor) -> None:
        self._diagonal = diagonal

    def sample(self, generator: torch.Generator) -> Tensor:
        """√h times noise from N(0, 1): what a Gaussian label does, and has the covariance of a Bernoulli's."""
        noise = torch.empty_like(self._diagonal).normal_(generator=generator)
        return self._diagonal.sqrt() * noise

    def roots(self) -> Iterator[Tensor]:
        """√h e_k for each output k of an example."""
        rows = self._diagonal.reshape(self._diagonal.shape[0], -1)
        for at in range(rows.shape[1]):
            root = torch.zeros_like(rows)
            root[:, at] = rows[:, at].sqrt()
            yield root.reshape(self._diagonal.shape)


def read_prediction(loss: Tensor, outputs: Tensor) -> Prediction:
    """What the loss, a scalar with its graph, says of the outputs that it was computed from. The graph is kept.

    Raises `CurvatureError` where it does not depend on them, cannot be differentiated twice, or its Hessian has none of
    the known forms.
    """
    _check(loss, outputs)
    if not bool(torch.isfinite(outputs).all()):
        raise CurvatureError(
            "the outputs have a NaN or an infinity, and no labels can be drawn from them; look at the data, or lower "
            "the learning rate (pass nonfinite='skip' to leave out such steps)"
        )
    slope = _slope(loss, outputs)
    if slope is None:
        raise CurvatureError(
            "the loss does not depend on `outputs`; give the very tensor that the loss is computed from, before softmax"
        )
    generator = torch.Generator(outputs.device).manual_seed(0)
    probes = [torch.empty_like(outputs, requires_grad=False).normal_(generator=generator) for _ in range(2)]
    bent = [_product(slope, outputs, probe) for probe in probes]
    wide = torch.float64 if outputs.dtype == torch.float64 else torch.float32
    values = outputs.detach().to(wide)
    first, second = ((probe.to(wide), product.to(wide)) for probe, product in zip(probes, bent, strict=True))
    diagonal = first[1] / first[0]
    close = _CLOSE if torch.finfo(outputs.dtype).eps < 1e-5 else _CLOSE_NARROW
    is_diagonal = _near(diagonal * second[0], second[1], close)
    if is_diagonal and float(diagonal.min()) >= -close * float(diagonal.abs().max()):
        return Independent(diagonal.clamp(min=0).to(outputs.dtype))
    for classes in dict.fromkeys((-1, 1)) if outputs.ndim > 1 else ():
        found = _categorical(outputs, values, classes, first, close)
        if found is not None:
            return found
    raise CurvatureError(
        "labels can be drawn where the loss is softmax with cross-entropy, or takes the outputs one by one (squared "
        "errors, binary cross-entropy), and is convex in them; this one is neither: pass fisher='empirical'"
    )


def _check(loss: Tensor, outputs: Tensor) -> None:
    for name, value in (("loss", loss), ("outputs", outputs)):
        if not isinstance(value, torch.Tensor) or not value.requires_grad:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise CurvatureError(f"`{name}` must be a tensor with its graph, and is {_described(value)}")
    if loss.numel() != 1:
        raise CurvatureError(f"the loss must be one number, and has the shape {tuple(loss.shape)}")
    if outputs.ndim == 0:
        raise CurvatureError("`outputs` must have examples in its first dimension, and is a single number")


def _slope(loss: Tensor, outputs: Tensor) -> Tensor | None:
    """The loss's derivative by the outputs; None where it does not depend on them."""
    try:
        found = torch.autograd.grad(loss, [outputs], create_graph=True, allow_unused=True)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        message = "somebody went backward before labels could be drawn; return (loss, outputs) and leave it to `step`"
        raise GradientError(message) from error
    return cast("Tensor | None", found[0])  # torch says nothing of None


def _described(value: object) -> str:
    return "a tensor without one" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def _product(slope: Tensor, outputs: Tensor, vector: Tensor) -> Tensor:
    """H times a vector; zero for a loss that is linear in its outputs."""
    if not slope.requires_grad:
        return torch.zeros_like(vector)
    found = torch.autograd.grad(slope, [outputs], vector, retain_graph=True, allow_unused=True, materialize_grads=True)
    return found[0]


def _categorical(
    outputs: Tensor, values: Tensor, classes: int, probed: tuple[Tensor, Tensor], close: float
) -> Categorical | None:
    """Softmax over this dimension, if a probe and H times it say so."""
    if values.shape[classes] < 2:
        return None
    rows, probe_rows, product_rows = (
        value.movedim(classes, -1).reshape(-1, value.shape[classes]) for value in (values, *probed)
    )
    chances = torch.softmax(rows, -1)
    expected = chances * probe_rows - chances * (chances * probe_rows).sum(-1, keepdim=True)
    norm = expected.square().sum(-1, keepdim=True)
    weights = torch.where(norm > 0, (expected * product_rows).sum(-1, keepdim=True) / norm, 0).clamp(min=0)
    if not _near(weights * expected, product_rows, close):
        return None
    return Categorical(outputs, classes, weights, chances)


def _near(found: Tensor, wanted: Tensor, close: float) -> bool:
    return bool(torch.linalg.vector_norm(found - wanted) <= close * torch.linalg.vector_norm(wanted))
