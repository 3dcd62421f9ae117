"""AdaMax: Adam with the largest recent gradient in place of the mean square."""

from typing import Literal

from thalweg.formula import Direction, Fraction, NonNegative, Step, Update, Zeros, maximum, rule


@rule(
    title="AdaMax",
    source="Kingma and Ba 2015, arXiv:1412.6980, Algorithm 2",
    learning_rate=0.002,
    beta1="0.9, Algorithm 2",
    beta2="0.999, Algorithm 2",
    eps="1e-8, torch.optim.Adamax; the paper has none and divides zero by zero where a gradient has always been zero",
    dialect="ε is added to the gradient's size before the maximum (`gradient`, torch) or to u in the division "
    "(`division`, Keras, optax).",
    when="With gradients that are sparse or have rare large values, which u remembers exactly.",
    translations=(
        "torch.optim.Adamax(lr=lr, betas=(beta1, beta2), eps=eps) where epsilon='gradient'",
        (
            "keras.optimizers.Adamax(learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps) where "
            "epsilon='division'; default learning_rate=0.001, epsilon=1e-7"
        ),
        "Kingma_and_Ba_2015(α=lr, β1=beta1, β2=beta2) where eps=0",
        "optax.adamax(learning_rate=lr, b1=beta1, b2=beta2, eps=eps)",
    ),
)
def adamax(
    g: Direction,
    m: Zeros,
    u: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
    epsilon: Literal["gradient", "division"] = "gradient",
) -> Update:
    """Follow the averaged gradient, each weight scaled by its largest recent gradient."""
    m = beta1 * m + (1 - beta1) * g
    m_hat = m / (1 - beta1**t)
    if epsilon == "gradient":
        u = maximum(beta2 * u, abs(g) + eps)
        return m_hat / u, m, u
    u = maximum(beta2 * u, abs(g))
    return m_hat / (u + eps), m, u
