"""Clipping: no direction is longer than a limit, or no element of it larger."""

from typing import Literal

from thalweg.formula import Direction, NonNegative, Positive, Update, largest, maximum, minimum, norm, rule


@rule(
    title="Clipping by norm",
    source="Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, Algorithm 1",
    limit="1, customary; the paper takes half to ten times the usual norm",
    norm_eps="1e-6, torch.nn.utils.clip_grad_norm_, added to the norm; the paper has none",
    dialect="torch.nn.utils.clip_grad_norm_'s; with norm_eps=0 the paper's and optax's.",
    when="Before a rule, where single gradients are huge: recurrent networks, transformers, cliffs. It keeps the "
    "direction.",
)
def clip(
    g: Direction,
    *,
    limit: Positive = 1.0,
    norm_eps: NonNegative = 1e-6,
    per: Literal["model", "tensor"] = "model",
    kind: Literal["euclidean", "largest"] = "euclidean",
) -> Update:
    """Shorten the direction to a limit where it is longer: over all parameters together, or each tensor by itself."""
    length = norm(g, per=per) if kind == "euclidean" else largest(abs(g), per=per)
    return g * minimum(1, limit / (length + norm_eps))


@rule(
    title="Clipping by value",
    source="as torch.nn.utils.clip_grad_value_",
    limit="1, customary; torch has no default",
    when="Before a rule, against single huge gradients. It turns the direction, as clipping by norm would not.",
)
def clip_value(g: Direction, *, limit: Positive = 1.0) -> Update:
    """Cut every element off at the limit, above and below."""
    return minimum(maximum(g, -limit), limit)
