"""Stages that stand first and decide about a whole call of `step`: add its gradients up, or leave it out."""

from typing import Literal

from thalweg.formula import Count, Direction, Skips, Update, Waits, Zeros, rule
from thalweg.formula.scalar import constant


@rule(
    title="Gradient accumulation",
    source="Ott et al. 2018, arXiv:1806.00187, which calls it cumul; as optax.MultiSteps",
    every="4, customary",
    dialect="reduction='mean' is that of optax.MultiSteps and of loss / 4 in a loop; 'sum' is that of losses which are "
    "added up as they are. A parameter that has no gradient in a call has one of zero there.",
    when="First in a chain, where the batch one wants does not fit: call zero_grad and step after every small one. All "
    "stages behind it, their schedules and step counts see the moves alone. `every` may follow a schedule, for batches "
    "that grow.",
    calls=Waits("every", meanwhile=lambda g, gathered: (gathered + g,)),
)
def accumulate(
    g: Direction, gathered: Zeros, *, every: Count = 4, reduction: Literal["mean", "sum"] = "mean"
) -> Update:
    """Move at every so many calls of `step`, by the mean of their gradients; between them, only add up."""
    gathered = gathered + g
    return gathered / every if reduction == "mean" else gathered, constant(0)


@rule(
    title="Skipping of gradients that are not finite",
    source="as optax.apply_if_finite",
    at_most="none: any number in a row",
    dialect="The same as Optimizer(…, nonfinite='skip'), which needs no stage. optax takes the bad gradient when there "
    "have been too many, here it is an error.",
    when="First in a chain, in mixed precision or where single batches are known to go wrong.",
    calls=Skips("at_most"),
)
def skip_nonfinite(g: Direction, *, at_most: Count | None = None) -> Update:  # noqa: ARG001  # the optimizer goes by it
    """Leave out a call of `step` with a NaN or an infinity in any gradient; fail after too many in a row."""
    return g
