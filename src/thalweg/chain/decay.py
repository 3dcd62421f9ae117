"""Weight decay: a pull of every parameter towards zero."""

from thalweg.formula import Direction, NonNegative, Parameter, Update, rule


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
