"""Adan: Adam with Nesterov's momentum, estimated from the difference of successive gradients."""

from thalweg.formula import (
    Direction,
    Fraction,
    LearningRate,
    NonNegative,
    Parameter,
    Position,
    Step,
    Update,
    Zeros,
    equal,
    rule,
    sqrt,
    where,
)


@rule(
    title="Adan",
    source="Xie et al. 2022, arXiv:2208.06677, Algorithm 1; corrected for the start at zero as the authors' code",
    learning_rate=0.001,
    beta1="0.98, the authors' code; the paper's β₁ is 1 minus it, 0.02",
    beta2="0.92, the authors' code; the paper's β₂ is 1 minus it, 0.08",
    beta3="0.99, the authors' code; the paper's β₃ is 1 minus it, 0.01",
    eps="1e-8, the authors' code",
    weight_decay="none, as the authors' code, whose default is 0; where it is given it is the paper's proximal one",
    dialect="A β is the weight of the old value, as in the authors' code and in Adam; in the paper, of the new. "
    "The averages start at zero and are corrected (the code), not at the first gradient (the paper). "
    "`weight_decay=λ` divides the new parameter by 1 + αλ; the code's `no_prox` is `chain(adan(), decay(λ), step(α))`. "
    "optax.adan has 1 - beta2 where beta2 stands before a difference here.",
    when="With large batches and transformers; it stands rates several times Adam's, and keeps four states.",
    translations=(
        (
            "Xie_et_al_2022(η=lr, β1=1 - beta1, β2=1 - beta2, β3=1 - beta3, ε=eps, λ=weight_decay); its averages "
            "start at the first gradient, uncorrected"
        ),
    ),
)
def adan(
    g: Direction,
    p: Parameter,
    m: Zeros,
    v: Zeros,
    n: Zeros,
    g_prev: Zeros,
    t: Step,
    alpha: LearningRate,
    *,
    beta1: Fraction = 0.98,
    beta2: Fraction = 0.92,
    beta3: Fraction = 0.99,
    eps: NonNegative = 1e-8,
    weight_decay: NonNegative | None = None,
) -> Update:
    """Look ahead along the averaged gradient and its averaged change, each weight scaled as in Adam."""
    change = where(equal(t, 1), 0, g - g_prev)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * change
    n = beta3 * n + (1 - beta3) * (g + beta2 * change) ** 2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    n_hat = n / (1 - beta3**t)
    d = (m_hat + beta2 * v_hat) / (sqrt(n_hat) + eps)
    if weight_decay is None:
        return d, m, v, n, g
    return Position((p - alpha * d) / (1 + alpha * weight_decay)), m, v, n, g
