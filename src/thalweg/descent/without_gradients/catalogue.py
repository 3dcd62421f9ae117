"""The routines that have a name, with their usual settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.descent.without_gradients.by_scipy import lbfgsb, nelder_mead, powell
from thalweg.descent.without_gradients.chains import metropolis
from thalweg.descent.without_gradients.cma_es import cma_es
from thalweg.descent.without_gradients.coordinate_search import coordinate_search
from thalweg.descent.without_gradients.evolution import snes, xnes
from thalweg.descent.without_gradients.genetic import genetic_algorithm
from thalweg.descent.without_gradients.multi_start import multi_start
from thalweg.descent.without_gradients.openai_es import openai_es
from thalweg.descent.without_gradients.over_the_box import differential_evolution, dual_annealing
from thalweg.descent.without_gradients.random_search import random_search
from thalweg.schedules import inverse

if TYPE_CHECKING:
    from thalweg.descent.without_gradients.routine import Routine

ROUTINES: dict[str, Routine] = {
    "coordinate_search": coordinate_search(),
    "powell": powell(),
    "nelder_mead": nelder_mead(),
    "cma_es": cma_es(),
    "xnes": xnes(),
    "snes": snes(),
    "openai_es": openai_es(),
    "differential_evolution": differential_evolution(),
    "genetic_algorithm": genetic_algorithm(),
    "dual_annealing": dual_annealing(),
    "simulated_annealing": metropolis(temperature=inverse(1.0)),
    "mcmc": metropolis(),
    "random_search": random_search(),
    "multi_start": multi_start(),
    "lbfgsb": lbfgsb(),
}
