"""Methods that are run whole, most of them without gradients: each an inert value, behind the front of `minimize`."""

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
from thalweg.descent.without_gradients.routine import Routine

__all__ = [
    "Routine",
    "cma_es",
    "coordinate_search",
    "differential_evolution",
    "dual_annealing",
    "genetic_algorithm",
    "lbfgsb",
    "metropolis",
    "multi_start",
    "nelder_mead",
    "openai_es",
    "powell",
    "random_search",
    "snes",
    "xnes",
]
