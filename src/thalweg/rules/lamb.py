"""LAMB: Adam's direction, scaled to the norm of each tensor."""

from thalweg.formula import (
    Direction,
    Fraction,
    NonNegative,
    Parameter,
    Positive,
    Step,
    Update,
    Zeros,
    minimum,
    norm,
    rule,
    sqrt,
    where,
)


@rule(
    title="LAMB",
    source="You et al. 2020, arXiv:1904.00962, Algorithm 2",
    learning_rate=1e-3,
    beta1="0.9, You et al. 2020, appendix",
    beta2="0.999, You et al. 2020, appendix",
    eps="1e-6, You et al. 2020, appendix",
    weight_decay="0.01, You et al. 2020, section 4",
    norm_max="None, the identity for φ; the paper lets φ be any function with bounds, and some programs have 10",
    bias_correction="True, Algorithm 2; the paper finds that a warm-up of the rate does as well",
    dialect="The paper's, with φ the identity. The ratio is 1 where the tensor or its direction is zero, of which the "
    "paper says nothing.",
    when="Transformers with batches of thousands. Leave norms and biases to a chain of their own.",
    translations=(
        (
            "keras.optimizers.Lamb(learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps) where weight_decay=0; "
            "default epsilon=1e-7; its own weight_decay stays out of the norm"
        ),
        "You_et_al_2020(η=lr, β1=beta1, β2=beta2, λ=weight_decay, ε=eps)",
        (
            "optax.lamb(learning_rate=lr, b1=beta1, b2=beta2, eps=eps, weight_decay=weight_decay); default "
            "weight_decay=0.0"
        ),
    ),
)
def lamb(
    g: Direction,
    p: Parameter,
    m: Zeros,
    v: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-6,
    weight_decay: NonNegative = 0.01,
    norm_max: Positive | None = None,
    bias_correction: bool = True,
) -> Update:
    """Take Adam's direction with the decay added, and give it the length of the tensor that it moves."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t) if bias_correction else m
    v_hat = v / (1 - beta2**t) if bias_correction else v
    u = m_hat / (sqrt(v_hat) + eps) + weight_decay * p
    p_norm = norm(p, per="tensor")
    u_norm = norm(u, per="tensor")
    phi = p_norm if norm_max is None else minimum(p_norm, norm_max)
    ratio = where((p_norm > 0) & (u_norm > 0), phi / u_norm, 1)
    return ratio * u, m, v
