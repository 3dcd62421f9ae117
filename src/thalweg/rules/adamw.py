"""AdamW: Adam whose weights decay on their own, not through the gradient."""

from thalweg.formula import Direction, Fraction, NonNegative, Parameter, Step, Update, Zeros, rule, sqrt


@rule(
    title="AdamW",
    source="Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2",
    learning_rate=0.001,
    beta1="0.9, Algorithm 2",
    beta2="0.999, Algorithm 2",
    eps="1e-8, Algorithm 2",
    weight_decay="0.01, torch.optim.AdamW; the paper tunes it",
    dialect="torch's: the decay is multiplied by the learning rate, so that λ here is the paper's λ divided by its α.",
    when="As Adam, where weights should decay: transformers, and most training today. `chain(adam(), decay(λ), "
    "step(α))` is the same.",
    translations=(
        "torch.optim.AdamW(lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)",
        (
            "keras.optimizers.AdamW(learning_rate=lr, weight_decay=weight_decay, beta_1=beta1, beta_2=beta2, "
            "epsilon=eps * sqrt(1 - beta2**t)); default weight_decay=0.004, epsilon=1e-7; its epsilon is the paper's "
            "ε̂, and a constant, eps, is the same only in the long run"
        ),
        (
            "Loshchilov_and_Hutter_2019(α=lr, λ=lr * weight_decay, β1=beta1, β2=beta2, ε=eps); a schedule there "
            "multiplies α and λ"
        ),
        (
            "optax.adamw(learning_rate=lr, b1=beta1, b2=beta2, eps=eps, weight_decay=weight_decay); "
            "default weight_decay=1e-4"
        ),
    ),
)
def adamw(
    g: Direction,
    p: Parameter,
    m: Zeros,
    v: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
    weight_decay: NonNegative = 0.01,
) -> Update:
    """Follow Adam's direction, and shrink every weight by the same share."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return m_hat / (sqrt(v_hat) + eps) + weight_decay * p, m, v
