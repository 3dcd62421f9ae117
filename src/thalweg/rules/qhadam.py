"""QHAdam: Adam whose averages are each mixed with the newest gradient."""

from typing import Annotated

from thalweg.formula import Direction, Fraction, NonNegative, Range, Step, Update, Zeros, rule, sqrt


@rule(
    title="QHAdam",
    source="Ma and Yarats 2019, arXiv:1810.06801",
    learning_rate=0.001,
    nu1="0.8, the example of the authors' library, qhoptim, whose default is 1: Adam",
    nu2="1, qhoptim: the mean square is Adam's",
    beta1="0.99, the example of qhoptim, whose default is 0.9",
    beta2="0.999, qhoptim; as Adam",
    eps="1e-8, qhoptim; as Adam",
    dialect="ε outside the root. `nu1=1, nu2=1` is Adam, and `nu1=beta1` nearly NAdam, whose correction differs.",
    when="As Adam, with a longer memory; `nu2` below 1 bounds a single step where gradients are rare and large.",
    translations=("Ma_and_Yarats_2019(α=lr, ν1=nu1, ν2=nu2, β1=beta1, β2=beta2, ε=eps)",),
)
def qhadam(
    g: Direction,
    m: Zeros,
    v: Zeros,
    t: Step,
    *,
    nu1: Annotated[float, Range(0, 1, high_included=True)] = 0.8,
    nu2: Annotated[float, Range(0, 1, high_included=True)] = 1.0,
    beta1: Fraction = 0.99,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
) -> Update:
    """Follow a mixture of the gradient and its average, scaled by the root of a mixture of their squares."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return ((1 - nu1) * g + nu1 * m_hat) / (sqrt((1 - nu2) * g**2 + nu2 * v_hat) + eps), m, v
