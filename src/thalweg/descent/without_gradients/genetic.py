"""A genetic algorithm, of the package `pygad`: selection, crossover and mutation of vectors of numbers."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from thalweg.descent.failures import Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, iterations
from thalweg.descent.without_gradients.random_search import drawn
from thalweg.descent.without_gradients.routine import Routine
from thalweg.errors import HyperparameterError
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.without_gradients.task import Task

_PROBABILITY = Range(0, 1, low_included=False, high_included=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class genetic_algorithm(Routine):
    """A population within bounds: tournaments choose parents, crossover mixes them, mutation changes their children.

    `population` points, x0 among them, of which the `elite` lowest live on. Crossover is simulated binary, mutation
    polynomial, of each variable with the probability `mutation`, 1/n if it is left out; the greater `crossover_eta` and
    `mutation_eta`, the closer are children to their parents. It knows no end of its own.

    Holland 1975; Deb and Agrawal 1995, Complex Systems 9, 115–148; Deb and Goyal 1996, Computer Science and
    Informatics 26, 30–45; by the package `pygad`.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "needed"

    population: int = whole(4, default=50, source="ours")
    elite: int = whole(1, default=1, source="pygad's keep_elitism")
    tournament: int = whole(1, default=3, source="pygad's K_tournament")
    mutation: float | None = number(_PROBABILITY, default=None, source="pygad's")
    crossover_eta: int = whole(0, default=15, source="ours")
    mutation_eta: int = whole(0, default=20, source="pygad's")
    seed: int = whole(0, default=0, source="ours")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("elite", "tournament"):
            if getattr(self, name) >= self.population:
                raise HyperparameterError(
                    f"genetic_algorithm: `{name}` is {getattr(self, name)}; it must be less than the population, "
                    f"{self.population}"
                )

    def usual_budget(self, size: int) -> StoppingRule:  # noqa: ARG002
        """200 generations."""
        return iterations(200)

    def run(self, task: Task) -> tuple[Status, str]:
        """Breed until the task ends it."""
        import pygad  # noqa: PLC0415  # only who breeds pays for it

        rng = np.random.default_rng(self.seed)
        population = [task.x0, *(drawn(task, rng, 1.0) for _ in range(self.population - 1))]
        silent = logging.Logger("thalweg.genetic_algorithm")  # noqa: LOG001  # of nobody's tree: it would log what ends it
        silent.addHandler(logging.NullHandler())
        algorithm: Any = pygad.GA(
            fitness_func=lambda _, x, __: -task.value(np.asarray(x, np.float64)),
            initial_population=np.array(population),
            num_generations=sys.maxsize,
            num_parents_mating=self.population // 2,
            keep_elitism=self.elite,
            parent_selection_type="tournament",
            K_tournament=self.tournament,
            crossover_type="sbx",
            sbx_crossover_eta=self.crossover_eta,
            mutation_type="polynomial",
            polynomial_mutation_eta=self.mutation_eta,
            mutation_probability=self.mutation or 1 / task.size,
            gene_space=[{"low": low, "high": high} for low, high in task.pairs],
            on_generation=lambda _: task.iterated(),
            random_seed=int(rng.integers(2**32)),
            suppress_warnings=True,
            save_best_solutions=False,
            save_solutions=False,
            logger=silent,
        )
        algorithm.run()
        return Status.NO_LOWER_POINT, "the package has stopped"
