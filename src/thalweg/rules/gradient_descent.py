"""Gradient descent: follow the negative gradient."""

from thalweg.formula import Direction, Update, rule


@rule(
    title="Gradient descent",
    source="Cauchy 1847; with minibatches Robbins and Monro 1951, doi:10.1214/aoms/1177729586",
    learning_rate=0.1,
    when="As the yardstick for everything else, and where the problem is well conditioned.",
)
def gradient_descent(g: Direction) -> Update:
    """Go down the gradient. Batch, minibatch or single sample is the data's affair, not the rule's."""
    return g
