"""LARS: every tensor's step is a share of the tensor's own norm."""

from thalweg.formula import (
    Direction,
    Displacement,
    Fraction,
    LearningRate,
    NonNegative,
    Parameter,
    Positive,
    Update,
    Zeros,
    norm,
    rule,
    where,
)


@rule(
    title="LARS",
    source="You, Gitman and Ginsburg 2017, arXiv:1708.03888, Algorithm 1",
    learning_rate=1.0,
    beta="0.9, You et al. 2017, section 5",
    weight_decay="5e-4, You et al. 2017, section 5",
    trust="1e-3, You et al. 2017, section 5; the trust coefficient η",
    dialect="The paper's: both rates stand inside the momentum, and decay inside the norm's sum. The ratio is 1 where "
    "the tensor or its gradient is zero, of which the paper says nothing.",
    when="Convolutional networks with batches of thousands. Leave norms and biases to a chain of their own.",
)
def lars(
    g: Direction,
    p: Parameter,
    v: Zeros,
    alpha: LearningRate,
    *,
    beta: Fraction = 0.9,
    weight_decay: NonNegative = 5e-4,
    trust: Positive = 1e-3,
) -> Update:
    """Scale each tensor's gradient to a share of the tensor's norm, and add momentum."""
    p_norm = norm(p, per="tensor")
    g_norm = norm(g, per="tensor")
    ratio = where((p_norm > 0) & (g_norm > 0), trust * p_norm / (g_norm + weight_decay * p_norm), 1)
    v = beta * v + alpha * ratio * (g + weight_decay * p)
    return Displacement(-v), v
