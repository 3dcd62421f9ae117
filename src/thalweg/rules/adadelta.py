"""AdaDelta: steps in the units of the parameter, without a rate to choose."""

from typing import Literal

from thalweg.formula import (
    Direction,
    Displacement,
    Fraction,
    LearningRate,
    Positive,
    Update,
    Zeros,
    rule,
    sqrt,
)


@rule(
    title="AdaDelta",
    source="Zeiler 2012, arXiv:1212.5701, Algorithm 1",
    learning_rate=1.0,
    rho="0.95, section 4.1 of the paper; torch.optim.Adadelta has 0.9",
    rho_update="the same as rho, as the paper; Misra's lecture has two",
    eps="1e-6, section 4.1 of the paper and torch.optim.Adadelta",
    dialect="The learning rate stands `outside` the accumulated update (torch; the paper has none, which is 1) "
    "or `inside` it (Misra's lecture).",
    when="Where no rate is known; a rate of 1 is the paper's. Without ε it never moves.",
    translations=(
        "torch.optim.Adadelta(lr=lr, rho=rho, eps=eps); default rho=0.9",
        "keras.optimizers.Adadelta(learning_rate=lr, rho=rho, epsilon=eps); default learning_rate=0.001, epsilon=1e-7",
        "Zeiler_2012(ρ=rho, ε=eps); it has no rate, which is 1",
        "optax.adadelta(learning_rate=lr, rho=rho, eps=eps); default learning_rate=None, rho=0.9",
    ),
)
def adadelta(
    g: Direction,
    r: Zeros,
    q: Zeros,
    alpha: LearningRate,
    *,
    rho: Fraction = 0.95,
    rho_update: Fraction | None = None,
    eps: Positive = 1e-6,
    rate: Literal["outside", "inside"] = "outside",
) -> Update:
    """Take the ratio of two running root mean squares, of the updates and of the gradients, for a rate."""
    if rho_update is None:
        rho_update = rho
    r = rho * r + (1 - rho) * g**2
    d = sqrt(q + eps) / sqrt(r + eps) * g
    if rate == "inside":
        d = alpha * d
        q = rho_update * q + (1 - rho_update) * d**2
        return Displacement(-d), r, q
    q = rho_update * q + (1 - rho_update) * d**2
    return d, r, q
