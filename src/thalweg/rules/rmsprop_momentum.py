"""RMSProp with momentum: a heavy ball driven by the scaled gradient."""

from typing import Literal

from thalweg.formula import (
    Direction,
    Displacement,
    Fraction,
    LearningRate,
    NonNegative,
    Update,
    Zeros,
    rule,
    sqrt,
)


@rule(
    title="RMSProp with momentum",
    source="Tieleman and Hinton 2012 (lecture 6.5) name it; the formula as Graves 2013, arXiv:1308.0850, eqs. 38-45",
    learning_rate=0.001,
    beta="0.9, Graves 2013",
    rho="0.99, torch.optim.RMSprop; Graves 2013 has 0.95",
    eps="1e-8, torch.optim.RMSprop; Graves 2013 has 1e-4 inside the root",
    dialect="`classical` has the learning rate inside the velocity, `torch` outside: the same while the rate is "
    "constant. ε `outside` the root (torch) or `inside` it (Graves, TensorFlow); `centred` as Graves.",
    when="As RMSProp, where the descent also zig-zags. It seldom helps much, says its lecture.",
    translations=(
        (
            "torch.optim.RMSprop(lr=lr, momentum=beta, alpha=rho, eps=eps, centered=centred) where form='classical'; "
            "default lr=0.01, momentum=0; while the rate is constant"
        ),
        "torch.optim.RMSprop(lr=lr, momentum=beta, alpha=rho, eps=eps, centered=centred) where form='torch'",
        (
            "keras.optimizers.RMSprop(learning_rate=lr, momentum=beta, rho=rho, epsilon=eps, centered=centred) where "
            "epsilon='inside', form='classical'; default momentum=0, rho=0.9, epsilon=1e-7"
        ),
        (
            "keras.optimizers.RMSprop(learning_rate=lr, momentum=beta, rho=rho, epsilon=eps, centered=centred) where "
            "epsilon='inside', form='torch'; while the rate is constant"
        ),
        "Graves_2013(aleph=rho, beth=beta, gimel=lr, daleth=eps) where epsilon='inside', centred=True",
        (
            "optax.rmsprop(learning_rate=lr, momentum=beta, decay=rho, eps=eps, eps_in_sqrt=False) where form='torch'; "
            "default momentum=None, decay=0.9"
        ),
    ),
)
def rmsprop_momentum(
    g: Direction,
    r: Zeros,
    mean: Zeros,
    v: Zeros,
    alpha: LearningRate,
    *,
    beta: Fraction = 0.9,
    rho: Fraction = 0.99,
    eps: NonNegative = 1e-8,
    epsilon: Literal["outside", "inside"] = "outside",
    centred: bool = False,
    form: Literal["classical", "torch"] = "classical",
) -> Update:
    """Scale the gradient by its recent size, then let the parameter roll with it."""
    r = rho * r + (1 - rho) * g**2
    spread = r
    if centred:
        mean = rho * mean + (1 - rho) * g
        spread = r - mean**2
    g_hat = g / sqrt(spread + eps) if epsilon == "inside" else g / (sqrt(spread) + eps)
    if form == "classical":
        v = beta * v - alpha * g_hat
        return Displacement(v), r, mean, v
    v = beta * v + g_hat
    return v, r, mean, v
