"""An optimizer's state in a file: tensors by name with their exact values, all else as JSON, no code."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import CheckpointError
from thalweg.optimizer.named import check_optimizer, load_named_state, named_state
from thalweg.optimizer.sharding import is_spread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch.nn import Module

    from thalweg.optimizer.fitting import Settings
    from thalweg.optimizer.load_report import LoadReport
    from thalweg.optimizer.optimizer import Optimizer

ENTRY = "thalweg.optimizer"
"""The entry of the file's metadata that says everything but the tensors' values."""
_MARK = "$"
_TENSOR, _TUPLE = "$tensor", "$tuple"


def save(optimizer: Optimizer, path: str | os.PathLike[str], *, model: Module | None = None) -> None:
    """Write the optimizer's state to a file, keyed by the parameters' names; `load` reads it.

    The file is a safetensors file: every tensor exactly as it is, and no code that loading would run. It appears under
    its name when it is whole, so that a crash leaves the one before. The names are those that the optimizer was made
    with, or those in `model`. The parameters themselves are the model's to save.

    Raises `ParameterError` if the parameters have no names, and `CheckpointError` if it cannot be written.

    >>> import os, tempfile, thalweg as tw, torch
    >>> optimizer = tw.Optimizer(torch.nn.Linear(2, 1), tw.chain(tw.adam(), tw.step(0.1)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(optimizer, os.path.join(folder, "optimizer.safetensors"))
    ...     print(load(optimizer, os.path.join(folder, "optimizer.safetensors")))
    loaded 2 parameters
    """
    from safetensors import SafetensorError  # noqa: PLC0415  # only where a file is written or read
    from safetensors.torch import save_file  # noqa: PLC0415

    packing = _Packing()
    text = json.dumps(packing.pack(named_state(optimizer, model=model), ""))
    try:
        with _appearing(Path(path).resolve()) as unfinished:
            save_file(packing.tensors, unfinished, metadata={"format": "pt", ENTRY: text})
    except KeyError as error:
        message = f"the state has a tensor of {error}, which cannot be written to a file"
        raise CheckpointError(message) from error
    except (OSError, SafetensorError) as error:
        message = f"the checkpoint cannot be written to {path}: {error}"
        raise CheckpointError(message) from error


def load(
    optimizer: Optimizer,
    path: str | os.PathLike[str],
    *,
    model: Module | None = None,
    strict: bool = True,
    settings: Settings = "saved",
) -> LoadReport:
    """Take over the state that `save` wrote, each parameter's by its name, and say what was loaded.

    For `strict` and `settings`, see `load_named_state`. A run that is resumed so goes on as if it had not stopped.

    Raises `CheckpointError`, and changes nothing, if the file is not whole or the state does not fit.
    """
    check_optimizer(optimizer)
    return load_named_state(optimizer, _read(path), model=model, strict=strict, settings=settings)


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  # only where a file is written or read

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(ENTRY)
            if text is None:
                message = f"{path} holds tensors, and no optimizer's state that `thalweg.save` wrote"
                raise CheckpointError(message)
            return _unpacked(json.loads(text), file.get_tensor)
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        missing = isinstance(error, FileNotFoundError)
        message = f"there is no checkpoint at {path}" if missing else f"{path} is no whole checkpoint: {error}"
        raise CheckpointError(message) from error


@contextlib.contextmanager
def _appearing(target: Path) -> Generator[Path]:
    """A path to write to; what was written appears under the target's name when it is whole and on disk."""
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.unfinished")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _Packing:
    """Makes JSON of plain values, and sets the tensors aside by the path to them."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._memory: set[int] = set()

    def pack(self, value: Any, path: str) -> Any:  # noqa: ANN401  # any plain value
        """The value as JSON. Raises `CheckpointError` for one that is not plain."""
        match value:
            case torch.Tensor():
                key = path
                while key in self.tensors:
                    key += _MARK
                self.tensors[key] = self._alone(value, path)
                return {_TENSOR: key}
            case dict():
                if not all(isinstance(key, str) for key in value):
                    message = f"`{path}` has a key that is no text; only texts can name what is written to a file"
                    raise CheckpointError(message)
                return {
                    f"{_MARK}{key}" if key.startswith(_MARK) else key: self.pack(part, f"{path}/{key}".lstrip("/"))
                    for key, part in value.items()
                }
            case list():
                return [self.pack(part, f"{path}/{at}") for at, part in enumerate(value)]
            case tuple():
                return {_TUPLE: self.pack(list(value), path)}
            case None | bool() | str():
                return value
            case Real():
                return int(value) if isinstance(value, Integral) else float(value)
            case _:
                message = (
                    f"`{path}` is {value!r}, a {type(value).__name__}, which cannot be written to a file; remove it "
                    "from the group, or put `named_state` into a checkpoint of your own"
                )
                raise CheckpointError(message)

    def _alone(self, tensor: torch.Tensor, path: str) -> torch.Tensor:
        """The tensor in memory of its own and without gaps: itself where it lies so, else a copy."""
        if tensor.layout != torch.strided:
            message = f"`{path}` is a {tensor.layout} tensor; only dense ones are written to a file"
            raise CheckpointError(message)
        if is_spread(tensor):
            message = (
                f"`{path}` lies on several processes, and a file is written by one; save the optimizer with "
                "torch.distributed.checkpoint"
            )
            raise CheckpointError(message)
        tensor = tensor.detach()
        memory = tensor.untyped_storage()
        alone = memory.data_ptr() not in self._memory and memory.nbytes() == tensor.numel() * tensor.itemsize
        if not (alone and tensor.is_cpu and tensor.is_contiguous()) or tensor.is_neg() or tensor.is_conj():
            return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor)
        if tensor.numel():
            self._memory.add(memory.data_ptr())
        return tensor


def _unpacked(value: Any, tensor: Callable[[str], torch.Tensor]) -> Any:  # noqa: ANN401  # any plain value
    """What `_packed` was given."""
    match value:
        case {"$tensor": key}:
            return tensor(key)
        case {"$tuple": parts}:
            return tuple(_unpacked(part, tensor) for part in parts)
        case dict():
            return {key.removeprefix(_MARK): _unpacked(part, tensor) for key, part in value.items()}
        case list():
            return [_unpacked(part, tensor) for part in value]
        case _:
            return value
