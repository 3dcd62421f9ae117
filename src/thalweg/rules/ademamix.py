"""AdEMAMix: Adam with a second, far slower average of the gradient beside the first."""

from typing import Annotated

from thalweg.formula import (
    Direction,
    Fraction,
    NonNegative,
    Positive,
    Range,
    Scalar,
    Step,
    Update,
    Zeros,
    exp,
    log,
    minimum,
    rule,
    sqrt,
)


@rule(
    title="AdEMAMix",
    source="Pagliardini, Ablin and Grangier 2024, arXiv:2409.03137, Algorithm 1",
    learning_rate=0.001,
    beta1="0.9, the authors' code; as Adam",
    beta2="0.999, the authors' code; as Adam",
    beta3="0.9999, the authors' code",
    alpha_slow="2, the authors' code; the paper's α, which finds 4 to 10 to work well; optax.contrib.ademamix has 5",
    eps="1e-8, the authors' code",
    alpha_warmup="none, as the authors' code; the paper's T, over which alpha_slow grows from 0 in a straight line",
    beta3_warmup="none, as the authors' code; the paper's T, over which beta3's half-life grows in a straight line",
    beta_start="0.9, where beta3's warm-up begins: the default of beta1, which the authors' code takes for it",
    dialect="Without the decay that Algorithm 1 adds: `chain(ademamix(), decay(λ), step(α))` has it. The slow average "
    "is not corrected for its start. Other warm-ups are schedules of `alpha_slow` and `beta3`.",
    when="In long runs, of tens of thousands of steps, for which old gradients still count; warm both up over the "
    "whole run, or the slow average may diverge early. In short runs a smaller `beta3`.",
    translations=(
        (
            "Pagliardini_Ablin_and_Grangier_2024(η=lr, β1=beta1, β2=beta2, β3=beta3, α=alpha_slow, ε=eps, "
            "T_α=alpha_warmup, T_β3=beta3_warmup, β_start=beta_start)"
        ),
        (
            "optax.contrib.ademamix(learning_rate=lr, b1=beta1, b2=beta2, b3=beta3, alpha=alpha_slow, eps=eps, "
            "weight_decay=0.0); default alpha=5.0"
        ),
    ),
)
def ademamix(
    g: Direction,
    m1: Zeros,
    m2: Zeros,
    v: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    beta3: Annotated[float, Range(0, 1, low_included=False)] = 0.9999,
    alpha_slow: NonNegative = 2.0,
    eps: NonNegative = 1e-8,
    alpha_warmup: Positive | None = None,
    beta3_warmup: Positive | None = None,
    beta_start: Annotated[float, Range(0, 1, low_included=False)] = 0.9,
) -> Update:
    """Follow a quick and a very slow average of the gradient together, each weight scaled as in Adam."""
    alpha_t: Scalar | float = alpha_slow
    beta3_t: Scalar | float = beta3
    if alpha_warmup is not None:
        alpha_t = minimum(t / alpha_warmup, 1) * alpha_slow
    if beta3_warmup is not None:
        share = minimum(t / beta3_warmup, 1)
        beta3_t = exp(log(beta_start) * log(beta3) / ((1 - share) * log(beta3) + share * log(beta_start)))
    m1 = beta1 * m1 + (1 - beta1) * g
    m2 = beta3_t * m2 + (1 - beta3_t) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m1 / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return (m_hat + alpha_t * m2) / (sqrt(v_hat) + eps), m1, m2, v
