"""Rprop: a step size for each weight, led by the sign of the gradient alone."""

from typing import Annotated, Literal

from thalweg.formula import (
    Direction,
    Displacement,
    Loss,
    ModelZeros,
    NonNegative,
    Positive,
    Range,
    Scalar,
    State,
    Update,
    Zeros,
    maximum,
    minimum,
    rule,
    sign,
    where,
)


@rule(
    title="Rprop",
    source="Riedmiller and Braun 1993, doi:10.1109/ICNN.1993.298623; the forms as Igel and Hüsken 2000 name them",
    delta0="0.1, Riedmiller and Braun 1993",
    eta_minus="0.5, Riedmiller and Braun 1993",
    eta_plus="1.2, Riedmiller and Braun 1993",
    delta_min="1e-6, Riedmiller and Braun 1993",
    delta_max="50, Riedmiller and Braun 1993",
    dialect="`rprop-` reduces the step where the gradient changes its sign, and moves; `rprop+` takes the last "
    "move back instead; `irprop-` (torch.optim.Rprop, whose `lr` is our `delta0`) stays in place for that step; "
    "`irprop+` takes the last move back if the loss has risen, and else stays in place: it needs the loss, by "
    "`step(closure)` or `step(loss=loss)`. After the last three have met a change of sign, the next step keeps its "
    "size.",
    when="With the whole data set in one batch. Not with minibatches: it weighs nine small gradients against "
    "one large as 9 to 1.",
    translations=(
        (
            "torch.optim.Rprop(lr=delta0, etas=(eta_minus, eta_plus), step_sizes=(delta_min, delta_max)) where "
            "form='irprop-'; default lr=0.01"
        ),
        (
            "Riedmiller_and_Braun_1993(Δ0=delta0, η_minus=eta_minus, η_plus=eta_plus, Δ_min=delta_min, "
            "Δ_max=delta_max) where form='rprop+'"
        ),
        (
            "Igel_and_Hüsken_2000(Δ0=delta0, η_minus=eta_minus, η_plus=eta_plus, Δ_min=delta_min, "
            "Δ_max=delta_max) where form='irprop+'"
        ),
    ),
)
def rprop(
    g: Direction,
    g_prev: Zeros,
    delta: Annotated[Scalar, State(start="delta0")],
    move: Zeros,
    loss: Loss,
    loss_prev: ModelZeros,
    *,
    delta0: Positive = 0.1,
    eta_minus: Annotated[float, Range(0, 1, low_included=False)] = 0.5,
    eta_plus: Annotated[float, Range(1)] = 1.2,
    delta_min: NonNegative = 1e-6,
    delta_max: Positive = 50.0,
    form: Literal["rprop-", "rprop+", "irprop-", "irprop+"] = "rprop-",
) -> Update:
    """Grow a weight's step while its gradient keeps the sign, shrink it when the sign changes."""
    agreement = g * g_prev
    factor = where(agreement > 0, eta_plus, where(agreement < 0, eta_minus, 1))
    delta = minimum(maximum(factor * delta, delta_min), delta_max)
    if form == "rprop-":
        return Displacement(-(sign(g) * delta)), g, delta, move, loss_prev
    g_kept = where(agreement < 0, 0, g)
    if form == "irprop-":
        return Displacement(-(sign(g_kept) * delta)), g_kept, delta, move, loss_prev
    if form == "irprop+":
        back = where(loss > loss_prev, -move, 0)
        move = where(agreement < 0, back, -(sign(g) * delta))
        return Displacement(move), g_kept, delta, move, loss
    move = where(agreement < 0, -move, -(sign(g) * delta))
    return Displacement(move), g_kept, delta, move, loss_prev
