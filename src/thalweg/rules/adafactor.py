"""Adafactor: the second moment of a matrix kept as that of its rows and columns."""

from typing import Literal

from thalweg.formula import (
    ColumnZeros,
    Direction,
    IsMatrix,
    LearningRate,
    NonNegative,
    Parameter,
    Position,
    Positive,
    RowZeros,
    Step,
    Update,
    Zeros,
    maximum,
    mean,
    minimum,
    rms,
    rule,
    sqrt,
)


@rule(
    title="Adafactor",
    source="Shazeer and Stern 2018, arXiv:1804.04235, Algorithms 4 and 5",
    learning_rate=0.01,
    beta2_decay="-0.8, Shazeer and Stern 2018, Algorithm 6",
    eps1="1.2e-7, the rounding of float32, torch.optim.Adafactor's for single precision; the paper has 1e-30, added to "
    "the squares",
    eps2="1e-3, Shazeer and Stern 2018, Algorithm 6",
    d="1, Shazeer and Stern 2018, Algorithm 6",
    weight_decay="0, torch.optim.Adafactor",
    dialect="form='torch': the learning rate is an upper bound of the relative step 1/√t; ε₁ bounds the root of the "
    "second moment and the rows' mean from below. form='paper' adds ε₁ to the squares.",
    when="Large models where memory is short: its state is one number a row and a column. No momentum.",
    translations=(
        (
            "torch.optim.Adafactor(lr=lr, beta2_decay=beta2_decay, eps=(eps1, eps2), d=d, weight_decay=weight_decay); "
            "default eps=(None, ...); its None is the rounding of the parameter's dtype"
        ),
        (
            "keras.optimizers.Adafactor(learning_rate=lr, beta_2_decay=beta2_decay, epsilon_1=eps1, epsilon_2=eps2, "
            "clip_threshold=d) where form='paper'; default learning_rate=0.001, epsilon_1=1e-30"
        ),
        "Shazeer_and_Stern_2018(ε1=eps1, ε2=eps2, d=d) where form='paper'",
    ),
)
def adafactor(
    g: Direction,
    p: Parameter,
    row: RowZeros,
    column: ColumnZeros,
    v: Zeros,
    t: Step,
    alpha: LearningRate,
    matrix: IsMatrix,
    *,
    beta2_decay: float = -0.8,
    eps1: NonNegative = 1.1920928955078125e-07,
    eps2: NonNegative = 1e-3,
    d: Positive = 1.0,
    weight_decay: NonNegative = 0.0,
    form: Literal["torch", "paper"] = "torch",
) -> Update:
    """Divide by the root of a second moment that is estimated from rows and columns, and bound the step's size."""
    kept = 1 - t**beta2_decay
    squares = g**2 if form == "torch" else g**2 + eps1
    if matrix:
        row = kept * row + (1 - kept) * mean(squares, per="row")
        column = kept * column + (1 - kept) * mean(squares, per="column")
        middle = mean(row, per="matrix")
        v_hat = row * column / (maximum(middle, eps1) if form == "torch" else middle)
    else:
        v = kept * v + (1 - kept) * squares
        v_hat = v
    u = g / sqrt(maximum(v_hat, eps1**2) if form == "torch" else v_hat)
    rho = minimum(alpha, 1 / sqrt(t))
    size = maximum(eps2, rms(p, per="tensor")) * rho
    decayed = (1 - alpha * weight_decay) * p
    return Position(decayed - size / maximum(1, rms(u, per="tensor") / d) * u), row, column, v
