"""SciPy's searches over the whole of a box: differential evolution, and dual annealing."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import scipy.optimize

from thalweg.descent.failures import Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, evaluations, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.descent.without_gradients.task import EndedError
from thalweg.errors import HyperparameterError, did_you_mean
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.without_gradients.task import Task

_STRATEGIES = tuple(
    f"{base}{crossing}"
    for base in ("best1", "rand1", "rand2", "best2", "currenttobest1", "randtobest1")
    for crossing in ("bin", "exp")
)


@dataclass(frozen=True, kw_only=True, repr=False)
class differential_evolution(Routine):
    """A population within bounds, each member tried against one made of the differences of others; for many minima.

    `population` is the number of members for each variable, x0 among them. It ends when the values' standard deviation
    is at most `tolerance` times the size of their mean; `polish=True` then runs L-BFGS-B from the best, by differences.
    SciPy's, which says more of the strategies.

    Storn and Price 1997, doi:10.1023/A:1008202821328.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "needed"
    tolerances: ClassVar[tuple[str, ...]] = ("tolerance",)

    strategy: str = "best1bin"
    population: int = whole(1, default=15, source="SciPy's popsize")
    mutation: tuple[float, float] | float = (0.5, 1.0)
    recombination: float = number(Range(0, 1, high_included=True), default=0.7, source="SciPy's")
    tolerance: float = number(Range(0), default=0.01, source="SciPy's tol")
    polish: bool = True
    seed: int = whole(0, default=0, source="ours")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strategy not in _STRATEGIES:
            known = did_you_mean(str(self.strategy), _STRATEGIES)
            raise HyperparameterError(f"differential_evolution: `strategy` is {self.strategy!r}; {known}")
        try:
            ends = np.atleast_1d(np.asarray(self.mutation, float))
            fits = ends.size in (1, 2) and bool((ends >= 0).all() and (ends < 2).all() and ends[0] <= ends[-1])
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise HyperparameterError(
                f"differential_evolution: `mutation` is {self.mutation!r}; it must be a number in [0, 2), or two to "
                "draw between"
            )

    def usual_budget(self, size: int) -> StoppingRule:  # noqa: ARG002
        """As SciPy's."""
        return iterations(1000)

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""

        def told(*_: object, **__: object) -> bool:
            ends = task.look()
            if ends and task.ending and task.ending.status is not Status.BUDGET_SPENT:
                raise EndedError
            return ends  # and what SciPy's own budget would be followed by, the polish, follows

        scipy.optimize.differential_evolution(
            task.value,
            task.pairs,
            strategy=self.strategy,
            maxiter=sys.maxsize,
            popsize=self.population,
            tol=self.tolerance,
            mutation=self.mutation,
            recombination=self.recombination,
            polish=self.polish,
            callback=told,
            x0=task.x0,
            **_drawn(self.seed),
        )
        return Status.CONVERGED, f"the population's values scatter by at most {self.tolerance:g} of their mean"


@dataclass(frozen=True, kw_only=True, repr=False)
class dual_annealing(Routine):
    """Annealing over a box by jumps with heavy tails, and L-BFGS-B, by differences, from each better point.

    The temperature falls from `temperature`, and starts again when it is the share `restart` of that. While it runs,
    `nit` counts the lower points that it tells of; at its end, its iterations. SciPy's, with its counts.

    Xiang, Sun, Fan and Gong 1997, doi:10.1016/S0375-9601(97)00474-X; Tsallis and Stariolo 1996,
    doi:10.1016/S0378-4371(96)00271-3.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "needed"

    temperature: float = number(
        Range(0.01, 5e4, low_included=False, high_included=True), default=5230.0, source="SciPy's initial_temp"
    )
    restart: float = number(Range(0, 1, low_included=False), default=2e-5, source="SciPy's restart_temp_ratio")
    visit: float = number(Range(1, 3, low_included=False, high_included=True), default=2.62, source="SciPy's")
    accept: float = number(Range(-1e4, -5, low_included=False, high_included=True), default=-5.0, source="SciPy's")
    local_search: bool = True
    seed: int = whole(0, default=0, source="ours")

    def usual_budget(self, size: int) -> StoppingRule:  # noqa: ARG002
        """As SciPy's."""
        return iterations(1000) | evaluations(10_000_000)

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        most = int(min(task.iterations_left, sys.maxsize))
        try:
            found: Any = scipy.optimize.dual_annealing(
                task.value,
                task.pairs,
                maxiter=most,
                maxfun=sys.maxsize,
                initial_temp=self.temperature,
                restart_temp_ratio=self.restart,
                visit=self.visit,
                accept=self.accept,
                no_local_search=not self.local_search,
                callback=lambda *_: task.look(),
                x0=task.x0,
                **_drawn(self.seed),
            )
        except ValueError as failure:
            if failure is task.raised or task.objective.best is not None:
                raise
            return Status.NOT_FINITE, "the function was finite nowhere in the box"
        if task.ending is None:
            task.nit = int(found.nit)
        return Status.BUDGET_SPENT, f"the budget of {most} iterations is spent"


def _drawn(seed: int) -> dict[str, Any]:
    """SciPy's argument for random numbers; before its version 1.15 it was called `seed`."""
    modern = tuple(int(part) for part in scipy.__version__.split(".")[:2]) >= (1, 15)
    return {"rng" if modern else "seed": np.random.default_rng(seed)}
