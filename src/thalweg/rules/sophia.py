"""Sophia: momentum over the Hessian's diagonal, element by element no further than the learning rate."""

from typing import Literal

from thalweg.formula import Curvature, Direction, Fraction, Positive, Update, Zeros, maximum, minimum, rule


@rule(
    title="Sophia",
    source="Liu et al. 2023, arXiv:2305.14342, Algorithm 3",
    learning_rate=1e-3,
    beta1="0.96, Liu et al. 2023, section 3.1",
    beta2="0.99, Liu et al. 2023, section 3.1",
    gamma="0.01, Liu et al. 2023, section 3.1, for Sophia-H; give it 0.05 with `gauss_newton_bartlett()`, for Sophia-G",
    eps="1e-12, Liu et al. 2023, section 3.1",
    dialect="The paper's, epsilon='floor': max(γh, ε). epsilon='added' is the authors' code: γ·max(h, 0) + ε, with its "
    "ρ our `gamma` and ε = 1e-15. The paper decays weights by 0.2: put `decay(0.2)` behind it. A new estimate is "
    "averaged in before the step, every tenth time: `optimizer.estimate_curvature(loss)` before `loss.backward()`.",
    when="For language models: the paper needs half the steps of AdamW, each a little dearer.",
)
def sophia(
    g: Direction,
    h_new: Curvature,
    m: Zeros,
    h: Zeros,
    *,
    beta1: Fraction = 0.96,
    beta2: Fraction = 0.99,
    gamma: Positive = 0.01,
    eps: Positive = 1e-12,
    epsilon: Literal["floor", "added"] = "floor",
) -> Update:
    """Divide the average gradient by the average curvature, and move no element further than the learning rate."""
    m = beta1 * m + (1 - beta1) * g
    if h_new is not None:
        h = beta2 * h + (1 - beta2) * h_new
    scale = maximum(gamma * h, eps) if epsilon == "floor" else gamma * maximum(h, 0) + eps
    return maximum(minimum(m / scale, 1), -1), m, h
