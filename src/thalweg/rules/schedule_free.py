"""Schedule-free descent: an average takes the place of a falling learning rate."""

from typing import Annotated

from thalweg.formula import (
    AtParameter,
    Direction,
    Fraction,
    LearningRate,
    ModelZeros,
    NonNegative,
    Parameter,
    Position,
    Range,
    Scalar,
    Step,
    Update,
    Zeros,
    maximum,
    minimum,
    rule,
    sqrt,
    where,
)

_SOURCE = "Defazio et al. 2024, arXiv:2405.15682"
Within = Annotated[float, Range(0, 1, low_included=False)]


@rule(
    title="Schedule-free SGD",
    source=f"{_SOURCE}, equations 3 to 5",
    learning_rate=1.0,
    beta="0.9, Defazio et al. 2024, section 4",
    warmup_steps="0, the authors' code",
    power="0, the authors' code: all steps weigh alike but for their rates; its r",
    rate_power="2, Defazio et al. 2024, Algorithm 1: weights are rates squared; in the code, the greatest so far",
    weight_decay="0, the authors' code",
    when="When the length of the training is not known beforehand: no schedule is needed, but a warm-up. Evaluate "
    "inside `with optimizer.evaluating()`: the parameter is the point where the gradient is taken.",
    evaluate=lambda p, z, *, beta: (p - (1 - beta) * z) / beta,
    dialect="The authors' code: the parameter is y, decay is taken at y.",
    translations=("optax.contrib.schedule_free_sgd(learning_rate=lr, b1=beta, weight_lr_power=rate_power)",),
)
def schedule_free_sgd(
    g: Direction,
    p: Parameter,
    z: AtParameter,
    rate_max: ModelZeros,
    weights: ModelZeros,
    t: Step,
    alpha: LearningRate,
    *,
    beta: Within = 0.9,
    weight_decay: NonNegative = 0.0,
    warmup_steps: NonNegative = 0,
    power: NonNegative = 0.0,
    rate_power: NonNegative = 2.0,
) -> Update:
    """Step at z, average the z into x, and take the next gradient between the two."""
    rate = alpha * minimum(1, t / maximum(1, warmup_steps))
    rate_max = maximum(rate_max, rate)
    weight = t**power * rate_max**rate_power
    weights = weights + weight
    y, z = _average(p, z, rate * (g + weight_decay * p), where(weights > 0, weight / weights, 0), beta)
    return Position(y), z, rate_max, weights


@rule(
    title="Schedule-free AdamW",
    source=f"{_SOURCE}, Algorithm 1",
    learning_rate=0.0025,
    beta1="0.9, Defazio et al. 2024, section 4",
    beta2="0.999, the authors' code",
    eps="1e-8, Defazio et al. 2024, Algorithm 1",
    warmup_steps="0, the authors' code",
    power="0, the authors' code: all steps weigh alike but for their rates; its r",
    rate_power="2, Defazio et al. 2024, Algorithm 1: weights are rates squared; in the code, the greatest so far",
    weight_decay="0, the authors' code",
    when="When the length of the training is not known beforehand: no schedule is needed, but a warm-up. Evaluate "
    "inside `with optimizer.evaluating()`: the parameter is the point where the gradient is taken.",
    evaluate=lambda p, z, *, beta1: (p - (1 - beta1) * z) / beta1,
    dialect="The authors' code: the second moment is corrected itself, as Adam's; Algorithm 1 corrects the rate, and "
    "weighs the average by that.",
    translations=(
        (
            "keras.optimizers.ScheduleFreeAdamW(learning_rate=lr, beta_1=beta1, beta_2=beta2, epsilon=eps, "
            "warmup_steps=warmup_steps) where rate_power=0; its own weight_decay moves the parameter alone; on its "
            "torch backend Keras 3.15 takes other steps: it overwrites z before it has read it"
        ),
        (
            "optax.contrib.schedule_free_adamw(learning_rate=lr, b1=beta1, b2=beta2, eps=eps, "
            "weight_lr_power=rate_power)"
        ),
    ),
)
def schedule_free_adamw(
    g: Direction,
    p: Parameter,
    z: AtParameter,
    v: Zeros,
    rate_max: ModelZeros,
    weights: ModelZeros,
    t: Step,
    alpha: LearningRate,
    *,
    beta1: Within = 0.9,
    beta2: Fraction = 0.999,
    eps: NonNegative = 1e-8,
    weight_decay: NonNegative = 0.0,
    warmup_steps: NonNegative = 0,
    power: NonNegative = 0.0,
    rate_power: NonNegative = 2.0,
) -> Update:
    """Scale as Adam does, step at z, average the z into x, and take the next gradient between the two."""
    rate = alpha * minimum(1, t / maximum(1, warmup_steps))
    rate_max = maximum(rate_max, rate)
    weight = t**power * rate_max**rate_power
    weights = weights + weight
    v = beta2 * v + (1 - beta2) * g**2
    v_hat = v / (1 - beta2**t)
    move = rate * (g / (sqrt(v_hat) + eps) + weight_decay * p)
    y, z = _average(p, z, move, where(weights > 0, weight / weights, 0), beta1)
    return Position(y), z, v, rate_max, weights


def _average(p: Scalar, z: Scalar, move: Scalar, share: Scalar, beta: float) -> tuple[Scalar, Scalar]:
    """The points y and z after the step; the parameter is y = (1 - β)z + βx, and x ← (1 - c)x + cz is put in for x."""
    return p + share * (z - p) - (1 - beta * (1 - share)) * move, z - move
