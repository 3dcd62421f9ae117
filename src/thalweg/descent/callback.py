"""Telling the user of each step, in whichever of SciPy's two ways the callback asks for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from thalweg.descent.result import Intermediate

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial


class Callback:
    """A user's callback, as `callback(x)` or `callback(intermediate_result=…)`."""

    def __init__(self, callback: Callable[..., object] | None, objective: Objective) -> None:
        self._callback = callback
        self._objective = objective
        self._by_name = callback is not None and _parameters(callback) == {"intermediate_result"}

    def __call__(self, here: Trial, nit: int) -> bool:
        """Tell of a step, and say whether to stop there."""
        if self._callback is None:
            return False
        own = self._objective
        x = here.x.clone().view(own.shape)
        try:
            if not self._by_name:
                self._callback(x)
            else:
                jac = None if own.values_only else here.g.clone().view(own.shape)
                self._callback(
                    intermediate_result=Intermediate(
                        x=x, fun=here.f, jac=jac, nit=nit, nfev=own.nfev, njev=own.njev, nhvp=own.nhvp
                    )
                )
        except StopIteration:
            return True
        return False


def _parameters(callback: Callable[..., object]) -> set[str]:
    try:
        return set(inspect.signature(callback).parameters)
    except (TypeError, ValueError):  # a builtin that does not say
        return set()
