"""Steps those rows of a parameter that a sparse gradient has values for; the others are not touched.

A row is what one index stands for: that of an embedding's table, or a single element where all dimensions are sparse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from thalweg.errors import GradientError
from thalweg.kernels.plan import Moved
from thalweg.kernels.reference import compute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Plan


FEW = 2**13
"""Up to how many values are added sooner than an engine is ready."""


class Engine(Protocol):
    """What computes a plan of one pass on the rows of some parameters; see `ReferenceRows`."""

    def run(self, gradients: Sequence[Tensor], constants: Sequence[Sequence[float]]) -> int | None:
        """Step the rows of these coalesced gradients, each with its constants.

        Gives the place of the first tensor with a gradient that is not finite, if it is to look, and leaves such
        elements as they were.
        """
        ...


class RowBinding:
    """Ties an engine to parameters with sparse gradients; with the face of other bindings."""

    def __init__(self, engine: Engine, parameters: Sequence[Tensor], plan: Plan) -> None:
        self._engine = engine
        self._parameters = list(parameters)
        self._adds = repr(plan.stores) == "(('p', subtract(p, multiply(k0, g))),)"
        """Whether a step is a sum, so that a row may be in a gradient several times."""
        self._constants: list[Sequence[float]] = [()]
        self._rows = [0] * len(parameters)
        self._bound = [(p.shape, p.dtype, p.stride()) for p in parameters]
        self._gradients: list[Tensor] = []
        self._are_added: list[bool] = []

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row of the table, in the plan's order."""
        self._constants[row] = tuple(values)

    def set_rows(self, rows: Iterable[int], count: int) -> None:
        """The row of the table of each tensor, and how many there are."""
        self._rows = [int(row) for row in rows]
        self._constants += [()] * (count - len(self._constants))

    def find(self) -> None:
        """Find the gradients, before `run`.

        Raises `TypeError` if one is None, `RuntimeError` if one is not sparse, and `Moved` if a parameter has another
        shape, dtype or layout than it had; `GradientError` for an index outside of a parameter.
        """
        if [(p.shape, p.dtype, p.stride()) for p in self._parameters] != self._bound:
            raise Moved
        found = [_found(parameter, adds=self._adds) for parameter in self._parameters]
        self._gradients, self._are_added = map(list, zip(*found, strict=True))

    def release(self) -> None:
        """Let go of the gradients that `find` holds."""
        self._gradients = []

    def count(self) -> None:
        """Tell autograd that the parameters have changed."""
        torch.autograd.graph.increment_version([p for p in self._parameters if not p.is_inference()])

    def wait(self) -> None:
        """Nothing to wait for: what a step finds, it tells at once."""

    def gathered(self, place: int = -1) -> dict[str, Tensor]:  # noqa: ARG002  # there is one pass
        """Nothing: a plan that gathers takes no sparse gradient."""
        return {}

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Nothing, as for `gathered`."""

    def run(self, place: int = -1) -> int | None:  # noqa: ARG002  # there is one pass
        """Step the rows; gives the place of the first tensor with a gradient that is not finite, if it looks."""
        constants = [self._constants[row] for row in self._rows]
        gradients = self._gradients
        if any(self._are_added):
            four = zip(self._parameters, gradients, constants, self._are_added, strict=True)
            gradients = [_add(p, gradient, -own[0]) if is_added else gradient for p, gradient, own, is_added in four]
        first = self._engine.run(gradients, constants)
        self.release()
        return first

    def look(self) -> int | None:
        """The place of the first tensor with a gradient that is not finite; nothing is changed."""
        pairs = zip(self._gradients, self._are_added, strict=True)
        good = (is_added or bool(torch.isfinite(one.values()).all()) for one, is_added in pairs)
        return next((place for place, one in enumerate(good) if not one), None)


class Look:
    """Looks whether all gradients are finite that a `RowBinding` has found; the same face."""

    def __init__(self, rows: RowBinding) -> None:
        self._rows = rows

    def find(self) -> None:
        """Nothing: they have been found."""

    def run(self, place: int = -1) -> int | None:  # noqa: ARG002  # there is one pass
        """The place of the first tensor with a gradient that is not finite."""
        return self._rows.look()


class ReferenceRows:
    """An engine of torch's operations, on copies of the rows: for any device and memory layout."""

    def __init__(
        self, plan: Plan, parameters: Sequence[Tensor], states: Sequence[Mapping[str, Tensor]], *, guard: bool
    ) -> None:
        self._plan = plan
        self._arrays = [{"p": p, **state} for p, state in zip(parameters, states, strict=True)]
        self._guard = guard

    @torch.no_grad()
    def run(self, gradients: Sequence[Tensor], constants: Sequence[Sequence[float]]) -> int | None:
        """Step the rows of these coalesced gradients, each with its constants; see `Engine`."""
        first: int | None = None
        for at, (whole, gradient, own) in enumerate(zip(self._arrays, gradients, constants, strict=True)):
            index, values = tuple(gradient.indices()), gradient.values()
            if not values.numel():
                continue
            arrays = {slot: tensor[index] for slot, tensor in whole.items()} | {"g": values}
            new, _ = compute(self._plan, self._plan.passes[0], arrays, own)
            good = torch.isfinite(values) if self._guard else None
            if good is not None and first is None and not bool(good.all()):
                first = at
            for slot, value in new.items():
                kept = value if good is None else torch.where(good, value, arrays[slot].to(value.dtype))
                whole[slot][index] = kept.to(whole[slot].dtype)
        return first


def _found(parameter: Tensor, *, adds: bool) -> tuple[Tensor, bool]:
    """A parameter's gradient, and whether it may be added as it is; else each index stands in it once.

    Raises `GradientError` for an index that is none of the parameter's.
    """
    gradient = parameter.grad
    if gradient is None:
        message = "a gradient is None"
        raise TypeError(message)
    if gradient.layout != torch.sparse_coo:
        message = "a gradient is not sparse"
        raise RuntimeError(message)
    found = gradient.detach()
    indices, values = found._indices(), found._values()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # of repeated ones, torch gives no others
    is_quick = found.is_cpu and (not found.is_coalesced() or values.numel() <= FEW)
    adds = adds and is_quick and found.dtype == parameter.dtype and _sums_stay_finite(values)
    if found.is_cpu and values.numel():
        places = indices.numpy()  # torch itself looks at them only if asked to
        sizes = found.shape[: len(places)]
        if (places.min(axis=1) < 0).any() or (places.max(axis=1) >= sizes).any():
            message = f"a sparse gradient of shape {tuple(found.shape)} has an index outside of it"
            raise GradientError(message)
    return (found if adds else found.coalesce()), adds


def _sums_stay_finite(values: Tensor) -> bool:
    """Whether no sum of a gradient's values can be other than finite."""
    if not values.numel():
        return False
    low, high = torch.aminmax(values)
    return max(-float(low), float(high)) * len(values) < torch.finfo(values.dtype).max


@torch.no_grad()
def _add(parameter: Tensor, gradient: Tensor, factor: float) -> Tensor:
    """Add a gradient to a parameter, some of its rows several times; gives one without rows, which is left."""
    parameter.add_(gradient, alpha=factor)
    indices, values = gradient._indices(), gradient._values()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # as above
    none, shape = (indices[:, :0], values[:0]), gradient.shape
    return torch.sparse_coo_tensor(*none, size=shape, is_coalesced=True, check_invariants=False)
