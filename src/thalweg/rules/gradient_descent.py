"""Gradient descent: follow the negative gradient."""

from thalweg.formula import Direction, Update, rule


@rule(
    title="Gradient descent",
    source="Cauchy 1847; with minibatches Robbins and Monro 1951, doi:10.1214/aoms/1177729586",
    learning_rate=0.1,
    when="As the yardstick for everything else, and where the problem is well conditioned.",
    translations=(
        "torch.optim.SGD(lr=lr); default lr=0.001",
        "keras.optimizers.SGD(learning_rate=lr); default learning_rate=0.01",
        "Robbins_and_Monro_1951(a_n=lr)",
        "optax.sgd(learning_rate=lr)",
    ),
)
def gradient_descent(g: Direction) -> Update:
    """Go down the gradient. Batch, minibatch or single sample is the data's affair, not the rule's."""
    return g
