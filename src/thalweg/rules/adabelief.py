"""AdaBelief: Adam that divides by how far gradients fall from their average, not by their size."""

from thalweg.formula import Direction, Fraction, NonNegative, Step, Update, Zeros, rule, sqrt


@rule(
    title="AdaBelief",
    source="Zhuang et al. 2020, arXiv:2010.07468, Algorithm 2",
    learning_rate=0.001,
    beta1="0.9, as Adam",
    beta2="0.999, as Adam",
    eps="1e-8, the paper; the authors' adabelief-pytorch and optax have 1e-16",
    dialect="The same ε is added to s at every step, where it accumulates, and to the root, as Algorithm 2; optax has "
    "two. Without the rectification that adabelief-pytorch switches on by default.",
    when="As Adam, where gradients are steady: it takes larger steps there. ε matters more than in Adam, since s is "
    "small where Adam's v is not.",
    translations=(
        (
            "optax.adabelief(learning_rate=lr, b1=beta1, b2=beta2, eps=eps, eps_root=eps); "
            "default eps=1e-16, eps_root=1e-16"
        ),
        "Zhuang_et_al_2020(α=lr, β1=beta1, β2=beta2, ε=eps)",
    ),
)
def adabelief(
    g: Direction,
    m: Zeros,
    s: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
) -> Update:
    """Follow the averaged gradient, far where the gradient is as expected, and carefully where it is not."""
    m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
    m_hat = m / (1 - beta1**t)
    s_hat = s / (1 - beta2**t)
    return m_hat / (sqrt(s_hat) + eps), m, s
