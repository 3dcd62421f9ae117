"""Handwritten digits, told apart by softmax regression (in minibatches, in full batch) and by a two-layer network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.lab.data import MnistSize, mnist
from thalweg.lab.problem import Batch, Loss, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

PIXELS, HIDDEN, DIGITS = 28 * 28, 128, 10
PENALTY = 1e-3


def mnist_softmax(size: MnistSize = "auto") -> Problem:
    """Softmax regression on MNIST: convex, and started at zero, where the loss is ln 10."""
    return _on_mnist(
        size,
        name="mnist_softmax",
        title="Softmax regression on MNIST",
        model=_build_softmax,
        remark="Convex. All parameters start at zero: a seed decides the order of the data alone.",
    )


def mnist_softmax_full_batch(size: MnistSize = "auto") -> Problem:
    """Softmax regression on MNIST with all images at each step and a penalty on the weights: strongly convex."""
    return _on_mnist(
        size,
        name="mnist_softmax_full_batch",
        title="Softmax regression on MNIST, full batch",
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, DIGITS)),
        loss=penalised,
        batch_size=None,
        steps=100,
        remark=f"Strongly convex: {PENALTY / 2:g} times the sum of the squared weights is added to the loss. A seed "
        "decides the start alone, PyTorch's initialisation. All the data are seen at each step.",
    )


def mnist_mlp(size: MnistSize = "auto") -> Problem:
    """A network of 784 inputs, 128 rectified units and 10 outputs on MNIST."""
    return _on_mnist(
        size,
        name="mnist_mlp",
        title="Two-layer network on MNIST",
        model=_build_mlp,
        remark="784–128–10, rectified units; PyTorch's initialisation, uniform in ±1/√(inputs of the layer).",
    )


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The mean of −ln p(label) over a batch of (inputs, labels), for a model that gives logits."""
    inputs, labels = batch
    return F.cross_entropy(model(inputs), labels)


def penalised(model: nn.Module, batch: Batch) -> Tensor:
    """The cross-entropy, and half of `PENALTY` times the sum of the squared parameters but the biases."""
    squares = sum(weight.square().sum() for weight in model.parameters() if weight.ndim > 1)
    return cross_entropy(model, batch) + PENALTY / 2 * squares


def accuracy(model: nn.Module, batch: Batch) -> Tensor:
    """The share of a batch of (inputs, labels) whose largest logit is the label's."""
    inputs, labels = batch
    return (model(inputs).argmax(dim=1) == labels).float().mean()


def _on_mnist(
    size: MnistSize,
    *,
    name: str,
    title: str,
    model: Callable[[], nn.Module],
    remark: str,
    loss: Loss = cross_entropy,
    batch_size: int | None = 64,
    steps: int = 400,
) -> Problem:
    return Problem(
        name=name,
        title=title,
        model=model,
        loss=loss,
        metrics={"accuracy": accuracy},
        train=lambda: mnist(size).train,
        test=lambda: mnist(size).test,
        batch_size=batch_size,
        steps=steps,
        source="LeCun, Bottou, Bengio and Haffner, Proc. IEEE 86 (1998) 2278",
        remark=remark,
        provenance=lambda: mnist(size).provenance,
    )


def _build_softmax() -> nn.Module:
    linear = nn.Linear(PIXELS, DIGITS)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Flatten(), linear)


def _build_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIGITS))
