"""QHM: a weighted mean of a plain gradient step and a step of momentum."""

from typing import Annotated

from thalweg.formula import Direction, Fraction, Range, Update, Zeros, rule


@rule(
    title="Quasi-hyperbolic momentum",
    source="Ma and Yarats 2019, arXiv:1810.06801, eqs. 3 and 4",
    learning_rate=1.0,
    nu="0.7, the paper's rule of thumb",
    beta="0.999, the paper's rule of thumb",
    dialect="The average weighs the new gradient by 1 - beta, so that its rate is that of undamped momentum divided "
    "by 1 - beta. `nu=1` is the averaged heavy ball, `nu=0` gradient descent, `nu=beta` Nesterov momentum.",
    when="As momentum, with a long memory that does not delay the newest gradient.",
    translations=("Ma_and_Yarats_2019(α=lr, ν=nu, β=beta)",),
)
def qhm(
    g: Direction,
    m: Zeros,
    *,
    nu: Annotated[float, Range(0, 1, high_included=True)] = 0.7,
    beta: Fraction = 0.999,
) -> Update:
    """Follow the gradient for one part and its long average for the other."""
    m = beta * m + (1 - beta) * g
    return (1 - nu) * g + nu * m, m
