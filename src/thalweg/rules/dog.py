"""DoG: no learning rate to tune; the step is the distance travelled over the gradients seen."""

from typing import Annotated, Literal

from thalweg.formula import (
    AtParameter,
    Direction,
    Level,
    NonNegative,
    Parameter,
    Positive,
    Scalar,
    State,
    Step,
    Update,
    equal,
    maximum,
    norm,
    rule,
    sqrt,
    total,
    where,
)


@rule(
    title="DoG",
    source="Ivgi, Hinder and Carmon 2023, arXiv:2302.12022, equation (DoG)",
    learning_rate=1.0,
    r_rel="1e-6, the authors' code, times 1 + ‖x₀‖; they take 1e-4 with batch normalisation",
    eps="1e-8, the authors' code",
    dialect="The paper's: distance and gradients over all parameters. The learning rate is a factor, 1 in the paper.",
    when="When there is no budget to tune a learning rate for SGD. The paper evaluates an average of the points: put "
    "one behind the step.",
    translations=("optax.contrib.dog(learning_rate=lr, init_step=('heuristic', r_rel), eps=eps)",),
)
def dog(
    g: Direction,
    p: Parameter,
    x0: AtParameter,
    r: Annotated[Scalar, State(level=Level.MODEL)],
    squares: Annotated[Scalar, State(start="eps", level=Level.MODEL)],
    t: Step,
    *,
    r_rel: Positive = 1e-6,
    eps: NonNegative = 1e-8,
) -> Update:
    """Step by the greatest distance from the start, over the root of the sum of all squared gradients."""
    return _distance_over_gradients(g, p, x0, r, squares, t, r_rel, per="model")


@rule(
    title="LDoG",
    source="Ivgi, Hinder and Carmon 2023, arXiv:2302.12022, section 4.1",
    learning_rate=1.0,
    r_rel="1e-6, the authors' code, times 1 + ‖x₀‖; they take 1e-4 with batch normalisation, and 1e-8 to fine-tune T5",
    eps="1e-8, the authors' code",
    dialect="The paper's: as DoG, with each tensor's own distance and gradients.",
    when="As DoG, where layers differ much: transformers.",
)
def ldog(
    g: Direction,
    p: Parameter,
    x0: AtParameter,
    r: Annotated[Scalar, State(level=Level.TENSOR)],
    squares: Annotated[Scalar, State(start="eps", level=Level.TENSOR)],
    t: Step,
    *,
    r_rel: Positive = 1e-6,
    eps: NonNegative = 1e-8,
) -> Update:
    """Step each tensor by its greatest distance from its start, over the root of its squared gradients' sum."""
    return _distance_over_gradients(g, p, x0, r, squares, t, r_rel, per="tensor")


def _distance_over_gradients(
    g: Scalar,
    p: Scalar,
    x0: Scalar,
    r: Scalar,
    squares: Scalar,
    t: Scalar,
    r_rel: float,
    *,
    per: Literal["model", "tensor"],
) -> Update:
    r = where(equal(t, 1), r_rel * (1 + norm(x0, per=per)), maximum(r, norm(p - x0, per=per)))
    squares = squares + total(g**2, per=per)
    return where(squares > 0, r / sqrt(squares), 0) * g, x0, r, squares
