"""Adam: running averages of the gradient and of its square, corrected for their start at zero."""

from typing import Literal

from thalweg.formula import Direction, Fraction, NonNegative, Step, Update, Zeros, maximum, rule, sqrt


@rule(
    title="Adam",
    source="Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1; AMSGrad: Reddi, Kale and Kumar 2018, arXiv:1904.09237",
    learning_rate=0.001,
    beta1="0.9, Algorithm 1",
    beta2="0.999, Algorithm 1; Kao's lecture has .99 in its code",
    eps="1e-8, Algorithm 1; Kao's lecture has 1e-7",
    dialect="ε `outside` the root (the paper, torch), `inside` it, or as the paper's ε̂ (`hat`: its section 2; Keras, "
    "torch.optim.SparseAdam) beside the root of v before its correction; `bias_correction=False` as Kao's lecture "
    "first shows it; `amsgrad=True` as torch has it: the largest v so far, corrected for its start as v is.",
    when="The robust first choice for most networks; try AdamW where weights should decay.",
    translations=(
        "torch.optim.Adam(lr=lr, betas=(beta1, beta2), eps=eps, amsgrad=amsgrad)",
        (
            "keras.optimizers.Adam(learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps * sqrt(1 - beta2**t), "
            "amsgrad=amsgrad); default epsilon=1e-7; its epsilon is the paper's ε̂, and a constant, eps, is the same "
            "only in the long run"
        ),
        "Kingma_and_Ba_2015(α=lr, β1=beta1, β2=beta2, ε=eps)",
        "Reddi_Kale_and_Kumar_2018(α=lr, β1=beta1, β2=beta2) where amsgrad=True, bias_correction=False, eps=0",
        "optax.adam(learning_rate=lr, b1=beta1, b2=beta2, eps=eps)",
    ),
)
def adam(
    g: Direction,
    m: Zeros,
    v: Zeros,
    v_max: Zeros,
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
    epsilon: Literal["outside", "inside", "hat"] = "outside",
    bias_correction: bool = True,
    amsgrad: bool = False,
) -> Update:
    """Follow the averaged gradient, each weight scaled by the root of its averaged square."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    if amsgrad:
        v_max = maximum(v_max, v)
    m_hat, v_hat = m, v_max if amsgrad else v
    if epsilon == "hat" and bias_correction:
        return sqrt(1 - beta2**t) / (1 - beta1**t) * m_hat / (sqrt(v_hat) + eps), m, v, v_max
    if bias_correction:
        m_hat = m_hat / (1 - beta1**t)
        v_hat = v_hat / (1 - beta2**t)
    if epsilon == "inside":
        return m_hat / sqrt(v_hat + eps), m, v, v_max
    return m_hat / (sqrt(v_hat) + eps), m, v, v_max
