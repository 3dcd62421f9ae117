"""AdaGrad: each weight's rate falls with the gradients it has seen."""

from typing import Annotated, Literal

from thalweg.formula import Direction, NonNegative, Scalar, State, Step, Update, rule, sqrt


@rule(
    title="AdaGrad",
    source="Duchi, Hazan and Singer 2011, JMLR 12:2121, figure 1",
    learning_rate=0.01,
    eps="1e-10, torch.optim.Adagrad; the paper has a δ ≥ 0 without a value",
    r0="0, torch.optim.Adagrad; TensorFlow starts at 0.1",
    rate_decay="none, as the paper; torch.optim.Adagrad has it as `lr_decay`, 0 by default",
    dialect="ε `outside` the root (the paper, torch) or `inside` it (Keras, optax).",
    when="With sparse features, whose rare weights keep a large rate. It can stall: the rate never rises again.",
    translations=(
        "torch.optim.Adagrad(lr=lr, lr_decay=rate_decay, initial_accumulator_value=r0, eps=eps)",
        (
            "keras.optimizers.Adagrad(learning_rate=lr, initial_accumulator_value=r0, epsilon=eps) where "
            "epsilon='inside'; default learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7"
        ),
        "Duchi_Hazan_and_Singer_2011(η=lr, δ=eps)",
    ),
)
def adagrad(
    g: Direction,
    r: Annotated[Scalar, State(start="r0")],
    t: Step,
    *,
    eps: NonNegative = 1e-10,
    r0: NonNegative = 0.0,
    rate_decay: NonNegative | None = None,
    epsilon: Literal["outside", "inside"] = "outside",
) -> Update:
    """Divide by the root of the sum of all squared gradients."""
    r = r + g**2
    d = g / sqrt(r + eps) if epsilon == "inside" else g / (sqrt(r) + eps)
    if rate_decay is not None:
        d = d / (1 + (t - 1) * rate_decay)
    return d, r
