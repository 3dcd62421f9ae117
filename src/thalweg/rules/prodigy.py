"""Prodigy: Adam that finds its own step size, by an estimate of the distance to the solution."""

from typing import Annotated

from thalweg.formula import (
    AtParameter,
    Direction,
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
    Step,
    Update,
    Zeros,
    equal,
    maximum,
    minimum,
    rule,
    sqrt,
    total,
    where,
)


@rule(
    title="Prodigy",
    source="Mishchenko and Defazio 2023, arXiv:2306.06101, Algorithm 4",
    learning_rate=1.0,
    beta1="0.9, Mishchenko and Defazio 2023, Algorithm 4",
    beta2="0.999, Mishchenko and Defazio 2023, Algorithm 4",
    beta3="None, √β₂, Mishchenko and Defazio 2023, Algorithm 4",
    eps="1e-8, Mishchenko and Defazio 2023, Algorithm 4",
    weight_decay="0, the authors' code; decoupled",
    d0="1e-6, Mishchenko and Defazio 2023, Algorithm 4",
    d_coef="1, the authors' code",
    growth_rate="None, the authors' code: the estimate may grow at once",
    dialect="The authors' code, prodigyopt, whose ε is multiplied by the new distance. A step at rate zero counts.",
    when="When there is no budget to tune Adam's learning rate: fine-tuning, diffusion models. Give it a schedule "
    "around 1, with `bias_correction` and `safeguard_warmup` where that begins near 0.",
)
def prodigy(
    g: Direction,
    p: Parameter,
    x0: AtParameter,
    m: Zeros,
    v: Zeros,
    s: Zeros,
    d: Annotated[Scalar, State(start="d0", level=Level.MODEL)],
    d_max: Annotated[Scalar, State(start="d0", level=Level.MODEL)],
    r: ModelZeros,
    t: Step,
    alpha: LearningRate,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    beta3: Fraction | None = None,
    eps: NonNegative = 1e-8,
    weight_decay: NonNegative = 0.0,
    d0: Positive = 1e-6,
    d_coef: Positive = 1.0,
    growth_rate: Annotated[float, Range(1)] | None = None,
    bias_correction: bool = False,
    safeguard_warmup: bool = False,
) -> Update:
    """Scale as Adam does, with every gradient weighted by the distance estimated so far, and step by that distance."""
    kept = sqrt(beta2) if beta3 is None else beta3
    rate = d * alpha * (sqrt(1 - beta2**t) / (1 - beta1**t) if bias_correction else 1)
    weight = d / d0
    r = kept * r + weight * rate * total(g * (x0 - p), per="model")
    m = beta1 * m + (1 - beta1) * d * g
    v = beta2 * v + (1 - beta2) * d**2 * g**2
    s = kept * s + weight * (d if safeguard_warmup else rate) * g
    size = total(abs(s), per="model")
    d_hat = where(size > 0, d_coef * r / size, 0)
    if growth_rate is None:
        d_new = maximum(d, d_hat)
    else:
        d_max = maximum(d_max, d_hat)
        d_new = minimum(d_max, where(equal(d, d0), maximum(d, d_hat), d) * growth_rate)
    x = p - rate * weight_decay * p - rate * m / (sqrt(v) + d_new * eps)
    return Position(x), x0, m, v, s, d_new, d_max, r
