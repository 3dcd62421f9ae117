"""Nesterov momentum, as a change of variables and as torch has it."""

from typing import Literal

from thalweg.formula import Direction, Displacement, Fraction, LearningRate, Update, Zeros, rule


@rule(
    title="Nesterov momentum",
    source="Nesterov 1983; for networks Sutskever et al. 2013 (ICML), with Bengio et al.'s change of variables, "
    "arXiv:1212.0901",
    learning_rate=0.01,
    beta="0.9, as Sutskever et al. 2013 begin with recurrent networks; they go up to .995 there, and to .999 elsewhere",
    dialect="`shifted` is the look-ahead form seen at the look-ahead point, which is what is stored as the "
    "parameter; `torch` has the learning rate outside the velocity. The two agree while the rate is constant.",
    when="As heavy ball, with less overshoot: the gradient is taken where the velocity leads.",
    translations=(
        (
            "torch.optim.SGD(lr=lr, momentum=beta, nesterov=True) where form='shifted'; default lr=0.001, momentum=0; "
            "while the rate is constant"
        ),
        "torch.optim.SGD(lr=lr, momentum=beta, nesterov=True) where form='torch'",
        (
            "keras.optimizers.SGD(learning_rate=lr, momentum=beta, nesterov=True) where form='shifted'; default "
            "momentum=0"
        ),
        (
            "keras.optimizers.SGD(learning_rate=lr, momentum=beta, nesterov=True) where form='torch'; while the rate "
            "is constant"
        ),
        "Sutskever_et_al_2013(ε=lr, μ=beta); our parameter is its θ + μv, where it takes the gradient",
        "optax.sgd(learning_rate=lr, momentum=beta, nesterov=True) where form='torch'; default momentum=None",
    ),
)
def nesterov(
    g: Direction,
    v: Zeros,
    alpha: LearningRate,
    *,
    beta: Fraction = 0.9,
    form: Literal["shifted", "torch"] = "shifted",
) -> Update:
    """Jump with the velocity first, then correct by the gradient found there."""
    if form == "shifted":
        v_new = beta * v - alpha * g
        return Displacement(v_new + beta * (v_new - v)), v_new
    v = beta * v + g
    return g + beta * v, v
