"""Handwritten digits, squeezed through sixteen numbers and put together again: a deep autoencoder."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.lab.data import MnistSize, mnist
from thalweg.lab.data.mnist_arrays import PIXEL_DEVIATION, PIXEL_MEAN
from thalweg.lab.problem import Batch, Problem

WIDTHS = (784, 64, 32, 16, 32, 64, 784)
CODE = WIDTHS.index(min(WIDTHS))
IN_FULL_BATCH = 1000


def mnist_autoencoder(size: MnistSize = "auto") -> Problem:
    """An autoencoder on MNIST, in minibatches."""
    return _problem(size, name="mnist_autoencoder", title="Autoencoder on MNIST", batch_size=250, steps=400)


def mnist_autoencoder_full_batch(size: MnistSize = "auto") -> Problem:
    """An autoencoder on the first thousand images of MNIST, with all of them at each step."""
    title = "Autoencoder on MNIST, full batch"
    return _problem(size, name="mnist_autoencoder_full_batch", title=title, batch_size=None, steps=400)


def reconstruction(model: nn.Module, batch: Batch) -> Tensor:
    """The cross-entropy between pixels from 0 to 1 and the model's, given as logits: summed over an image's pixels."""
    (pixels,) = batch
    return F.binary_cross_entropy_with_logits(model(pixels), pixels, reduction="sum") / len(pixels)


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    """The squared difference between pixels and the model's, summed over an image's pixels: what papers report."""
    (pixels,) = batch
    return (model(pixels).sigmoid() - pixels).square().sum() / len(pixels)


def _problem(size: MnistSize, *, name: str, title: str, batch_size: int | None, steps: int) -> Problem:
    first = slice(None) if batch_size else slice(IN_FULL_BATCH)
    which = "" if batch_size else f"; the first {IN_FULL_BATCH:,} training images alone"
    return Problem(
        name=name,
        title=title,
        model=_build,
        loss=reconstruction,
        metrics={"squared_error": squared_error},
        train=lambda: (_pixels(mnist(size).train[0][first]),),
        test=lambda: (_pixels(mnist(size).test[0]),),
        batch_size=batch_size,
        steps=steps,
        source="after Hinton and Salakhutdinov, Science 313 (2006) 504, who have 784–1000–500–250–30 and back; a test "
        "of second-order methods since Martens, ICML 2010",
        remark=f"{'–'.join(map(str, WIDTHS))}, logistic units, the code linear; PyTorch's "
        "initialisation. Losses are in nats an image.",
        provenance=lambda: mnist(size).provenance + which,
    )


def _pixels(images: Tensor) -> Tensor:
    """Standardised images as pixels from 0 to 1, an image a row."""
    return (images * PIXEL_DEVIATION + PIXEL_MEAN).clamp(0, 1).flatten(1)


def _build() -> nn.Module:
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(pairwise(WIDTHS), start=1):
        layers.append(nn.Linear(inputs, outputs))
        if place not in (CODE, len(WIDTHS) - 1):
            layers.append(nn.Sigmoid())
    return nn.Sequential(*layers)
