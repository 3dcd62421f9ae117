"""Heavy-ball momentum with two sequences: one weighs the gradients, the other the velocity."""

from thalweg.formula import Direction, Displacement, LearningRate, NonNegative, Update, Zeros, rule


@rule(
    title="Heavy ball with two sequences",
    source="Polyak 1964, doi:10.1016/0041-5553(64)90137-5, in the form u ← u - βg, p ← p + γu of lectures on training "
    "networks",
    learning_rate=0.01,
    gamma="1, ours: the lecture leaves both sequences open",
    dialect="The learning rate is the sequence β, and γ may be a schedule too. Nothing else damps: it is the classical "
    "heavy ball only for γ falling as its βᵏ, and the rate growing as α/βᵏ.",
    when="To see what damping is for: with constant sequences it swings about a minimum for ever.",
    translations=(
        "torch.optim.SGD(lr=lr * gamma, momentum=1); while the rate is constant",
        "lectures(β=lr, γ=gamma)",
    ),
)
def heavy_ball_two_sequences(
    g: Direction,
    u: Zeros,
    alpha: LearningRate,
    *,
    gamma: NonNegative = 1.0,
) -> Update:
    """Add up all gradients, and move along the sum."""
    u = u - alpha * g
    return Displacement(gamma * u), u
