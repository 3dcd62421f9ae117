"""Where a problem gets real data from: a part of MNIST that ships, or the whole of it."""

from __future__ import annotations

from thalweg.lab.data.mnist_arrays import Mnist, MnistSize, mnist

__all__ = ["Mnist", "MnistSize", "mnist"]
