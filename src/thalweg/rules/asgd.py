"""ASGD: gradient descent with a falling rate that keeps the average of where it has been."""

from typing import Annotated, Literal

from thalweg.formula import (
    Direction,
    LearningRate,
    Level,
    NonNegative,
    Parameter,
    Position,
    Scalar,
    State,
    Step,
    TensorZeros,
    Update,
    Zeros,
    equal,
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
    dialect="torch's. With form='direct' each step goes by its own learning rate; with form='torch' its rate is made "
    "at the end of the step before, of the learning rate of that one, which differs where the rate changes. "
    "The average is the state `ax`, and begins with the step t0 + 2; the parameter itself is not averaged.",
    when="On convex problems with noisy gradients, where the average is the better answer. Set t0 to when the "
    "descent has arrived: with the default, the average is the parameter for a million steps.",
    translations=(
        "torch.optim.ASGD(lr=lr, lambd=lambd, alpha=power, t0=t0) where form='torch'",
        "torch.optim.ASGD(lr=lr, lambd=lambd, alpha=power, t0=t0) where form='direct'; while the rate is constant",
    ),
)
def asgd(
    g: Direction,
    p: Parameter,
    ax: Zeros,
    eta_next: TensorZeros,
    mu_next: Annotated[Scalar, State(start=1.0, level=Level.TENSOR)],
    t: Step,
    alpha: LearningRate,
    *,
    lambd: NonNegative = 1e-4,
    power: NonNegative = 0.75,
    t0: NonNegative = 1e6,
    form: Literal["direct", "torch"] = "direct",
) -> Update:
    """Descend with decay at a falling rate, and average the parameter from t0 on."""
    if form == "direct":
        eta = alpha / (1 + lambd * alpha * (t - 1)) ** power
        mu = 1 / maximum(1, t - 1 - t0)
    else:
        eta, mu = where(equal(t, 1), alpha, eta_next), mu_next
        eta_next = alpha / (1 + lambd * alpha * t) ** power
        mu_next = 1 / maximum(1, t - t0)
    x = p - eta * (lambd * p + g)
    ax = where(mu < 1, ax + mu * (x - ax), x)
    return Position(x), ax, eta_next, mu_next
