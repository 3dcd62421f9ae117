"""What a named descent is called where there is room for more than its name."""

from __future__ import annotations

# Those that are not their names with spaces between the words.
_TITLES = {
    "bfgs": "BFGS",
    "cg": "Conjugate gradients",
    "cma_es": "CMA-ES",
    "dai_yuan": "Dai–Yuan",
    "damped_newton": "Damped Newton",
    "fletcher_reeves": "Fletcher–Reeves",
    "hager_zhang": "Hager–Zhang",
    "hessian_free": "Hessian-free",
    "hestenes_stiefel": "Hestenes–Stiefel",
    "lbfgs": "L-BFGS",
    "newton_cg": "Newton-CG",
    "saddle_free_newton": "Saddle-free Newton",
    "scaled_cg": "Scaled conjugate gradients",
    "steepest": "Steepest descent",
}


def title_of(name: str) -> str:
    """The title of the method of this name.

    >>> title_of("lbfgs"), title_of("damped_newton")
    ('L-BFGS', 'Damped Newton')
    """
    return _TITLES.get(name, name.replace("_", " ").capitalize())
