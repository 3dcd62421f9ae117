"""ADOPT: Adam that scales a gradient by the squares before it, and averages afterwards."""

from thalweg.formula import (
    Direction,
    Fraction,
    Positive,
    Step,
    Update,
    Zeros,
    equal,
    maximum,
    minimum,
    rule,
    sqrt,
    where,
)


@rule(
    title="ADOPT",
    source="Taniguchi et al. 2024, arXiv:2411.02853, Algorithm 2 (with clipping)",
    learning_rate=0.001,
    beta1="0.9, the authors' code",
    beta2="0.9999, the authors' code",
    eps="1e-6, the authors' code",
    dialect="The clipped form, with the paper's bound of t^(1/4) on each element, as optax.contrib.adopt has it by "
    "default; another version of the authors' code has a falling ε in its place. The paper's g₀ is the first step's "
    "gradient, which only starts v; t counts from the step after.",
    when="As Adam, where Adam's beta2 needs care: it converges with any. The first step moves nothing.",
    translations=(
        "optax.contrib.adopt(learning_rate=lr, b1=beta1, b2=beta2, eps=eps)",
        "Taniguchi_et_al_2024(α=lr, β1=beta1, β2=beta2, ε=eps)",
    ),
)
def adopt(
    g: Direction,
    m: Zeros,
    v: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.9999,
    eps: Positive = 1e-6,
) -> Update:
    """Average gradients that are each scaled by the ones before it alone."""
    c = (t - 1) ** 0.25
    g_hat = minimum(maximum(g / maximum(sqrt(v), eps), -c), c)
    m = where(equal(t, 1), 0, beta1 * m + (1 - beta1) * g_hat)
    v = where(equal(t, 1), g**2, beta2 * v + (1 - beta2) * g**2)
    return m, m, v
