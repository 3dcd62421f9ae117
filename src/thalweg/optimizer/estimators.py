"""How a loss's curvature is estimated, for rules that step by it: what is drawn, and what is differentiated.

An estimator is an inert value that prints as it is typed; `Optimizer(…, curvature=…)` takes it.
"""

# An estimator's class is the function that a user calls, so it is written as it is typed, in lower case; what its
# methods answer is said once, in `Estimator`.
# ruff: noqa: N801, D102

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
import torch
from torch.nn import functional

from thalweg.curvature.differentiation import gradients, pulled_back, slopes
from thalweg.errors import CurvatureError, HyperparameterError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

Noise = Literal["rademacher", "normal"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Estimator(abc.ABC):
    """What estimates the curvature, anew after every so many steps.

    What is drawn follows from the seed and the number of steps made, so that a resumed run draws the same. Raises
    `HyperparameterError`.
    """

    every: int = 10
    seed: int = 0
    kind: ClassVar[Literal["diagonal", "product"]] = "diagonal"
    """What is estimated: the Hessian's diagonal, or its product with a vector drawn from N(0, I)."""
    takes_function: ClassVar[bool] = False
    """Whether it evaluates the loss itself, by `estimate_by`."""
    takes_ascent: ClassVar[bool] = True
    """Whether what it estimates from may be something that is maximised."""

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("seed", 0)):
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise HyperparameterError(f"{self!r}: `{name}` is {value!r}; it must be a whole number from {least}")

    @abc.abstractmethod
    def estimate(self, of: Tensor, parameters: Sequence[Tensor], step: int) -> list[Tensor | None]:
        """What is estimated for each parameter, of its shape; None for one that `of` does not depend on.

        `of` has a graph, which is kept; `step` is how many steps have been made. Raises `CurvatureError`.
        """

    def estimate_by(
        self, function: Callable[[], Tensor], parameters: Sequence[Tensor], states: Sequence[Mapping[str, object]]
    ) -> list[Tensor | None]:
        """The same for an estimator that `takes_function`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        fields = [(field.name, getattr(self, field.name), field.default) for field in dataclasses.fields(self)]
        typed = ", ".join(f"{name}={value!r}" for name, value, default in fields if value != default)
        return f"{type(self).__name__}({typed})"


@dataclass(frozen=True, kw_only=True, repr=False)
class hutchinson(Estimator):
    """The diagonal as v·Hv of the loss: right on average, and exact where the Hessian has nothing off its diagonal.

    It costs about two backward passes. v holds random signs; `noise="normal"` draws it from N(0, I), as Sophia's paper
    does, and scatters more. It may be negative.

    Hutchinson 1989, doi:10.1080/03610918908812806; for diagonals Bekas, Kokiopoulou and Saad 2007,
    doi:10.1016/j.apnum.2007.01.003.

    >>> hutchinson(every=5)
    hutchinson(every=5)
    """

    noise: Noise = "rademacher"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise not in get_args(Noise):
            raise HyperparameterError(
                f"{self!r}: `noise` is {self.noise!r}; {did_you_mean(str(self.noise), get_args(Noise))}"
            )

    def estimate(self, of: Tensor, parameters: Sequence[Tensor], step: int) -> list[Tensor | None]:
        vectors = _draw(parameters, self.noise, self.seed, step)
        products = _hessian_products(of, parameters, vectors)
        return [None if hv is None else v * hv for v, hv in zip(vectors, products, strict=True)]


@dataclass(frozen=True, kw_only=True, repr=False)
class equilibration(Estimator):
    """The product Hv of the loss with a v drawn from N(0, I), whose squares are on average those of H's rows: ESGD's.

    It costs about two backward passes.

    Dauphin, de Vries and Bengio 2015, arXiv:1502.04390, Algorithm 1.

    >>> equilibration()
    equilibration()
    """

    every: int = 20
    kind: ClassVar[Literal["diagonal", "product"]] = "product"

    def estimate(self, of: Tensor, parameters: Sequence[Tensor], step: int) -> list[Tensor | None]:
        return _hessian_products(of, parameters, _draw(parameters, "normal", self.seed, step))


@dataclass(frozen=True, kw_only=True, repr=False)
class gauss_newton_bartlett(Estimator):
    """The diagonal of the Gauss–Newton matrix of the mean cross-entropy, from the logits: never negative.

    It is n·ĝ² with ĝ the gradient of that loss for n labels drawn from the model's own prediction, one for each row of
    logits; right on average. It costs one backward pass. The logits have the classes in the last dimension, or in that
    named by `classes`; leave out those that the loss ignores.

    Liu et al. 2023, arXiv:2305.14342, Algorithm 2.

    >>> gauss_newton_bartlett(every=5)
    gauss_newton_bartlett(every=5)
    """

    classes: int | None = None
    takes_ascent: ClassVar[bool] = False

    def estimate(self, of: Tensor, parameters: Sequence[Tensor], step: int) -> list[Tensor | None]:
        if of.dim() < 2 or (of.dim() > 2 and self.classes is None):
            message = (
                f"{self!r} estimates from logits, (rows, classes), and was given a tensor of shape {tuple(of.shape)}; "
                "with more dimensions, say which has the classes, as `classes=-1`"
            )
            raise CurvatureError(message)
        logits = of.movedim(-1 if self.classes is None else self.classes, -1).flatten(0, -2).float()
        chances = logits.detach().softmax(-1)
        labels = torch.multinomial(chances, 1, generator=_generator(of.device, self.seed, step)).squeeze(-1)
        found = gradients(functional.cross_entropy(logits, labels), parameters, create_graph=False)
        return [None if g is None else (len(labels) * g.float().square()).to(g.dtype) for g in found]


def usual(kind: str, every: int) -> Estimator:
    """The estimator for a chain that is given none."""
    return equilibration(every=every) if kind == "product" else hutchinson(every=every)


def _hessian_products(loss: Tensor, parameters: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor | None]:
    """Hv, with the Hessian over these parameters alone; zeros where the loss is linear, None where it is unused."""
    found = slopes(loss, parameters)
    products = pulled_back(found, parameters, vectors)
    return [None if g is None else hv for g, hv in zip(found, products, strict=True)]


def _draw(parameters: Sequence[Tensor], noise: Noise, seed: int, step: int) -> list[Tensor]:
    """A random vector, in pieces of the parameters' shapes."""
    generators = {device: _generator(device, seed, step) for device in {p.device for p in parameters}}
    drawn: list[Tensor] = []
    for parameter in parameters:
        generator = generators[parameter.device]
        made = torch.empty_like(parameter, requires_grad=False)
        if noise == "normal":
            drawn.append(made.normal_(generator=generator))
        else:
            drawn.append(made.random_(0, 2, generator=generator).mul_(2).sub_(1))
    return drawn


def _generator(device: torch.device, seed: int, step: int) -> torch.Generator:
    mixed = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(mixed[0]) >> 1)
