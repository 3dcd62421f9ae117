"""L1 terms: a pull of every parameter towards zero that is as strong near zero as far from it."""

from thalweg.formula import Direction, Moved, NonNegative, Parameter, Position, Update, maximum, rule, sign


@rule(
    title="L1 regularisation",
    source="Tibshirani 1996, J. R. Stat. Soc. B 58:267, as a term λ‖p‖₁ of the loss; its subgradient is 0 where p is",
    weight="0.01, as `decay`'s; customary values lie far apart",
    dialect="As tf.keras.regularizers.L1 adds to the loss: before a rule, scaled as the gradient is; after it, "
    "multiplied by the learning rate alone.",
    when="Where many weights should be small. They come near zero and swing about it; with `soft_threshold` behind the "
    "step they are zero.",
)
def l1(g: Direction, p: Parameter, *, weight: NonNegative = 0.01) -> Update:
    """Add the parameter's sign, weighted, to the direction."""
    return g + weight * sign(p)


@rule(
    title="Soft threshold",
    source="the proximal step for λ‖p‖₁: Daubechies, Defrise and De Mol 2004, doi:10.1002/cpa.20042 (ISTA); Duchi and "
    "Singer 2009, J. Mach. Learn. Res. 10:2899 (FOBOS)",
    weight="1e-5, which is 0.01 at a rate of 1e-3; what the papers call the step size times λ",
    dialect="The weight is not multiplied by the learning rate: give both one schedule where the term's weight is to "
    "stay.",
    when="Behind the step, for weights that are exactly zero.",
)
def soft_threshold(moved: Moved, *, weight: NonNegative = 1e-5) -> Update:
    """Bring the moved parameter nearer to zero by the weight, and no farther than to zero."""
    return Position(sign(moved) * maximum(abs(moved) - weight, 0))
