"""What a named method is called where there is room for more than its name."""

from __future__ import annotations

TITLES = {
    "bfgs": "BFGS",
    "cg": "Conjugate gradients",
    "cma_es": "CMA-ES",
    "coordinate_search": "Coordinate search",
    "dai_yuan": "Dai–Yuan",
    "damped_newton": "Damped Newton",
    "differential_evolution": "Differential evolution",
    "dogleg": "Dogleg",
    "dual_annealing": "Dual annealing",
    "fletcher_reeves": "Fletcher–Reeves",
    "gauss_newton": "Gauss–Newton",
    "genetic_algorithm": "Genetic algorithm",
    "hager_zhang": "Hager–Zhang",
    "hessian_free": "Hessian-free",
    "hestenes_stiefel": "Hestenes–Stiefel",
    "kfac": "K-FAC",
    "lbfgs": "L-BFGS",
    "lbfgsb": "L-BFGS-B",
    "mcmc": "Metropolis chain",
    "multi_start": "Multi-start",
    "natural_gradient": "Natural gradient",
    "nelder_mead": "Nelder–Mead",
    "newton": "Newton",
    "newton_cg": "Newton-CG",
    "openai_es": "OpenAI's evolution strategy",
    "powell": "Powell",
    "prong": "PRONG",
    "prong_plus": "PRONG⁺",
    "random_search": "Random search",
    "saddle_free_newton": "Saddle-free Newton",
    "scaled_cg": "Scaled conjugate gradients",
    "simulated_annealing": "Simulated annealing",
    "snes": "Separable natural evolution strategy",
    "steepest": "Steepest descent",
    "steihaug": "Steihaug",
    "stochastic_lbfgs": "L-BFGS on minibatches",
    "xnes": "Natural evolution strategy",
}


def title_of(name: str) -> str:
    """The title of the method of this name; of another, the name.

    >>> title_of("lbfgs"), title_of("of_a_later_version")
    ('L-BFGS', 'of_a_later_version')
    """
    return TITLES.get(name, name)
