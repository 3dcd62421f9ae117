"""Clipping: no element of the direction is larger than a limit."""

from thalweg.formula import Direction, Positive, Update, maximum, minimum, rule


@rule(
    title="Clipping by value",
    source="as torch.nn.utils.clip_grad_value_",
    limit="1, customary; torch has no default",
    when="Before a rule, against single huge gradients. It turns the direction, as clipping by norm would not.",
)
def clip_value(g: Direction, *, limit: Positive = 1.0) -> Update:
    """Cut every element off at the limit, above and below."""
    return minimum(maximum(g, -limit), limit)
