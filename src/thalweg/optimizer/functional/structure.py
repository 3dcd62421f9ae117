"""How parameters are given, and what belongs to them: by name in a dictionary, or by order in a tuple or a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.errors import ParameterError


@dataclass(frozen=True)
class Structure:
    """The names of parameters, or only how many there are."""

    names: tuple[str, ...] | None
    count: int
    kind: type = dict

    @classmethod
    def of(cls, params: object) -> Structure:
        """That of these parameters. Raises `ParameterError` for what is none, or no tensors that can be stepped."""
        if isinstance(params, Mapping):
            structure = cls(tuple(params), len(params))
        elif isinstance(params, tuple | list):
            structure = cls(None, len(params), list if isinstance(params, list) else tuple)
        else:
            message = (
                f"the parameters are a {type(params).__name__}, and must be a dictionary, a tuple or a list of "
                "tensors; those of a module are dict(model.named_parameters())"
            )
            raise ParameterError(message)
        if not structure.count:
            raise ParameterError("there are no parameters to step; was a generator of them used up before?")
        for label, value in zip(structure.labels, structure.read(params, "the parameters"), strict=True):
            if not isinstance(value, torch.Tensor) or not value.is_floating_point():
                kind = f"of dtype {value.dtype}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
                raise ParameterError(f"{label} is {kind}, and must be a tensor of real numbers")
        return structure

    @property
    def labels(self) -> list[str]:
        """What an error calls each parameter."""
        if self.names is None:
            return [f"parameter {at}" for at in range(self.count)]
        return [f"`{name}`" for name in self.names]

    def read(self, values: object, called: str) -> list[Any]:
        """What belongs to each parameter, in their order. Raises `ParameterError` where something is missing.

        A sequence may stand for a dictionary: `torch.autograd.grad` gives a tuple.
        """
        if isinstance(values, Mapping) and self.names is not None:
            missing = [name for name in self.names if name not in values]
            unknown = [str(name) for name in values if name not in self.names]
            if missing or unknown:
                what = f"lack {', '.join(missing)}" if missing else f"have {', '.join(unknown)}, which is no parameter"
                raise ParameterError(f"{called} {what}; give one for each parameter, by its name")
            return [values[name] for name in self.names]
        if not isinstance(values, Sequence) or isinstance(values, str):
            kind = "a dictionary or a sequence" if self.names is not None else "a sequence"
            raise ParameterError(f"{called} are a {type(values).__name__}, and must be {kind} as the parameters are")
        if len(values) != self.count:
            raise ParameterError(f"{called} are {len(values)}, and there are {self.count} parameters")
        return list(values)

    def build(self, values: Sequence[Any]) -> Any:  # noqa: ANN401  # a dictionary, a tuple or a list
        """Values in the parameters' order, put together as the parameters are."""
        return dict(zip(self.names, values, strict=True)) if self.names is not None else self.kind(values)
