"""Where to go: directions, each an inert value."""

from thalweg.descent.directions.conjugate import (
    dai_yuan,
    fletcher_reeves,
    hager_zhang,
    hestenes_stiefel,
    polak_ribiere,
)
from thalweg.descent.directions.direction import Direction, Guide, Region
from thalweg.descent.directions.hessian_free import hessian_free
from thalweg.descent.directions.moller import moller
from thalweg.descent.directions.natural_gradient import gauss_newton, natural_gradient
from thalweg.descent.directions.newton import damped_newton, newton, saddle_free_newton
from thalweg.descent.directions.newton_cg import newton_cg
from thalweg.descent.directions.quasi_newton import bfgs, lbfgs
from thalweg.descent.directions.regions import dogleg, steihaug
from thalweg.descent.directions.steepest import normalised_steepest, preconditioned, steepest

__all__ = [
    "Direction",
    "Guide",
    "Region",
    "bfgs",
    "dai_yuan",
    "damped_newton",
    "dogleg",
    "fletcher_reeves",
    "gauss_newton",
    "hager_zhang",
    "hessian_free",
    "hestenes_stiefel",
    "lbfgs",
    "moller",
    "natural_gradient",
    "newton",
    "newton_cg",
    "normalised_steepest",
    "polak_ribiere",
    "preconditioned",
    "saddle_free_newton",
    "steepest",
    "steihaug",
]
