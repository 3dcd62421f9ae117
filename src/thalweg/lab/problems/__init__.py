"""The training problems that come with the lab, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import UnknownNameError, did_you_mean
from thalweg.lab.problems.mnist import (
    accuracy,
    cross_entropy,
    mnist_mlp,
    mnist_softmax,
    mnist_softmax_full_batch,
)
from thalweg.lab.problems.mnist_autoencoder import mnist_autoencoder, mnist_autoencoder_full_batch
from thalweg.lab.problems.quadratic_deep import quadratic_deep

if TYPE_CHECKING:
    from thalweg.lab.data import MnistSize
    from thalweg.lab.problem import Problem

__all__ = [
    "accuracy",
    "catalogue",
    "cross_entropy",
    "get",
    "mnist_autoencoder",
    "mnist_autoencoder_full_batch",
    "mnist_mlp",
    "mnist_softmax",
    "mnist_softmax_full_batch",
    "quadratic_deep",
]


def catalogue(*, mnist: MnistSize = "auto") -> dict[str, Problem]:
    """All problems by their names. None of them loads its data before it is asked to."""
    minibatches = (mnist_softmax(mnist), mnist_mlp(mnist), mnist_autoencoder(mnist), quadratic_deep())
    full_batch = (mnist_softmax_full_batch(mnist), mnist_autoencoder_full_batch(mnist))
    problems = (*minibatches, *full_batch)
    return {problem.name: problem for problem in problems}


def get(name: str, *, mnist: MnistSize = "auto") -> Problem:
    """The problem of this name; `mnist` says how much of MNIST it trains on, if it does.

    >>> get("mnist_softmax").title
    'Softmax regression on MNIST'
    """
    problems = catalogue(mnist=mnist)
    if name not in problems:
        raise UnknownNameError(f"there is no training problem `{name}`; {did_you_mean(name, problems)}")
    return problems[name]
