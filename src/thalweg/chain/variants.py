"""Stages that make a variant of any rule: what stands before it or behind it and changes how it sees gradients."""

from typing import Literal

from thalweg.formula import (
    Direction,
    Fraction,
    Gradient,
    NonNegative,
    Step,
    Update,
    Zeros,
    equal,
    maximum,
    mean,
    norm,
    rule,
    total,
    where,
)


@rule(
    title="Cautious variant",
    source="Liang et al. 2024, arXiv:2411.16085, Algorithm 1",
    dialect="The authors' later code and timm's, scale='mean': what is left is divided by the share that is left, but "
    "by no less than 1e-3. scale='count' is the paper's n/(k + 1). Decay after it is not masked.",
    when="Behind a rule with momentum, for a faster start: chain(adam(), cautious(), step(1e-3)).",
)
def cautious(d: Direction, g: Gradient, *, scale: Literal["mean", "count"] = "mean") -> Update:
    """Leave out the elements whose direction goes against their gradient, and lengthen the others."""
    mask = where(d * g > 0, 1, 0)
    if scale == "count":
        return d * mask * total(1, per="tensor") / (total(mask, per="tensor") + 1)
    return d * mask / maximum(mean(mask, per="tensor"), 1e-3)


@rule(
    title="MARS",
    source="Yuan et al. 2024, arXiv:2411.10438, Algorithm 1",
    beta1="0.95, Yuan et al. 2024, section 4; give the rule behind it the same",
    gamma="0.025, Yuan et al. 2024, section 4",
    dialect="The paper's approximate form: the gradient of the step before stands for that of this step's sample. "
    "The authors' code takes zero for it at the first step, here it is the gradient itself.",
    when="Before a rule with momentum, against noise: chain(mars(), adam(beta1=0.95, beta2=0.99), decay(), step(3e-3))."
    " The authors give vectors plain AdamW: mars(skip=('norm', 'bias', 'vector')).",
)
def mars(g: Direction, g_before: Zeros, t: Step, *, beta1: Fraction = 0.95, gamma: NonNegative = 0.025) -> Update:
    """Add the gradient's own change to it, and shorten each tensor's to length 1 where it is longer."""
    change = where(equal(t, 1), 0, g - g_before)
    c = g + gamma * beta1 / (1 - beta1) * change
    return c / maximum(1, norm(c, per="tensor")), g
