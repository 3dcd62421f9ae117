"""Heavy-ball momentum, in its three damped dialects."""

from typing import Literal

from thalweg.formula import (
    Direction,
    Displacement,
    Fraction,
    LearningRate,
    Step,
    Update,
    Zeros,
    equal,
    rule,
    where,
)


@rule(
    title="Heavy-ball momentum",
    source="Polyak 1964, doi:10.1016/0041-5553(64)90137-5; Rumelhart, Hinton and Williams 1986, doi:10.1038/323533a0",
    learning_rate=0.01,
    beta="0.9, usual since Rumelhart et al. 1986; Goodfellow et al., Deep Learning, section 8.3.2 name .5, .9 and .99",
    dampening="0, as torch.optim.SGD",
    dialect="`classical` has the learning rate inside the velocity; `torch` has it outside, and its first "
    "velocity is the gradient whatever the dampening; `averaged` weighs the new gradient by 1 - beta. While "
    "the rate is constant, classical at α is torch at α, and averaged at α/(1 - beta).",
    when="Where gradients zig-zag across a valley or are noisy; the classic choice for convolutional networks.",
    translations=(
        (
            "torch.optim.SGD(lr=lr, momentum=beta) where form='classical'; default lr=0.001, momentum=0; while the "
            "rate is constant"
        ),
        "torch.optim.SGD(lr=lr, momentum=beta, dampening=dampening) where form='torch'",
        "torch.optim.SGD(lr=(1 - beta) * lr, momentum=beta) where form='averaged'",
        "keras.optimizers.SGD(learning_rate=lr, momentum=beta) where form='classical'; default momentum=0",
        "keras.optimizers.SGD(learning_rate=lr, momentum=beta) where form='torch'; while the rate is constant",
        (
            "keras.optimizers.SGD(learning_rate=(1 - beta) * lr, momentum=beta) where form='averaged'; while the rate "
            "is constant"
        ),
        "Polyak_1964(α=lr, β=beta)",
        "Rumelhart_Hinton_and_Williams_1986(ε=lr, α=beta)",
        "optax.sgd(learning_rate=lr, momentum=beta) where form='torch'; default momentum=None",
    ),
)
def heavy_ball(
    g: Direction,
    v: Zeros,
    t: Step,
    alpha: LearningRate,
    *,
    beta: Fraction = 0.9,
    dampening: Fraction = 0.0,
    form: Literal["classical", "torch", "averaged"] = "classical",
) -> Update:
    """Let the parameter roll with a velocity that remembers past gradients."""
    if form == "classical":
        v = beta * v - alpha * g
        return Displacement(v), v
    if form == "torch":
        v = beta * v + where(equal(t, 1), 1, 1 - dampening) * g
        return v, v
    v = beta * v + (1 - beta) * g
    return v, v
