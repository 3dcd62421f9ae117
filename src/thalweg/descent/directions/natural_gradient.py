"""Directions scaled by curvature through the function's outputs: Gauss–Newton's, and the natural gradient."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch

from thalweg.descent.directions.damped import Candidate, DampedGuide, affordable
from thalweg.descent.directions.direction import Direction, Guide
from thalweg.descent.output_curvature import (
    Reduction,
    empirical_curvature,
    fisher_curvature,
    gauss_newton_curvature,
)
from thalweg.descent.part import number, whole
from thalweg.descent.systems import Residual, conjugate_gradients, solve_by_columns, solve_by_rows
from thalweg.errors import HyperparameterError, did_you_mean
from thalweg.formula import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.distributions import Distribution

    from thalweg.descent.output_curvature import OutputCurvature
    from thalweg.descent.trial import Trial

Fisher = Literal["exact", "empirical"]
Solver = Literal["cg", "dense"]


@dataclass(frozen=True, repr=False)
class gauss_newton(Direction):
    """d = −(G + λI)⁻¹g with G = Jᵀ(∂²f/∂outputs²)J, J = ∂outputs/∂x: Newton's, without the outputs' own curvature.

    The function returns (value, outputs), as ½‖r‖² and its residuals r. λ is `damping`; with
    `step_size=levenberg_marquardt()` that is where it starts. `solver="dense"` solves exactly, with G whole or with
    the rows of J if they are fewer; `"cg"` asks for products only, until the residual is at most `tolerance`·‖g‖,
    or for `max_products`.
    Nocedal and Wright, section 10.3; Schraudolph 2002, doi:10.1162/08997660260028683.
    """

    needs_outputs: ClassVar[bool] = True
    has_damping: ClassVar[bool] = True
    when: ClassVar[str] = "Fits with few variables: least squares, and other values that are convex in their outputs."
    spends: ClassVar[str] = (
        "the gradient, and as many products as there are variables or outputs, whichever are fewer; or, by conjugate "
        "gradients, one for each inner step"
    )
    keeps: ClassVar[str] = "a matrix while it solves: n² numbers, or n for each output"
    damping: float = number(Range(0), default=0.0, source="ours: none where none is needed")
    _: KW_ONLY
    solver: Solver = "dense"
    tolerance: float = number(Range(0, 1), default=1e-4, source="ours")
    max_products: int = whole(1, default=250, source="as hessian_free's")

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("gauss_newton", "solver", self.solver, get_args(Solver))

    @property
    def has_matrix(self) -> bool:
        """Whether it solves exactly."""
        return self.solver == "dense"

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Solving(gauss_newton_curvature, self)


@dataclass(frozen=True, repr=False)
class natural_gradient(Direction):
    """d = −(F + λI)⁻¹g with the Fisher matrix F: steepest where a step's length is how much the predictions change.

    The function returns (value, outputs), the value being the negative log-likelihood of the data by the distribution
    that the outputs say, averaged over the examples, or summed with `reduction="sum"`. `fisher="exact"` is what one
    expects of F under those distributions. For a cross-entropy with logits for outputs, and for squared errors, that is
    the Gauss–Newton matrix of the value, which it is taken to be; for any other, `distribution` makes of the outputs
    a `torch.distributions.Distribution`. `fisher="empirical"` takes the gradients of the examples, which the outputs'
    first dimension counts, with the data as they are. `solver` and λ, `damping`, are as in `gauss_newton`.

    Amari 1998, doi:10.1162/089976698300017746; Martens 2020, arXiv:1412.1193, sections 5 and 9; on the empirical one's
    faults, Kunstner et al. 2019, arXiv:1905.12558.
    """

    needs_outputs: ClassVar[bool] = True
    has_damping: ClassVar[bool] = True
    when: ClassVar[str] = "A model's likelihood, where a step's length should be how much its predictions change."
    spends: ClassVar[str] = (
        "the gradient, and a product for each inner step of conjugate gradients; or, solved exactly, as many as there "
        "are variables or outputs, whichever are fewer"
    )
    keeps: ClassVar[str] = "nothing but the damping"
    damping: float = number(Range(0), default=1e-3, source="ours")
    _: KW_ONLY
    fisher: Fisher = "exact"
    distribution: Callable[[Tensor], Distribution] | None = None
    reduction: Reduction = "mean"
    solver: Solver = "cg"
    tolerance: float = number(Range(0, 1), default=1e-4, source="ours")
    max_products: int = whole(1, default=250, source="as hessian_free's")

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("natural_gradient", "fisher", self.fisher, get_args(Fisher))
        choose("natural_gradient", "solver", self.solver, get_args(Solver))
        choose("natural_gradient", "reduction", self.reduction, get_args(Reduction))
        if self.fisher == "empirical" and self.distribution is not None:
            raise HyperparameterError(
                "natural_gradient: the empirical Fisher matrix asks for no `distribution`; leave it out, or take "
                'fisher="exact"'
            )

    @property
    def has_matrix(self) -> bool:
        """Whether it solves exactly."""
        return self.solver == "dense"

    def start(self) -> Guide:
        """A guide for one descent."""
        if self.fisher == "empirical":
            return _Solving(lambda here: empirical_curvature(here, self.reduction), self)
        return _Solving(lambda here: fisher_curvature(here, self.distribution, self.reduction), self)


class _Solving(DampedGuide):
    remembers = ("damping",)

    def __init__(
        self, curvature: Callable[[Trial], OutputCurvature], settings: gauss_newton | natural_gradient
    ) -> None:
        super().__init__(settings.damping)
        self._curvature = curvature
        self._settings = settings

    def toward(self, here: Trial) -> Tensor:
        B = self._curvature(here)
        if self._settings.solver == "dense":
            d, predicted = self._exactly(here.g, B)
        else:
            d, predicted = self._by_products(here.g, B, affordable(here, self._settings.max_products))
        self.candidates = [Candidate(d, predicted)]
        return d

    def _exactly(self, g: Tensor, B: OutputCurvature) -> tuple[Tensor, float]:
        if self.damping > 0 and B.rank < B.size:
            return solve_by_rows(B.rows(), g, self.damping, B.penalty)
        return solve_by_columns(B.dense(), g, self.damping)

    def _by_products(self, g: Tensor, B: OutputCurvature, most: int) -> tuple[Tensor, float]:
        own = self._settings
        least = own.tolerance * float(torch.linalg.vector_norm(g))
        damping = self.damping
        found = conjugate_gradients(lambda v: B.product(v) + damping * v, g, is_done=Residual(least), most=most).kept[
            -1
        ]
        return found.x, found.q - damping * float(torch.dot(found.x, found.x)) / 2


def choose(owner: str, name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise `HyperparameterError` for a value that is none of those known."""
    if value not in known:
        raise HyperparameterError(f"{owner}: `{name}` is {value!r}; {did_you_mean(str(value), known)}")
