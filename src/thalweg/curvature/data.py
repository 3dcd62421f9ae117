"""A data set as batches of inputs and targets that can be gone through again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from thalweg.errors import DataError, HyperparameterError

_A_BATCH = "a batch is (inputs, targets), or (input, …, input, targets) for a model that takes several"


@dataclass(frozen=True)
class Examples:
    """One batch: what the model is called with, and what the loss is given beside the outputs."""

    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    targets: Any

    def to(self, device: torch.device) -> Examples:
        """The same on another device."""
        return Examples(_moved(self.positional, device), _moved(self.named, device), _moved(self.targets, device))

    @property
    def rows(self) -> int:
        """How many examples there are, by the first input that is a tensor."""
        for given in (*self.positional, *self.named.values(), self.targets):
            if isinstance(given, Tensor) and given.ndim:
                return len(given)
        raise DataError("no input of the batch is a tensor that says how many examples it has; say it by `count`")


def batches_of(data: object, batch_size: int | None) -> Iterable[Any]:
    """The batches of a data set; a tuple that ends in a tensor is one batch, or is cut into several of `batch_size`.

    Raises `DataError` for what is no data set or runs out after one pass, and `HyperparameterError` for a batch size
    that does not fit.
    """
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise HyperparameterError(f"`batch_size` is {batch_size!r}; it must be a whole number from 1")
    if isinstance(data, tuple) and data and isinstance(data[-1], Tensor):
        return [data] if batch_size is None else _cut(cast("tuple[Any, ...]", data), batch_size)
    if batch_size is not None:
        raise HyperparameterError("`batch_size` cuts up (inputs, targets); this data comes in batches already")
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        raise DataError("the data is a Dataset of single examples; give a torch.utils.data.DataLoader over it")
    if isinstance(data, Tensor) or not isinstance(data, Iterable):
        raise DataError(
            f"the data is {type(data).__name__}; give (inputs, targets), a list of such batches, or a loader"
        )
    if isinstance(data, Iterator):
        raise DataError("the data is an iterator, which runs out after one pass; give a list of batches, or a loader")
    return data


def examples_of(batch: object) -> Examples:
    """A batch's inputs and targets. Raises `DataError` for what is none."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise DataError(f"{_A_BATCH}; this one is {_described(batch)}")
    *inputs, targets = cast("tuple[Any, ...]", batch)
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        return Examples((), cast("Mapping[str, Any]", inputs[0]), targets)
    if len(inputs) == 1 and isinstance(inputs[0], tuple | list):
        return Examples(tuple(inputs[0]), {}, targets)
    return Examples(tuple(inputs), {}, targets)


def _cut(batch: tuple[Any, ...], batch_size: int) -> list[Any]:
    if not all(isinstance(part, Tensor) and part.ndim and len(part) == len(batch[-1]) for part in batch):
        raise DataError("`batch_size` cuts up tensors that have as many rows each; cut these up yourself, into a list")
    return list(zip(*(part.split(batch_size) for part in batch), strict=True))


def _moved(given: Any, device: torch.device) -> Any:  # noqa: ANN401  # whatever a model takes
    if isinstance(given, Tensor):
        return given.to(device)
    if isinstance(given, Mapping):
        return {key: _moved(value, device) for key, value in cast("Mapping[Any, Any]", given).items()}
    if type(given) in (tuple, list):
        return type(given)(_moved(value, device) for value in given)
    return given


def _described(batch: object) -> str:
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)}"
    return f"a {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, tuple | list) else "")
