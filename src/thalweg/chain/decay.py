"""Weight decay: a pull of every parameter towards zero."""

from thalweg.formula import Direction, Moved, NonNegative, Parameter, Position, Update, rule


@rule(
    title="Weight decay",
    source="after a rule: Loshchilov and Hutter 2019, arXiv:1711.05101 (decoupled); before it: L2 "
    "regularisation, Krogh and Hertz 1991",
    weight="0.01, torch.optim.AdamW's",
    dialect="torch's: a decoupled decay is multiplied by the learning rate.",
    when="After an adaptive rule it is decoupled, which is nearly always what one wants; before it, it is the "
    "gradient of ½λ‖p‖² and is scaled with the gradient.",
)
def decay(g: Direction, p: Parameter, *, weight: NonNegative = 0.01) -> Update:
    """Add the parameter itself, weighted, to the direction; where it stands in the chain decides what it means."""
    return g + weight * p


@rule(
    title="Fully decoupled weight decay",
    source="Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithms 1 and 2",
    weight="1e-5, which is 0.01 at a rate of 1e-3; what the paper calls η_t·λ",
    dialect="The paper's: the decay is not multiplied by the learning rate, and has a schedule of its own. With one "
    "η_t for both, write step(α·η) and decoupled_decay(λ·η).",
    when="Behind the step, so that the best weight does not depend on the learning rate.",
)
def decoupled_decay(moved: Moved, p: Parameter, *, weight: NonNegative = 1e-5) -> Update:
    """Take a share of the parameter away, whatever the learning rate is."""
    return Position(moved - weight * p)
