"""L-BFGS with the arguments, numbers and `state_dict` of torch's, and none of its surprises."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import torch

from thalweg.descent.modules.call import Call, least_evaluations
from thalweg.descent.modules.scaling import Scaling
from thalweg.descent.modules.tensors import FlatTensors
from thalweg.descent.modules.torch_state import check_fits, take_history, with_history
from thalweg.descent.modules.variables import name_of
from thalweg.errors import DescentError, HyperparameterError, NonFiniteGradientError, ParameterError, did_you_mean
from thalweg.formula import Hyperparameter, Range
from thalweg.optimizer.given import Parameters, as_groups
from thalweg.optimizer.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor
    from torch.amp import GradScaler

    from thalweg.descent.directions.pairs import Pairs
    from thalweg.optimizer.closures.evaluations import Handle

_POLICIES = ("raise", "skip", "propagate")
_RANGES = {"lr": Range(0), "max_iter": Range(0), "max_eval": Range(1), "history_size": Range(1)}


class LBFGS(torch.optim.Optimizer):
    """Drop-in for `torch.optim.LBFGS`: its arguments, numbers and `state_dict`, in both directions.

    For new code there is `DescentOptimizer(model, "lbfgs")`, whose line search asks for fewer evaluations, and which
    has groups, weight decay and budgets. Where torch's goes astray, this one does not: `max_eval` is never exceeded,
    also where torch evaluates once more; a place of the line where loss or slope are not finite is too far, and the
    search comes nearer; without a search, a step to such a place is taken back. `nonfinite` says what then happens:
    `"raise"` an error, `"skip"` an end of the call that is counted in `skipped`; `"propagate"` does as torch does.

    As torch's, it takes one group, all of one dtype on one device. The history is kept as two matrices, with which a
    direction is a few operations, however many pairs there are.

    Raises `HyperparameterError` for settings out of range, `ParameterError` for parameters that cannot be one vector.

    >>> import thalweg as tw, torch
    >>> p = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    >>> optimizer = tw.LBFGS([p], max_iter=100, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> p.detach().round(decimals=4)
    tensor([1., 1.], dtype=torch.float64)
    """

    def __init__(  # noqa: PLR0913  # torch's, in torch's order
        self,
        params: Parameters,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: Literal["strong_wolfe"] | None = None,
        *,
        nonfinite: Literal["raise", "skip", "propagate"] = "raise",
    ) -> None:
        if nonfinite not in _POLICIES:
            raise HyperparameterError(f"`nonfinite` is {nonfinite!r}; {did_you_mean(str(nonfinite), _POLICIES)}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise HyperparameterError(f"LBFGS: `line_search_fn` is {line_search_fn!r}; give 'strong_wolfe' or None")
        least = least_evaluations(line_search_fn)
        if max_eval is not None and max_eval < least:
            raise HyperparameterError(f"LBFGS: `max_eval` is {max_eval!r}; it must be {least} or more to make a step")
        settings: dict[str, Any] = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max(max_iter * 5 // 4, least) if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        for name, allowed in _RANGES.items():
            Hyperparameter(name, None, allowed).check(settings[name] if name != "lr" else float(lr), "LBFGS")
        self.nonfinite = nonfinite
        self.skipped = 0
        self._handles: list[Handle] = []
        self._pairs: Pairs | None = None
        super().__init__(as_groups(params), settings)
        if len(self.param_groups) != 1:
            raise ParameterError(
                "LBFGS takes one group of parameters, as torch's does; `DescentOptimizer(…, 'lbfgs')` takes several"
            )

    @uncompiled
    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's has two overloads for this one
        self, closure: Callable[[], Any] | None = None, *, scaler: GradScaler | None = None
    ) -> Any:  # noqa: ANN401  # what the closure returns
        """Take up to `max_iter` steps of L-BFGS; gives what the closure returned first.

        The closure clears the gradients, goes backward and returns the loss. Where it scales the loss by a gradient
        scaler, give that, too, and call `scaler.update()` afterwards, neither `scaler.step` nor `scaler.unscale_`.

        Raises `NonFiniteGradientError` (see `nonfinite`), with the parameters where they were finite.
        """
        if closure is None:
            raise DescentError("LBFGS evaluates the loss as often as it needs to; give `step` a closure")
        group = self.param_groups[0]
        state = self.state[group["params"][0]]  # torch's place for it
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        scaling = Scaling(self, scaler, self._handles, needs_curvature=False)
        call = Call(group, state, self._history(), closure, scaling, is_trusting=self.nonfinite == "propagate")
        try:
            call.descend()
        except NonFiniteGradientError as error:
            if self.nonfinite == "raise" and not scaling:
                name = name_of(self.param_groups, lambda p: p.grad is not None and not bool(p.grad.isfinite().all()))
                raise NonFiniteGradientError(f"{error}" + (f" (the gradient of {name})" if name else "")) from None
            self.skipped += 1
        return call.first

    @property
    def nfev(self) -> int:
        """How often the closure was evaluated, in all calls."""
        return self.state[self.param_groups[0]["params"][0]].get("func_evals", 0)

    def state_dict(self) -> dict[str, Any]:
        """The state as `torch.optim.LBFGS` has it, which takes it, with what goes on to the bit here beside it."""
        with self._history_in_state():
            return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave, here or of `torch.optim.LBFGS`.

        Raises `CheckpointError`, and changes nothing, if it is another optimizer's or of other parameters.
        """
        check_fits(state_dict, self.param_groups, FlatTensors(self.param_groups[0]["params"]).size)
        super().load_state_dict(state_dict)
        self._pairs = None

    def __getstate__(self) -> dict[str, Any]:
        with self._history_in_state():
            own = {"nonfinite": self.nonfinite, "skipped": self.skipped}
            return super().__getstate__() | own | {"state": {**self.state}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.state = defaultdict(dict, self.state)
        self._pairs = None
        self._handles = []

    @contextlib.contextmanager
    def _history_in_state(self) -> Generator[None]:
        """Meanwhile, the pairs are where torch has them."""
        group = self.param_groups[0]
        first = group["params"][0]
        live = self.state.get(first)
        if live and self._pairs is not None:
            self.state[first] = with_history(live, self._pairs, group["history_size"])
        try:
            yield
        finally:
            if live:
                self.state[first] = live

    def _history(self) -> Pairs:
        """The pairs, from a state that was loaded if there is one, with as much memory as the group says now."""
        group = self.param_groups[0]
        memory = group["history_size"]
        state = self.state[group["params"][0]]
        if self._pairs is not None and self._pairs.memory != memory:
            state = self.state[group["params"][0]] = with_history(state, self._pairs, memory)
            self._pairs = None
        if self._pairs is None:
            self._pairs = take_history(state, memory)
        return self._pairs
