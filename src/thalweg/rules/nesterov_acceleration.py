"""Nesterov's acceleration: a gradient step, then on past it by a momentum that grows with the steps."""

from typing import Annotated

from thalweg.formula import AtParameter, Direction, LearningRate, Parameter, Position, Range, Step, Update, rule, sqrt


@rule(
    title="Nesterov's acceleration",
    source="Nesterov 1983; as Su, Boyd and Candès 2016, arXiv:1503.01243, eq. 1; for a strongly convex function "
    "Nesterov, Introductory Lectures on Convex Optimization, 2004, constant step scheme III (2.2.11)",
    learning_rate=0.01,
    kappa="none, a convex function that need not be strongly convex: k/(k + 3), k from 0. With the condition "
    "number κ, the constant (√κ - 1)/(√κ + 1)",
    dialect="The parameter is the point where the gradient is taken, the paper's y; the sequence of gradient steps is "
    "the state `x`. With a constant momentum it is Nesterov momentum whose first step has no jump.",
    when="On smooth convex functions with exact gradients, at a rate of one over the largest curvature. Noise is "
    "carried along by the growing momentum.",
    translations=(
        "Su_Boyd_and_Candès_2016(s=lr)",
        "Nesterov_2004(L=1 / lr, μ=1 / (lr * kappa))",
    ),
)
def nesterov_acceleration(
    g: Direction,
    p: Parameter,
    x: AtParameter,
    t: Step,
    alpha: LearningRate,
    *,
    kappa: Annotated[float, Range(1)] | None = None,
) -> Update:
    """Step down the gradient, then go on in the direction in which such steps have led."""
    beta = (t - 1) / (t + 2) if kappa is None else (sqrt(kappa) - 1) / (sqrt(kappa) + 1)
    x_new = p - alpha * g
    return Position(x_new + beta * (x_new - x)), x_new
