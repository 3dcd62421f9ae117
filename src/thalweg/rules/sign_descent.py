"""Sign descent: every weight moves by the learning rate, whatever the size of its gradient."""

from thalweg.formula import Direction, Update, rule, sign


@rule(
    title="Sign descent",
    source="Riedmiller 1994, Rprop - Description and Implementation Details, as the Manhattan update rule; with "
    "minibatches signSGD, Bernstein et al. 2018, arXiv:1802.04434, Algorithm 1",
    learning_rate=0.001,
    when="As the yardstick of what the size of the gradient is worth, and where only signs can be sent between "
    "machines. It swings about a minimum unless the rate falls.",
    translations=(
        "optax.sign_sgd(learning_rate=lr)",
        "Bernstein_et_al_2018(δ=lr)",
    ),
)
def sign_descent(g: Direction) -> Update:
    """Take the sign of the gradient and forget its size. It is Rprop whose steps neither grow nor shrink."""
    return sign(g)
