"""The tables that a kernel reads: what each chunk is, where each tensor lies, and the step's constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from thalweg.kernels.triton.emit import CHUNK
from thalweg.kernels.triton.exchange import Mirror

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Words: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class Tables:
    """The tables of one launch: for so many tensors, with so many slots and constants.

    `words` has a row for each tensor: the addresses of its slots, then the place of its constants in `constants`. Both
    may be changed between launches, in place. With `for_graphs`, CUDA graphs may be captured.
    """

    def __init__(
        self,
        tensors: int,
        slots: int,
        constants: int,
        dtype: torch.dtype,
        device: torch.device,
        *,
        for_graphs: bool,
    ) -> None:
        self.words: Words = np.zeros((tensors, slots + 1), dtype=np.int64)
        self._words = Mirror(self.words.reshape(-1), device, for_graphs=for_graphs)
        self._number = np.float64 if dtype == torch.float64 else np.float32
        self._per_row = constants
        self._device = device
        self.resize_constants(1)

    def resize_constants(self, rows: int) -> None:
        """Make room for so many rows of constants."""
        self.constants: np.ndarray[Any, Any] = np.zeros((rows, self._per_row), dtype=self._number)
        self._constants = Mirror(self.constants.reshape(-1), self._device)

    def words_on_device(self) -> Tensor:
        """The device's copy of the words, as they are now."""
        return self._words.on_device()

    def constants_on_device(self) -> Tensor:
        """The device's copy of the constants, as they are now."""
        return self._constants.on_device()


def divide(sizes: Sequence[int]) -> tuple[Words, np.ndarray[tuple[int, ...], np.dtype[np.int32]]]:
    """How many chunks each tensor has, and all chunks: the tensor, which of its chunks, how many elements."""
    lengths = np.array(sizes, dtype=np.int64)
    per_tensor = -(-lengths // CHUNK)
    tensor = np.repeat(np.arange(len(lengths)), per_tensor)
    place = np.arange(len(tensor)) - np.repeat(np.cumsum(per_tensor) - per_tensor, per_tensor)
    count = np.minimum(CHUNK, lengths[tensor] - CHUNK * place)
    return per_tensor, np.stack([tensor, place, count], axis=1).astype(np.int32)
