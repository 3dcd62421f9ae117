"""MNIST as tensors ready for training: the part that ships, or the whole."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from thalweg.errors import DataError
from thalweg.lab.data import mnist_files as files
from thalweg.lab.data.idx import parse_idx
from thalweg.lab.data.mnist_download import download_full

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

MnistSize = Literal["auto", "part", "full"]

# The mean and standard deviation of the 60,000 training images' pixels, scaled to [0, 1].
PIXEL_MEAN, PIXEL_DEVIATION = 0.1307, 0.3081


@dataclass(frozen=True, kw_only=True, eq=False)
class Mnist:
    """Handwritten digits: images (n, 28, 28), standardised, each with its label (n,) from 0 to 9."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    provenance: str
    """Which images these are, in a sentence for the records."""


def mnist(size: MnistSize = "auto") -> Mnist:
    """Handwritten digits, 28×28, as tensors.

    "part": the 5,000 training and 1,000 test images that ship. "full": all 60,000 and 10,000, from
    `$THALWEG_DATA`, from the user's cache, or downloaded into it. "auto": full where it is already on this
    machine, else the part; it never downloads.

    Pixels p in [0, 1] become (p − 0.1307)/0.3081, whatever the size: the mean and deviation of the whole
    training set. The tensors are shared between calls: do not change them in place.

    >>> mnist("part").train[0].shape
    torch.Size([5000, 28, 28])
    """
    if size == "part":
        return _load_part()
    if size not in {"auto", "full"}:
        raise DataError(f"MNIST has no size {size!r}; it is one of 'auto', 'part' and 'full'")
    folder = files.find_full()
    if folder is None and size == "auto":
        return _load_part()
    if folder is None:
        folder = files.cache_folder()
        download_full(folder)
    return _load_full(folder)


@functools.cache
def _load_part() -> Mnist:
    provenance = "MNIST, the part that ships: every eleventh training image to 5,000, every ninth test image to 1,000"
    return _load(files.PART_FOLDER, files.PART_CHECKSUMS, provenance)


@functools.cache
def _load_full(folder: Path) -> Mnist:
    return _load(folder, files.FULL_CHECKSUMS, "MNIST, full: 60,000 training and 10,000 test images")


def _load(folder: Path, checksums: dict[str, str], provenance: str) -> Mnist:
    def read(name: str) -> Tensor:
        content = files.read_checked(folder, name, checksums[name])
        return torch.tensor(parse_idx(content, name=name))

    return Mnist(
        train=(_standardise(read(files.TRAIN_IMAGES)), read(files.TRAIN_LABELS).long()),
        test=(_standardise(read(files.TEST_IMAGES)), read(files.TEST_LABELS).long()),
        provenance=provenance,
    )


def _standardise(images: Tensor) -> Tensor:
    return images.float().div_(255).sub_(PIXEL_MEAN).div_(PIXEL_DEVIATION)
