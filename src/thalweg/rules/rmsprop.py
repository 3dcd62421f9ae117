"""RMSProp: divide by a running root mean square of the gradient."""

from typing import Literal

from thalweg.formula import Direction, Fraction, NonNegative, Update, Zeros, rule, sqrt


@rule(
    title="RMSProp",
    source="Tieleman and Hinton 2012, Coursera, Neural Networks for Machine Learning, lecture 6.5; centred: "
    "Graves 2013, arXiv:1308.0850",
    learning_rate=0.001,
    rho="0.99, torch.optim.RMSprop; Hinton's lecture has 0.9",
    eps="1e-8, torch.optim.RMSprop; the lecture has none",
    dialect="ε `outside` the root (torch) or `inside` it (TensorFlow, optax); `centred` subtracts the squared "
    "mean (Graves).",
    when="With minibatches and recurrent networks, where gradients differ in scale from weight to weight.",
    translations=(
        "torch.optim.RMSprop(lr=lr, alpha=rho, eps=eps, centered=centred); default lr=0.01",
        (
            "keras.optimizers.RMSprop(learning_rate=lr, rho=rho, epsilon=eps, centered=centred) where "
            "epsilon='inside'; default rho=0.9, epsilon=1e-7"
        ),
        "optax.rmsprop(learning_rate=lr, decay=rho, eps=eps, eps_in_sqrt=False); default decay=0.9",
    ),
)
def rmsprop(
    g: Direction,
    r: Zeros,
    mean: Zeros,
    *,
    rho: Fraction = 0.99,
    eps: NonNegative = 1e-8,
    epsilon: Literal["outside", "inside"] = "outside",
    centred: bool = False,
) -> Update:
    """Scale every weight's gradient to about one, by its own recent size."""
    r = rho * r + (1 - rho) * g**2
    spread = r
    if centred:
        mean = rho * mean + (1 - rho) * g
        spread = r - mean**2
    if epsilon == "inside":
        return g / sqrt(spread + eps), r, mean
    return g / (sqrt(spread) + eps), r, mean
