"""Delta-bar-delta: each weight's rate rises by a little while its gradients agree, and is cut when they do not."""

from typing import Annotated, Literal

from thalweg.formula import (
    Direction,
    Displacement,
    Fraction,
    LearningRate,
    NonNegative,
    Positive,
    Scalar,
    State,
    Update,
    Zeros,
    maximum,
    minimum,
    rule,
    where,
)


@rule(
    title="Delta-bar-delta",
    source="Jacobs 1988, doi:10.1016/0893-6080(88)90003-2; with momentum Tieleman and Hinton 2012, Coursera, Neural "
    "Networks for Machine Learning, lecture 6.4",
    learning_rate=0.01,
    kappa="0.05, Hinton's lecture; Jacobs chooses it by problem",
    phi="0.05, Hinton's lecture; Jacobs chooses it by problem",
    theta="0.7, a usual value; Jacobs chooses it by problem",
    beta="0.9, as the heavy ball here; the lecture has no value",
    gain_min="0.1, Hinton's lecture",
    gain_max="10, Hinton's lecture",
    dialect="Each weight's rate is the learning rate times its gain, so that κ counts in learning rates. The gradient "
    "is held against the `average` of those before it (Jacobs, without bounds) or the `velocity` (the lecture, with "
    "bounds). A product of zero changes no gain.",
    when="With the whole data set in one batch, or large minibatches: in small ones the noise changes the signs.",
    translations=("Jacobs_1988(ε0=lr, κ=kappa * lr, φ=phi, θ=theta); while the rate is constant",),
)
def delta_bar_delta(
    g: Direction,
    gain: Annotated[Scalar, State(start=1.0)],
    g_bar: Zeros,
    v: Zeros,
    alpha: LearningRate,
    *,
    kappa: NonNegative = 0.05,
    phi: Fraction = 0.05,
    theta: Fraction = 0.7,
    beta: Fraction = 0.9,
    gain_min: NonNegative = 0.1,
    gain_max: Positive = 10.0,
    agreement: Literal["average", "velocity"] = "average",
) -> Update:
    """Add to a weight's gain where its gradient points as before, take a share of it where not."""
    agree = g * g_bar if agreement == "average" else -(g * v)
    gain = where(agree > 0, gain + kappa, where(agree < 0, (1 - phi) * gain, gain))
    if agreement == "average":
        g_bar = (1 - theta) * g + theta * g_bar
        return gain * g, gain, g_bar, v
    gain = minimum(maximum(gain, gain_min), gain_max)
    v = beta * v - alpha * gain * g
    return Displacement(v), gain, g_bar, v
