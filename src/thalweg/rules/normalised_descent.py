"""Normalised steepest descent: a step of a fixed length down the gradient."""

from typing import Literal

from thalweg.formula import Direction, Update, norm, rule, where


@rule(
    title="Normalised gradient descent",
    source="Nesterov 1984, Minimization methods for nonsmooth convex and quasiconvex functions; Hazan, Levy and "
    "Shalev-Shwartz 2015, arXiv:1507.02030",
    learning_rate=0.1,
    dialect="The deck's, with per='model': one norm over all parameters; per='tensor' takes each parameter by itself.",
    when="Where gradients are very small or very large for long stretches: plateaus and cliffs. It needs a rate that "
    "falls, since it never slows down by itself.",
)
def normalised_descent(g: Direction, *, per: Literal["model", "tensor"] = "model") -> Update:
    """Step as far as the learning rate says, whatever the gradient's length; a zero gradient does not move."""
    length = norm(g, per=per)
    return where(length > 0, g / length, 0)
