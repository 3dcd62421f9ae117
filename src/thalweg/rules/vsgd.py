"""vSGD: no learning rate to tune; each element's follows from its gradient's mean and variance and its curvature."""

from typing import Annotated, Literal

from thalweg.formula import (
    CurvatureSlot,
    Direction,
    Positive,
    Range,
    Scalar,
    State,
    Step,
    Update,
    Zeros,
    maximum,
    rule,
    where,
)


@rule(
    title="vSGD",
    source="Schaul, Zhang and LeCun 2013, arXiv:1206.1106, Algorithm 1 (vSGD-l); with form='differences', Schaul and "
    "LeCun 2013, arXiv:1301.3764 (vSGD-fd)",
    learning_rate=1.0,
    samples="10, the first author's code",
    slow_start="2, the first author's code; the paper's C is a tenth of the number of parameters",
    outlier="2 standard deviations, arXiv:1301.3764; the first author's later code has 1",
    eps="1e-9, the first author's code",
    dialect="The paper's, with a new estimate of the curvature at every step: `optimizer.estimate_curvature(loss)` "
    "before `loss.backward()`. The learning rate is a factor, 1 in the paper. The first `samples` steps begin the "
    "averages and do not move. The paper back-propagates the Gauss–Newton diagonal: `gauss_newton_bartlett(every=1)` "
    "samples it. With form='differences' the curvature is that of `finite_difference()`, which needs one derivative "
    "only: its size relative to its mean square sets the rate, and a gradient or a curvature that is an outlier makes "
    "the memory longer. The gradient of a minibatch counts as one sample.",
    when="When there is no budget to tune a learning rate for SGD, and curvature is cheap. With gradients of single "
    "samples or small minibatches: it takes what differs between them for noise.",
)
def vsgd(
    g: Direction,
    h: Annotated[Scalar | None, CurvatureSlot(every=1)],
    g_bar: Zeros,
    v_bar: Zeros,
    h_bar: Zeros,
    q_bar: Zeros,
    tau: Annotated[Scalar, State(start="samples")],
    t: Step,
    *,
    samples: Annotated[float, Range(1)] = 10.0,
    slow_start: Positive = 2.0,
    outlier: Positive = 2.0,
    eps: Positive = 1e-9,
    form: Literal["curvature", "differences"] = "curvature",
) -> Update:
    """Step by the rate that is best for a quadratic with noise, and remember for longer where gradients disagree."""
    memory = tau
    if form == "differences":
        is_far = (g - g_bar) ** 2 > outlier**2 * (v_bar - g_bar**2)
        if h is not None:
            is_far = is_far | ((abs(h) - h_bar) ** 2 > outlier**2 * (q_bar - h_bar**2))
        memory = where((t > samples) & is_far, tau + 1, tau)
    keep = where(t <= samples, 1 - 1 / t, 1 - 1 / memory)
    g_bar = keep * g_bar + (1 - keep) * g
    v_bar = keep * v_bar + (1 - keep) * g**2
    if h is not None:
        h_bar = keep * h_bar + (1 - keep) * abs(h)
        if form == "differences":
            q_bar = keep * q_bar + (1 - keep) * h**2
    certainty = where(v_bar > 0, g_bar**2 / v_bar, 0)
    found = certainty / maximum(h_bar, eps)
    if form == "differences":
        found = certainty * (h_bar + eps) / (q_bar + eps)
    rate = where(t <= samples, 0, found)
    tau = where(t <= samples, tau, (1 - certainty) * memory + 1)
    boost = where((t <= samples) & (samples < t + 1), slow_start, 1)
    if form == "differences":
        q_bar = boost**2 * q_bar
    return rate * g, g_bar, boost * v_bar, boost * h_bar, q_bar, tau
