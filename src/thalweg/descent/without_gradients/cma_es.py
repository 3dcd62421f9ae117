"""CMA-ES, of the package `cma`: a normal distribution that adapts its covariance to the function."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from thalweg.descent.failures import Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.errors import DescentError
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.without_gradients.task import Task

_ENDINGS = {
    "tolfun": (Status.CONVERGED, "the values of the last populations differ by at most tolfun={tolfun:g}"),
    "tolfunhist": (Status.CONVERGED, "the lowest values of the last populations differ by at most 1e-12"),
    "tolx": (Status.CONVERGED, "the standard deviations are at most tolx={tolx:g}"),
    "tolxstagnation": (Status.CONVERGED, "the mean has stayed within 1e-9 for many populations"),
    "noeffectaxis": (Status.CONVERGED, "the standard deviations have become shorter than the rounding of the mean"),
    "noeffectcoord": (Status.CONVERGED, "the standard deviations have become shorter than the rounding of the mean"),
    "tolflatfitness": (Status.NO_LOWER_POINT, "whole populations have the same value: the function is flat there"),
    "flatfitness": (Status.NO_LOWER_POINT, "whole populations have the same value: the function is flat there"),
    "tolstagnation": (Status.NO_LOWER_POINT, "for many populations the values have not fallen"),
    "tolconditioncov": (
        Status.NO_LOWER_POINT,
        "the distribution's condition number is above 1e14; scale the variables",
    ),
    "tolupsigma": (Status.NO_LOWER_POINT, "the steps have grown without end, and the distribution has not"),
}
"""The package's reasons to stop, in our words."""


@dataclass(frozen=True, kw_only=True, repr=False)
class cma_es(Routine):
    """A normal distribution that adapts size and covariance to where low points are; for up to some hundred variables.

    The first choice where there are no gradients and enough evaluations, 100 for each variable or more: what it does
    depends neither on the scale of the values nor on the variables' directions. `spread` is its standard deviation to
    begin with, by default a quarter of the bounds' width, else 1; a minimum should lie within two or three of them.
    `population` is 4 + ⌊3 log n⌋ if it is left out. For two variables or more.

    Hansen and Ostermeier 2001, doi:10.1162/106365601750190398; Hansen 2016, arXiv:1604.00772; by its authors' package.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"
    tolerances: ClassVar[tuple[str, ...]] = ("tolx", "tolfun")

    spread: float | None = number(Range(0, low_included=False), default=None, source="ours")
    population: int | None = whole(2, default=None, source="Hansen 2016, table 1")
    tolx: float = number(Range(0), default=1e-11, source="cma's")
    tolfun: float = number(Range(0), default=1e-11, source="cma's")
    seed: int = whole(0, default=0, source="ours")

    def usual_budget(self, size: int) -> StoppingRule:
        """As the package's."""
        population = self.population or 4 + int(3 * math.log(size))
        return iterations(int(100 + 150 * (size + 3) ** 2 // population**0.5))

    def begin(self, task: Task) -> None:
        """Look at the start, which the package does not. Raises `DescentError` for one variable."""
        if task.size < 2:
            raise DescentError(
                "cma_es: there is one free variable, and it needs two or more; take `nelder_mead`, `powell` or `xnes`"
            )
        super().begin(task)

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        strategy = self._strategy(task)
        while True:
            points: list[Any] = strategy.ask()
            strategy.tell(points, [task.value(np.asarray(x)) for x in points])
            task.iterated()
            for reason in strategy.stop():
                status, message = _ENDINGS.get(reason, (Status.NO_LOWER_POINT, f"the package stops by `{reason}`"))
                return status, message.format(tolfun=self.tolfun, tolx=self.tolx)

    def _strategy(self, task: Task) -> Any:  # noqa: ANN401  # the package says no types
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is nothing to draw plots with
            import cma  # noqa: PLC0415  # it takes a second
        spread, rng = task.spread(self.spread), np.random.default_rng(self.seed)
        sigma = float(spread.min())
        options: dict[str, Any] = {
            "randn": lambda *shape: rng.standard_normal(shape),  # NumPy's own state is everybody's
            "seed": math.nan,
            "tolx": self.tolx,
            "tolfun": self.tolfun,
            "tolfacupx": math.inf,  # a way too long is the task's to tell
            "maxiter": math.inf,
            "verbose": -10,  # neither words nor files
            "verb_log": 0,
        }
        if self.population is not None:
            options["popsize"] = self.population
        if not (spread == sigma).all():
            options["CMA_stds"] = spread / sigma
        if task.within.any:
            options["bounds"] = [task.low, task.high]
        return cma.CMAEvolutionStrategy(task.x0, sigma, options)
