"""The contender that runs under JAX: optax's optimizer, its whole step compiled, its buffers given away.

JAX and optax are used where they are installed, and asked for nowhere.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch

from thalweg.lab.bench.turns import Contender, on_host

if TYPE_CHECKING:
    from collections.abc import Generator

    from thalweg.lab.bench.model import Model
    from thalweg.lab.bench.twins import Call

OPTAX = "optax"


def has_optax() -> bool:
    """Whether JAX and optax are installed."""
    return all(importlib.util.find_spec(name) for name in ("jax", "optax"))


def optaxs(call: Call, model: Model) -> list[Contender]:
    """Optax's optimizer under jit; none where this optax has it not, or JAX not this device."""
    jax, optax = importlib.import_module("jax"), importlib.import_module("optax")
    name, settings = call
    try:
        make = attrgetter(name)(optax)
        device = _device(model.device)
    except (AttributeError, RuntimeError):
        return []
    if model.dtype == torch.float64:
        jax.config.update("jax_enable_x64", True)  # noqa: FBT003  # JAX's own way
    transformation = make(**settings)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(parameters: Any, state: Any, gradients: Any) -> tuple[Any, Any]:  # noqa: ANN401  # trees of JAX arrays
        moves, state = transformation.update(gradients, state, parameters)
        return optax.apply_updates(parameters, moves), state

    parameters = _to_jax(model.values, device)
    gradients = _to_jax(model.gradients, device)
    begun = transformation.init(parameters)
    held = (parameters, jax.tree.map(jax.numpy.array, begun))  # copies: some states begin as the parameters themselves

    def step() -> None:
        nonlocal held
        held = update(*held, gradients)

    stopwatch = functools.partial(on_host, wait=lambda: jax.block_until_ready(held))
    written = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    return [Contender(OPTAX, f"optax.{name}({written})", step, stopwatch)]


def _to_jax(tensors: list[torch.Tensor], device: Any) -> list[Any]:  # noqa: ANN401  # JAX arrays
    jax = importlib.import_module("jax")
    dtype = str(tensors[0].dtype).removeprefix("torch.")
    arrays = [tensor.to(torch.float64 if dtype == "float64" else torch.float32).numpy(force=True) for tensor in tensors]
    return [jax.device_put(jax.numpy.array(array, dtype=dtype), device) for array in arrays]


@functools.cache
def _device(device: str) -> Any:  # noqa: ANN401  # JAX's device
    """JAX's name for the device, on the CPU with as many threads as torch; a `RuntimeError` if it has none such."""
    jax = importlib.import_module("jax")
    with processors(torch.get_num_threads()):
        return jax.devices("gpu" if device == "cuda" else "cpu")[0]


@contextlib.contextmanager
def processors(count: int) -> Generator[None]:
    """How many threads JAX's CPU client starts: XLA reads it here, once, and has no other setting for it."""
    before = os.environ.get("NPROC")
    os.environ["NPROC"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["NPROC"]
        else:
            os.environ["NPROC"] = before
