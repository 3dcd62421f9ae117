"""Torch's optimizers with the settings that the drop-ins are compared with, and pairs of both."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch

import thalweg as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from torch import Tensor

NAMES = ("SGD", "Rprop", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax", "AdamW", "RAdam")
Settings = dict[str, object]
CASES: tuple[tuple[str, Settings], ...] = (
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.02, "momentum": 0.9}),
    ("SGD", {"lr": 0.02, "momentum": 0.8, "dampening": 0.4}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.02, "momentum": 0.7, "dampening": 1.0}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.05, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.05, "initial_accumulator_value": 0.3, "eps": 1e-4}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "centered": True, "eps": 1e-4}),
    ("RMSprop", {"momentum": 0.8}),
    ("RMSprop", {"momentum": 0.8, "centered": True, "eps": 1e-4}),
    ("RMSprop", {"weight_decay": 0.1, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-4, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "betas": (0.9, 0.9)}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {"weight_decay": 0.0}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.02, "betas": (0.9, 0.5), "maximize": True}),
)
OF_TENSORS = ("Adafactor", "NAdam", "ASGD")
"""Those that keep numbers of a tensor, a row or a column.

torch has a tensor's in the default dtype, whatever that of the parameter is, and Adafactor's takes no empty tensor.
"""
OF_TENSORS_CASES: tuple[tuple[str, Settings], ...] = (
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.05, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 1.5, "weight_decay": 0.1}),
    ("Adafactor", {"eps": (0.0, 1e-2), "d": 2.0, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.02, "lambd": 0.1, "alpha": 0.6, "t0": 5.0}),
    ("ASGD", {"t0": 0.0, "weight_decay": 0.1, "maximize": True}),
)
WITH_STATE = tuple(case for case in CASES if "maximize" not in case[1])


OF_TENSORS_WITH_STATE = tuple(case for case in OF_TENSORS_CASES if "maximize" not in case[1])


def suited(name: str, shapes: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those of the shapes that torch's optimizer of this name takes."""
    if name == "Muon":
        return [shape for shape in shapes if len(shape) == 2]
    return [shape for shape in shapes if name != "Adafactor" or math.prod(shape)]


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Generator[None]:
    """Meanwhile, torch keeps numbers in this dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def label(case: tuple[str, Settings]) -> str:
    name, settings = case
    return f"{name}({', '.join(f'{key}={value}' for key, value in settings.items())})"


def ours(name: str) -> Callable[..., tw.Optimizer]:
    return getattr(tw, name)


def theirs(name: str) -> Callable[..., torch.optim.Optimizer]:
    return getattr(torch.optim, name)


def state_of(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Any]:
    """A parameter's state without the entries that stand for nothing."""
    return {name: value for name, value in optimizer.state[parameter].items() if value is not None}
