"""Martens' Hessian-free direction: conjugate gradients on the damped quadratic, from where they ended the last time."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from torch import dot

from thalweg.descent.directions.damped import Candidate, DampedGuide, affordable
from thalweg.descent.directions.direction import Direction, Guide
from thalweg.descent.directions.natural_gradient import choose
from thalweg.descent.output_curvature import Reduction, empirical_curvature, gauss_newton_curvature, hessian_product
from thalweg.descent.part import number, whole
from thalweg.descent.systems import Progress, conjugate_gradients
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.systems import Iterates
    from thalweg.descent.trial import Trial

Matrix = Literal["gauss_newton", "hessian"]
Preconditioner = Literal["none", "empirical_fisher"]


@dataclass(frozen=True, repr=False)
class hessian_free(Direction):
    """d ≈ −(G + λI)⁻¹g by conjugate gradients, ended where q(d) = gᵀd + ½dᵀ(G + λI)d falls too slowly to go on.

    For networks and other functions of many variables that return (value, outputs); its step size is
    `levenberg_marquardt()`, which goes back over their iterates and sets λ. They end when q has fallen over the last
    k = max(10, i/10) of i iterations by less than k·`tolerance` of what it fell in all, or after `max_products`; they
    begin where the last ones ended, times `warm_start`. `curvature="hessian"` takes the Hessian for G, which may be
    indefinite: then they end at the first direction of negative curvature.

    `preconditioner="empirical_fisher"` scales them by (diag F + λ)^`exponent`, F having the mean (or sum, see
    `reduction`) of the examples' squared gradients for its diagonal. That takes as many products as the outputs' first
    dimension counts examples; with `probes`, as many as you say, for an estimate: the squared gradients of sums of the
    examples with random signs, as Chapelle and Erhan 2011, "Improved preconditioner for Hessian free optimization",
    do for G.

    Martens, "Deep learning via Hessian-free optimization", 2010; Martens and Sutskever, "Training deep and recurrent
    networks with Hessian-free optimization", 2012. The defaults are theirs, but for λ, which they set by the problem.
    """

    needs_outputs: ClassVar[bool] = True
    has_damping: ClassVar[bool] = True
    when: ClassVar[str] = "Networks and other fits of many variables, with all examples or large batches of them."
    spends: ClassVar[str] = (
        "the gradient, and a product for each inner step of conjugate gradients, of which there are ten at least, and "
        "one where they begin"
    )
    keeps: ClassVar[str] = "the last direction: n numbers; in a step, a logarithm's number of inner ones"
    damping: float = number(Range(0), default=1.0, source="ours; Martens' is set by the problem")
    _: KW_ONLY
    warm_start: float = number(Range(0, 1, high_included=True), default=0.95, source="Martens and Sutskever 2012")
    tolerance: float = number(Range(0, low_included=False), default=5e-4, source="Martens 2010, section 4.4")
    max_products: int = whole(1, default=250, source="Martens' code")
    preconditioner: Preconditioner = "none"
    exponent: float = number(Range(0, 1, high_included=True), default=0.75, source="Martens 2010, section 4.7")
    probes: int | None = whole(1, default=None, source="ours: exact")
    reduction: Reduction = "mean"
    curvature: Matrix = "gauss_newton"

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("hessian_free", "curvature", self.curvature, get_args(Matrix))
        choose("hessian_free", "preconditioner", self.preconditioner, get_args(Preconditioner))
        choose("hessian_free", "reduction", self.reduction, get_args(Reduction))

    def start(self) -> Guide:
        """A guide for one descent."""
        return _HessianFree(self)


class _HessianFree(DampedGuide):
    remembers = ("damping", "_last", "_count")

    def __init__(self, settings: hessian_free) -> None:
        super().__init__(settings.damping)
        self._settings = settings
        self._last: Tensor | None = None
        self._count = 0
        self._is_warm = False

    def forget(self) -> bool:
        was_warm, self._last, self._is_warm = self._is_warm, None, False
        return was_warm

    def toward(self, here: Trial) -> Tensor:
        own, damping = self._settings, self.damping
        B = hessian_product(here) if own.curvature == "hessian" else gauss_newton_curvature(here).product
        preconditioner = self._preconditioner(here)

        def descend(start: Tensor | None) -> Iterates:
            return conjugate_gradients(
                lambda v: B(v) + damping * v,
                here.g,
                is_done=Progress(own.tolerance),
                most=affordable(here, own.max_products),
                start=start,
                preconditioner=preconditioner,
            )

        start = self._last * own.warm_start if self._last is not None and own.warm_start else None
        found = descend(start)
        self._is_warm = start is not None
        if start is not None and not found.kept[-1].q < 0:  # the last direction has led them astray
            found = descend(None)
            self._is_warm = False
        self._last = found.kept[-1].x
        self.candidates = [
            Candidate(one.x, one.q - damping * float(dot(one.x, one.x)) / 2)
            for one in found.kept
            if one.q < 0 or one is found.kept[-1]
        ]
        return self._last

    def _preconditioner(self, here: Trial) -> Tensor | None:
        own = self._settings
        if own.preconditioner == "none":
            return None
        curvature = empirical_curvature(here, own.reduction, probes=own.probes, seed=self._count)
        self._count += 1
        return (curvature.diagonal() + self.damping) ** own.exponent
