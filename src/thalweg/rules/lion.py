"""Lion: every weight moves by the rate, in the direction of an interpolated gradient's sign."""

from thalweg.formula import Direction, Fraction, Update, Zeros, rule, sign


@rule(
    title="Lion",
    source="Chen et al. 2023, arXiv:2302.06675, Algorithm 2",
    learning_rate=1e-4,
    beta1="0.9, Algorithm 2: how much of the average the direction takes",
    beta2="0.99, Algorithm 2: how much of itself the average keeps",
    dialect="Without the decay that Algorithm 2 adds to the sign: `chain(lion(), decay(λ), step(α))` has it. With "
    "beta1 equal to beta2 it is Signum.",
    when="With large batches and little memory: one state in place of Adam's two. Its rate is three to ten times "
    "smaller than AdamW's, its decay as much larger.",
    translations=(
        "keras.optimizers.Lion(learning_rate=lr, beta_1=beta1, beta_2=beta2); default learning_rate=0.001",
        "Chen_et_al_2023(η=lr, β1=beta1, β2=beta2)",
        "optax.lion(learning_rate=lr, b1=beta1, b2=beta2, weight_decay=0.0)",
    ),
)
def lion(g: Direction, m: Zeros, *, beta1: Fraction = 0.9, beta2: Fraction = 0.99) -> Update:
    """Step by the sign of a mixture of the gradient and its average, which remembers longer than the mixture."""
    c = beta1 * m + (1 - beta1) * g
    m = beta2 * m + (1 - beta2) * g
    return sign(c), m
