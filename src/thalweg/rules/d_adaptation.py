"""D-Adaptation: SGD and Adam that estimate how far the solution is, and step accordingly."""

from typing import Annotated

from thalweg.formula import (
    AtParameter,
    Direction,
    Displacement,
    Fraction,
    LearningRate,
    Level,
    ModelZeros,
    NonNegative,
    Parameter,
    Position,
    Positive,
    Range,
    Scalar,
    State,
    Update,
    Zeros,
    maximum,
    minimum,
    norm,
    rule,
    sqrt,
    total,
    where,
)

_SOURCE = "Defazio and Mishchenko 2023, arXiv:2301.07733"
Distance = Annotated[Scalar, State(start="d0", level=Level.MODEL)]
Growth = Annotated[float, Range(1)]


@rule(
    title="SGD with D-Adaptation",
    source=f"{_SOURCE}, Algorithm 4",
    learning_rate=1.0,
    beta="0.9, Defazio and Mishchenko 2023, section 6",
    d0="1e-6, Defazio and Mishchenko 2023, section 6; any value below the true distance does",
    growth_rate="None, the authors' code: the estimate may grow at once; 1.02 makes it a warm-up",
    when="When there is no budget to tune a learning rate; give it a schedule around 1. Prodigy finds the distance "
    "in fewer steps.",
    dialect="The paper's. Nothing moves until a gradient differs from zero, by whose norm the rate is divided.",
)
def d_adapt_sgd(
    g: Direction,
    p: Parameter,
    x0: AtParameter,
    s: Zeros,
    d: Distance,
    numerator: ModelZeros,
    g0_norm: ModelZeros,
    alpha: LearningRate,
    *,
    beta: Fraction = 0.9,
    d0: Positive = 1e-6,
    growth_rate: Growth | None = None,
) -> Update:
    """Average all gradients from the start on, and let the distance's estimate from them set the rate."""
    g0_norm = where(g0_norm > 0, g0_norm, norm(g, per="model"))
    rate = where(g0_norm > 0, d * alpha / g0_norm, 0)
    numerator = numerator + rate * total(g * s, per="model")
    s = s + rate * g
    x = beta * p + (1 - beta) * (x0 - s)
    d = _grown(d, 2 * numerator, norm(s, per="model"), growth_rate)
    return Position(where(g0_norm > 0, x, p)), x0, s, d, numerator, g0_norm


@rule(
    title="Adam with D-Adaptation",
    source=f"{_SOURCE}, Algorithm 5",
    learning_rate=1.0,
    beta1="0.9, Defazio and Mishchenko 2023, section 6",
    beta2="0.999, Defazio and Mishchenko 2023, section 6",
    eps="1e-8, Defazio and Mishchenko 2023, section 6",
    d0="1e-6, Defazio and Mishchenko 2023, section 6; any value below the true distance does",
    growth_rate="None, the authors' code: the estimate may grow at once; 1.02 makes it a warm-up",
    when="When there is no budget to tune a learning rate; give it a schedule around 1. Prodigy finds the distance "
    "in fewer steps.",
    dialect="The paper's, without bias correction; the authors' code weighs the scalar product with the second moment "
    "of the step before.",
)
def d_adapt_adam(
    g: Direction,
    m: Zeros,
    v: Zeros,
    s: Zeros,
    d: Distance,
    r: ModelZeros,
    alpha: LearningRate,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
    d0: Positive = 1e-6,
    growth_rate: Growth | None = None,
) -> Update:
    """Scale as Adam does, and let the distance's estimate set the rate."""
    rate = d * alpha
    m = beta1 * m + (1 - beta1) * rate * g
    v = beta2 * v + (1 - beta2) * g**2
    root = sqrt(beta2)
    r = root * r + (1 - root) * rate * total(g * s / (sqrt(v) + eps), per="model")
    s = root * s + (1 - root) * rate * g
    d = _grown(d, r, (1 - root) * total(abs(s), per="model"), growth_rate)
    return Displacement(-m / (sqrt(v) + eps)), m, v, s, d, r


def _grown(d: Scalar, above: Scalar, below: Scalar, growth_rate: float | None) -> Scalar:
    """The distance's estimate, which never falls."""
    found = above / below
    grown = found if growth_rate is None else minimum(found, d * growth_rate)
    return where(below > 0, maximum(d, grown), d)
