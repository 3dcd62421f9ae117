"""How far to go: step sizes, each an inert value; a number or a schedule is one, too."""

from thalweg.descent.steps.approximate_wolfe import approximate_wolfe
from thalweg.descent.steps.armijo import armijo
from thalweg.descent.steps.brent import brent
from thalweg.descent.steps.levenberg_marquardt import levenberg_marquardt
from thalweg.descent.steps.scaled import scaled
from thalweg.descent.steps.step_size import Search, StepSize
from thalweg.descent.steps.strong_wolfe import strong_wolfe
from thalweg.descent.steps.trust_region import trust_region

__all__ = [
    "Search",
    "StepSize",
    "approximate_wolfe",
    "armijo",
    "brent",
    "levenberg_marquardt",
    "scaled",
    "strong_wolfe",
    "trust_region",
]
