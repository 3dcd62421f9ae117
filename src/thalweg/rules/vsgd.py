"""vSGD: no learning rate to tune; each element's follows from its gradient's mean and variance and its curvature."""

from typing import Annotated

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
    source="Schaul, Zhang and LeCun 2013, arXiv:1206.1106, Algorithm 1 (vSGD-l)",
    learning_rate=1.0,
    samples="10, the first author's code",
    slow_start="2, the first author's code; the paper's C is a tenth of the number of parameters",
    eps="1e-9, the first author's code",
    dialect="The paper's, with a new estimate of the curvature at every step: `optimizer.estimate_curvature(loss)` "
    "before `loss.backward()`. The learning rate is a factor, 1 in the paper. The first `samples` steps begin the "
    "averages and do not move. The paper back-propagates the Gauss–Newton diagonal: `gauss_newton_bartlett(every=1)` "
    "samples it.",
    when="When there is no budget to tune a learning rate for SGD, and curvature is cheap. With gradients of single "
    "samples or small minibatches: it takes what differs between them for noise.",
)
def vsgd(
    g: Direction,
    h: Annotated[Scalar | None, CurvatureSlot(every=1)],
    g_bar: Zeros,
    v_bar: Zeros,
    h_bar: Zeros,
    tau: Annotated[Scalar, State(start="samples")],
    t: Step,
    *,
    samples: Annotated[float, Range(1)] = 10.0,
    slow_start: Positive = 2.0,
    eps: Positive = 1e-9,
) -> Update:
    """Step by the rate that is best for a quadratic with noise, and remember for longer where gradients disagree."""
    keep = where(t <= samples, 1 - 1 / t, 1 - 1 / tau)
    g_bar = keep * g_bar + (1 - keep) * g
    v_bar = keep * v_bar + (1 - keep) * g**2
    if h is not None:
        h_bar = keep * h_bar + (1 - keep) * abs(h)
    certainty = where(v_bar > 0, g_bar**2 / v_bar, 0)
    rate = where(t <= samples, 0, certainty / maximum(h_bar, eps))
    tau = where(t <= samples, tau, (1 - certainty) * tau + 1)
    boost = where((t <= samples) & (samples < t + 1), slow_start, 1)
    return rate * g, g_bar, boost * v_bar, boost * h_bar, tau
