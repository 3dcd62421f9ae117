"""Signum: every weight moves by the rate, in the direction of the averaged gradient's sign."""

from thalweg.formula import Direction, Fraction, Update, Zeros, rule, sign


@rule(
    title="Signum",
    source="Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2",
    learning_rate=0.01,
    beta="0.9, the authors' implementations (MXNet's Signum, Signum_pytorch); optax.signum",
    dialect="`beta=0` is signSGD, Algorithm 1 of the same paper, also known as the Manhattan update. A weight whose "
    "average is exactly zero stays where it is.",
    when="Where only a gradient's sign can be sent or trusted. Its step never shrinks by itself: let the rate decay.",
    translations=(
        "keras.optimizers.Lion(learning_rate=lr, beta_1=beta, beta_2=beta); default learning_rate=0.001, beta_2=0.99",
        "Bernstein_et_al_2018(δ=lr, β=beta)",
        "optax.signum(learning_rate=lr, beta=beta)",
    ),
)
def signum(g: Direction, m: Zeros, *, beta: Fraction = 0.9) -> Update:
    """Step by the sign of the averaged gradient."""
    m = beta * m + (1 - beta) * g
    return sign(m), m
