"""ASGD: gradient descent with a falling rate that keeps the average of where it has been."""

from thalweg.formula import (
    Direction,
    LearningRate,
    NonNegative,
    Parameter,
    Position,
    Step,
    Update,
    Zeros,
    maximum,
    rule,
    where,
)


@rule(
    title="Averaged stochastic gradient descent",
    source="Polyak and Juditsky 1992, doi:10.1137/0330046; the falling rate as Xu 2011, arXiv:1107.2490",
    learning_rate=0.01,
    lambd="1e-4, torch.optim.ASGD",
    power="0.75, torch.optim.ASGD, whose `alpha` it is; Xu 2011 has 2/3 to 1",
    t0="1e6, torch.optim.ASGD: the steps that stay out of the average",
    dialect="torch's, while the learning rate is constant; torch sets a step's rate at the end of the step before. "
    "The average is the state `ax`, and begins with the step t0 + 2; the parameter itself is not averaged.",
    when="On convex problems with noisy gradients, where the average is the better answer. Set t0 to when the "
    "descent has arrived: with the default, the average is the parameter for a million steps.",
    translations=("torch.optim.ASGD(lr=lr, lambd=lambd, alpha=power, t0=t0); while the rate is constant",),
)
def asgd(
    g: Direction,
    p: Parameter,
    ax: Zeros,
    t: Step,
    alpha: LearningRate,
    *,
    lambd: NonNegative = 1e-4,
    power: NonNegative = 0.75,
    t0: NonNegative = 1e6,
) -> Update:
    """Descend with decay at a falling rate, and average the parameter from t0 on."""
    eta = alpha / (1 + lambd * alpha * (t - 1)) ** power
    mu = 1 / maximum(1, t - 1 - t0)
    x = (1 - lambd * eta) * p - eta * g
    ax = where(mu < 1, ax + mu * (x - ax), x)
    return Position(x), ax
