"""Yogi: Adam whose mean square changes by addition, so that it cannot forget at once."""

from typing import Annotated

from thalweg.formula import Direction, Fraction, NonNegative, Scalar, State, Step, Update, Zeros, rule, sign, sqrt


@rule(
    title="Yogi",
    source="Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization (NeurIPS), Algorithm 2",
    learning_rate=0.01,
    beta1="0.9, as Adam; optax.yogi, TensorFlow Federated",
    beta2="0.999, as Adam; optax.yogi, TensorFlow Federated",
    eps="1e-3, optax.yogi, TensorFlow Federated",
    v0="1e-6, optax.yogi, TensorFlow Federated",
    dialect="As Algorithm 2, without correction for the start; `bias_correction=True` divides m and v as Adam does "
    "(optax, TensorFlow Federated; optax starts m at 1e-6 too).",
    when="As Adam, where gradients are rare: v changes by no more than (1 - beta2)g² a step, however large it is. "
    "Its rate is about ten times Adam's.",
    translations=("Zaheer_et_al_2018(η=lr, β1=beta1, β2=beta2, ε=eps) where v0=0",),
)
def yogi(
    g: Direction,
    m: Zeros,
    v: Annotated[Scalar, State(start="v0")],
    t: Step,
    *,
    beta1: Fraction = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-3,
    v0: NonNegative = 1e-6,
    bias_correction: bool = False,
) -> Update:
    """Follow the averaged gradient, each weight scaled by a square that moves toward the newest one in small steps."""
    m = beta1 * m + (1 - beta1) * g
    v = v - (1 - beta2) * sign(v - g**2) * g**2
    m_hat, v_hat = m, v
    if bias_correction:
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
    return m_hat / (sqrt(v_hat) + eps), m, v
