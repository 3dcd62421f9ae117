"""The same problem by our method and by SciPy's of the same name, and what each has spent."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import Tensor

import thalweg as tw
from descent.more_garbow_hillstrom import PROBLEMS
from thalweg import surfaces
from thalweg.descent import Result, gradient_norm, iterations, step_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy.optimize import OptimizeResult

    from thalweg.descent.stopping import StoppingRule

Array = NDArray[np.float64]

SCIPYS = {
    "bfgs": "BFGS",
    "cg": "CG",
    "newton_cg": "Newton-CG",
    "lbfgs": "L-BFGS-B",
    "steihaug": "trust-ncg",
    "dogleg": "dogleg",
}
"""Our name of a method, and SciPy's."""


@dataclass(frozen=True)
class Case:
    """A function and where to start."""

    name: str
    f: Callable[[Tensor], Tensor]
    x0: tuple[float, ...]


MGH = [Case(problem.name, problem, problem.x0) for problem in PROBLEMS]
SURFACES = [
    Case(f"{name} from {start}", surfaces.get(name).function, start)
    for name in surfaces.catalogue()
    for start in surfaces.get(name).starts
]


@dataclass(frozen=True)
class Comparison:
    """What both have found and spent."""

    ours: Result
    theirs: OptimizeResult

    @property
    def spent(self) -> tuple[int, int]:
        """Function evaluations, or gradients where those are more, as with differences."""
        return max(self.ours.nfev, self.ours.njev), max(self.theirs.nfev, self.theirs.njev)

    @property
    def is_solved_by_both(self) -> bool:
        """Whether both say so, and are equally low."""
        lows = self.ours.fun, self.theirs.fun
        return bool(self.ours.success and self.theirs.success and abs(lows[0] - lows[1]) <= 1e-4 * abs(lows[1]) + 1e-5)


@cache
def both(case: Case, method: str, *, differences: bool = False) -> Comparison:
    """Our method and SciPy's with SciPy's stopping rule: its defaults, but for those of its that have other ones."""
    points = "2-point" if differences else None
    ours = tw.minimize(case.f, case.x0, method, stop=_stop(case, method), hessian_product=points)
    return Comparison(ours, _by_scipy(case, method, differences))


def _stop(case: Case, method: str) -> StoppingRule:
    """SciPy's: the mean step for Newton-CG, ‖g‖₂ for trust regions, the largest element of g for the others."""
    budget = iterations(200 * len(case.x0))
    if method == "newton_cg":
        return step_length(1e-5 * len(case.x0), order=1) | budget
    return (gradient_norm(1e-5, order=2) if method in {"steihaug", "dogleg"} else gradient_norm(1e-5)) | budget


def _by_scipy(case: Case, method: str, differences: bool) -> OptimizeResult:
    def value(x: Array) -> float:
        return float(case.f(torch.from_numpy(x)))

    def gradient(x: Array) -> Array:
        point = torch.tensor(x, requires_grad=True)
        return torch.autograd.grad(case.f(point), point)[0].numpy()

    def product(x: Array, v: Array) -> Array:
        return torch.autograd.functional.hvp(case.f, torch.from_numpy(x), torch.from_numpy(v))[1].numpy()

    def hessian(x: Array) -> Array:
        return torch.autograd.functional.hessian(case.f, torch.from_numpy(x)).numpy()

    options: dict[str, float] = {"maxiter": 200 * len(case.x0)}
    if method == "lbfgs":
        options |= {"gtol": 1e-5, "ftol": 0, "maxfun": 10**5}
    if method in {"steihaug", "dogleg"}:
        options |= {"gtol": 1e-5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of what overflows on the way
        return scipy.optimize.minimize(
            value,
            np.array(case.x0, float),
            method=SCIPYS[method],
            jac=gradient,
            hessp=product if method in {"newton_cg", "steihaug"} and not differences else None,
            hess=hessian if method == "dogleg" else None,
            options=options,
        )
