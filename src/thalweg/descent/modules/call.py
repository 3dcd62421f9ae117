"""The steps that one call of torch's L-BFGS takes, and what ends it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, dot

from thalweg.descent.modules.bracketing import Bracketing, Place
from thalweg.descent.modules.tensors import FlatTensors
from thalweg.errors import GradientError, NonFiniteGradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.directions.pairs import Pairs
    from thalweg.descent.modules.scaling import Scaling

_LEAST_CURVATURE = 1e-10
"""A pair with a smaller sᵀy is left out, as torch does."""


def least_evaluations(line_search_fn: str | None) -> int:
    """How many evaluations a call needs in order to move."""
    return 1 if line_search_fn is None else 2


class Call:
    """One call of `step`: the closure, the group and the state of torch's L-BFGS, and the pairs."""

    def __init__(  # what a call is given
        self,
        group: dict[str, Any],
        state: dict[str, Any],
        pairs: Pairs,
        closure: Callable[[], Any],
        scaling: Scaling,
        *,
        is_trusting: bool,
    ) -> None:
        self.first: Any = None
        self._group, self._state, self._pairs = group, state, pairs
        self._closure, self._scaling = closure, scaling
        self._is_trusting = is_trusting
        self._tensors = FlatTensors(group["params"])
        self._left: int = max(group["max_eval"], least_evaluations(group["line_search_fn"]))

    def descend(self) -> None:
        """Take the steps. Raises `NonFiniteGradientError` where torch would go on with what is not finite."""
        group, state = self._group, self._state
        here = self._look(0.0, None)
        if not self._is_good(here):
            raise NonFiniteGradientError("loss or gradient are not finite where the call begins; nothing has moved")
        if here.g.abs().max() <= group["tolerance_grad"]:
            return
        d, t, before = state.get("d"), state.get("t"), state.get("prev_flat_grad")
        value = state.get("prev_loss")
        try:
            for left in reversed(range(group["max_iter"])):
                state["n_iter"] += 1
                d, first = self._direction(here.g, d, t, before)
                before, value, t = here.g, here.f, first
                here = here._replace(t=0.0, slope=float(dot(here.g, d)))
                if here.slope > -group["tolerance_change"]:
                    break
                try:
                    here = self._move(here, d, first, is_last=not left)
                    t = here.t
                except NonFiniteGradientError:
                    t = 0.0
                    raise
                if not left or self._is_done(here, d, value):
                    break
        finally:
            state.update(d=d, t=t, prev_flat_grad=before, prev_loss=value)

    def _direction(self, g: Tensor, d: Tensor | None, t: Any, before: Tensor | None) -> tuple[Tensor, float]:  # noqa: ANN401  # a number, or torch's tensor of one
        """Where to go, after what the last step has shown, and the step to try first."""
        rate = float(self._group["lr"])
        if self._state["n_iter"] == 1 or d is None or before is None:
            self._pairs.clear()
            return -g, min(1.0, 1.0 / float(g.abs().sum())) * rate
        s, y = d * t, g - before
        curvature = dot(y, s)
        if curvature > _LEAST_CURVATURE:
            self._pairs.add(s, y, curvature)
        return self._pairs.times(g).neg(), rate

    def _move(self, here: Place, d: Tensor, t: float, *, is_last: bool) -> Place:
        """Go along the direction, as far as the search says or the step that was to be tried first."""
        x = self._tensors.read()
        if self._group["line_search_fn"] is None:
            self._tensors.place(torch.add(x, d, alpha=t))
            if is_last or not self._left:
                return here._replace(t=t)
            there = self._look(t, d)
            if not self._is_good(there):
                self._tensors.place(x)
                raise NonFiniteGradientError(
                    f"a step of {t:g} times the direction has led to where loss or gradient are not finite, and was "
                    "taken back; search with line_search_fn='strong_wolfe', or lower lr"
                )
            return there

        def look(t: float) -> Place:
            self._tensors.place(torch.add(x, d, alpha=t))
            return self._look(t, d)

        search = Bracketing(
            here,
            look,
            left=self._left,
            tolerance=self._group["tolerance_change"] / float(d.abs().max()),
            is_trusting=self._is_trusting,
        )
        there = search.from_step(t)
        self._tensors.place(torch.add(x, d, alpha=there.t) if there.t else x)
        return there

    def _is_done(self, here: Place, d: Tensor, before: float) -> bool:
        group = self._group
        return (
            not self._left
            or bool(here.g.abs().max() <= group["tolerance_grad"])
            or bool((d * here.t).abs().max() <= group["tolerance_change"])
            or abs(here.f - before) < group["tolerance_change"]
        )

    def _look(self, t: float, d: Tensor | None) -> Place:
        """Evaluate the closure where the parameters are."""
        self._left -= 1
        self._state["func_evals"] += 1
        with torch.enable_grad():
            loss = self._closure()
        if self.first is None:
            self.first = loss
        if all(parameter.grad is None for parameter in self._group["params"]):
            raise GradientError("the closure left no gradients; let it clear them, go backward and return the loss")
        self._scaling.unscale()
        g = self._tensors.gradient()
        return Place(t, float(loss), g, 0.0 if d is None else float(dot(g, d)))

    def _is_good(self, place: Place) -> bool:
        return self._is_trusting or (math.isfinite(place.f) and bool(place.g.isfinite().all()))
