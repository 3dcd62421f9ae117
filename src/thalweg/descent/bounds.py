"""Between which values each variable must stay, as SciPy is told of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import scipy.optimize
import torch

from thalweg.errors import DescentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Bounds:
    """The lower and upper bounds, flat, infinite where there is none, and which variables they leave free."""

    low: Tensor
    high: Tensor
    free: NDArray[np.bool_]

    @classmethod
    def read(cls, given: object, start: Tensor) -> Bounds:
        """A pair (low, high) for each element of the start, or `scipy.optimize.Bounds`, or `None`.

        Raises `DescentError` for bounds that do not fit the start, are crossed, or do not contain it.
        """
        low, high = _ends(given, start)
        x = start.reshape(-1)
        for i in range(x.numel()):
            between, value = f"variable {i} lies in [{low[i]:g}, {high[i]:g}]", float(x[i])
            if math.isnan(low[i]) or math.isnan(high[i]) or low[i] == math.inf or high[i] == -math.inf:
                raise DescentError(f"bounds: {between}; a bound is a number, or None where there is none")
            if low[i] > high[i]:
                raise DescentError(f"bounds: {between}, where no point is; the lower bound comes first")
            if not low[i] <= value <= high[i]:
                raise DescentError(f"bounds: {between}, and x0 has {value:g} there; start within the bounds")
        return cls(low, high, (low < high).cpu().numpy())

    @property
    def any(self) -> bool:
        """Whether there is any bound at all."""
        return bool(self.low.isfinite().any() or self.high.isfinite().any())

    def first_open(self) -> int | None:
        """The first variable that has not two bounds."""
        is_open = ~(self.low.isfinite() & self.high.isfinite())
        return int(is_open.nonzero()[0]) if bool(is_open.any()) else None

    def free_of(self, x: Tensor) -> NDArray[np.float64]:
        """The free variables of a flat point, in float64."""
        return x.detach().cpu().numpy().astype(np.float64)[self.free]

    def whole(self, x: NDArray[np.float64], like: Tensor) -> Tensor:
        """The flat point with these free variables, of the dtype and on the device of another."""
        found = torch.as_tensor(x.copy()).to(like)
        if not self.free.all():
            filled = self.low.clone()
            filled[torch.from_numpy(self.free).to(like.device)] = found
            found = filled
        return found.clamp(self.low, self.high)


def _ends(given: Any, start: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401  # user code may pass anything
    if given is None:
        return torch.full_like(start, -math.inf).reshape(-1), torch.full_like(start, math.inf).reshape(-1)
    try:
        if isinstance(given, scipy.optimize.Bounds):
            ends = [np.broadcast_to(np.asarray(end, float), tuple(start.shape)) for end in (given.lb, given.ub)]
            return _tensor(ends[0], start), _tensor(ends[1], start)
        pairs = [(low, high) for low, high in cast("Iterable[Any]", given)]
        low = [-math.inf if end is None else float(end) for end, _ in pairs]
        high = [math.inf if end is None else float(end) for _, end in pairs]
    except (TypeError, ValueError, RuntimeError) as failure:
        raise DescentError(
            f"bounds: {given!r} is no sequence of pairs (low, high), one for each of the {start.numel()} elements of "
            f"x0, nor `scipy.optimize.Bounds` of its shape: {failure}"
        ) from None
    if len(pairs) != start.numel():
        raise DescentError(f"bounds: there are {len(pairs)} pairs (low, high), and x0 has {start.numel()} elements")
    return _tensor(low, start), _tensor(high, start)


def _tensor(end: object, start: Tensor) -> Tensor:
    return torch.as_tensor(np.array(end, np.float64).reshape(-1)).to(start)
