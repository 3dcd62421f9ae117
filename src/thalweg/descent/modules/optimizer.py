"""The optimizer that trains a module by a descent: each `step(closure)` goes on with it."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, Literal

import torch

from thalweg.descent import stopping
from thalweg.descent.descent import Course, Descent
from thalweg.descent.engine import run
from thalweg.descent.failures import BudgetSpentError, Status
from thalweg.descent.methods import composed
from thalweg.descent.modules.closure import ClosureFunction
from thalweg.descent.modules.curvature_closure import CurvatureClosure
from thalweg.descent.modules.groups import Groups
from thalweg.descent.modules.saved import METHOD, check_fits, described
from thalweg.descent.modules.scaling import Scaling
from thalweg.descent.modules.variables import Variables, name_of
from thalweg.descent.steps.fixed import Fixed
from thalweg.descent.steps.step_size import StepSize
from thalweg.errors import DescentError, HyperparameterError, NonFiniteGradientError, did_you_mean
from thalweg.optimizer.given import Parameters, as_groups
from thalweg.optimizer.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.amp import GradScaler

    from thalweg.descent.engine import Ending
    from thalweg.descent.trial import Trial
    from thalweg.optimizer.closures.evaluations import Handle

_POLICIES = ("raise", "skip")
_SPENT = ("nfev", "njev", "nhvp")
_KEPT = ("nit", *_SPENT, "skipped")
_OWN_FIELDS = (
    *("method", "max_iter", "max_eval", "max_eval_in_all", "nonfinite", "status", "message"),
    *("_groups", "_signature", "_is_deterministic"),
)


class DescentOptimizer(torch.optim.Optimizer):
    """Trains a module by a descent over all of its parameters: L-BFGS, conjugate gradients, Newton-CG, your own.

    `method` is a name (see `thalweg.descent.methods`) with its settings by keyword, or a `descent(…)`, as for
    `minimize`. Each `step(closure)` goes on with the descent, for `max_iter` steps and `max_eval` evaluations at most,
    until its stopping rule is met; `max_eval_in_all` bounds the evaluations of all calls. What the method has learned
    is kept from call to call, and in `state_dict`, with which a run goes on to the bit.

    `params` is a module, tensors, (name, tensor) or groups. All are moved together; what groups may have of their own
    is `weight_decay`, which adds ½·weight_decay·‖p‖² to the loss, and `scale`: the descent is made in p/√scale, so that
    a step along −g is `scale` times as long there. Where the step size is a number, it is `lr` in the groups, the same
    in all, and torch's schedulers may drive it. Frozen parameters are left out; when others are frozen, or a `scale`
    has changed, what was learned is dropped.

    `nfev`, `njev` and `nhvp` count evaluations, gradients and products with the Hessian, `nit` steps, of all calls;
    `status` and `message` say how the last call ended. Where loss or gradient are not finite, and there is no way
    around, `nonfinite="raise"` raises an error and `"skip"` counts the call in `skipped`.

    Raises:
        UnknownNameError: there is no such method, or it has no such option.
        DescentError, HyperparameterError: parts that do not fit together, a number out of its range.
        ParameterError: no parameters, or of a dtype that cannot be stepped.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1, dtype=torch.float64)
    >>> x, y = torch.tensor([[1.0, 2.0], [2.0, -1.0]]).double(), torch.tensor([[3.0], [4.0]]).double()
    >>> optimizer = tw.DescentOptimizer(model, "lbfgs", memory=5)
    >>> loss = optimizer.step(lambda: (model(x) - y).square().mean())
    >>> optimizer.converged
    True
    """

    def __init__(  # each says something else of how to descend
        self,
        params: Parameters,
        method: str | Descent = "lbfgs",
        *,
        scale: float = 1.0,
        weight_decay: float = 0.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        max_eval_in_all: int | None = None,
        nonfinite: Literal["raise", "skip"] = "raise",
        **options: Any,
    ) -> None:
        if nonfinite not in _POLICIES:
            raise HyperparameterError(f"`nonfinite` is {nonfinite!r}; {did_you_mean(str(nonfinite), _POLICIES)}")
        self.method = composed(method, options)
        """The descent that is made."""
        self.max_iter = stopping.iterations(max_iter).count
        self.max_eval = None if max_eval is None else stopping.evaluations(max_eval).count
        self.max_eval_in_all = None if max_eval_in_all is None else stopping.evaluations(max_eval_in_all).count
        self.nonfinite = nonfinite
        self.nit = self.nfev = self.njev = self.nhvp = self.skipped = 0
        self.status: Status | None = None
        self.message = ""
        self._groups = Groups(self.method)
        self._signature: list[list[float]] | None = None
        self._is_deterministic = False
        self._handles: list[Handle] = []
        super().__init__(as_groups(params), self._groups.defaults(scale=scale, weight_decay=weight_decay))
        self._course = self._new_course()

    @property
    def converged(self) -> bool:
        """Whether the last call met a stopping rule other than a budget."""
        return self.status is Status.CONVERGED

    @uncompiled
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's has two overloads for this one
        self,
        closure: Callable[[], Any] | None = None,
        curvature_closure: Callable[[], Any] | None = None,
        *,
        scaler: GradScaler | None = None,
    ) -> Any:  # noqa: ANN401  # what the closure returns
        """Go on with the descent of what the closure computes; gives its loss where the call began.

        The closure returns the loss with its graph, which is differentiated as often as the method asks; or, as torch
        has it, it clears the gradients, goes backward and returns the loss, where one derivative is enough. A method
        that searches compares losses, so that the closure must give the same at the same parameters while the call
        lasts. Where it scales the loss by a gradient scaler, give that, too, and call `scaler.update()` afterwards,
        neither `scaler.step` nor `scaler.unscale_`.

        A method that takes the curvature through the outputs asks for (loss, outputs). The curvature may be that of
        other examples than the loss: `curvature_closure` returns (loss, outputs) for them, is evaluated once a
        step, and may draw what it likes.

        The parameters end where the descent has come to; where the budget cuts a search short, at the lowest point that
        was seen. Once `max_eval_in_all` is spent, the closure is not evaluated, and the result `None`.

        Raises:
            DescentError: the closure is not deterministic, the loss not bounded below, the direction no descent.
            NonFiniteGradientError: loss or gradient are not finite, and there is no way around.
            GradientError: a closure that returns no loss, or whose loss cannot be differentiated so often.
        """
        if closure is None:
            raise DescentError(
                f"{type(self).__name__} evaluates the loss as often as it needs to; give `step` a closure that returns "
                "it"
            )
        left = math.inf if self.max_eval_in_all is None else self.max_eval_in_all - self.nfev - self.nhvp
        if left < 1:
            self.status = Status.BUDGET_SPENT
            self.message = f"the budget of {self.max_eval_in_all} evaluations in all is spent"
            return None
        began = time.monotonic()
        direction = self.method.direction
        if curvature_closure is not None and not direction.needs_outputs:
            raise DescentError(f"{direction!r} takes no curvature through outputs; leave out `curvature_closure`")
        rules = self.method.stop.parts
        counts = [rule.count for rule in rules if isinstance(rule, stopping.evaluations)]
        limits = [rule.limit for rule in rules if isinstance(rule, stopping.seconds)]
        function = ClosureFunction(
            closure,
            self._variables(),
            scaling=Scaling(
                self, scaler, self._handles, needs_curvature=direction.needs_curvature or direction.needs_outputs
            ),
            needs_curvature=direction.needs_curvature,
            curvature=CurvatureClosure(curvature_closure) if direction.needs_outputs else None,
            is_doubted=isinstance(self.method.step_size, StepSize) and not self._is_deterministic,
            budget=min(left, *counts, self.max_eval or math.inf),
            deadline=began + min(limits, default=math.inf),
        )
        ending = self._descend(function, began)
        self._complain(ending, function)
        return function.first

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with a `scale` and a `weight_decay` of its own where it has one.

        Raises `ParameterError` for parameters that cannot be stepped, `HyperparameterError` for a number out of range
        or without a meaning.
        """
        if isinstance(param_group, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # torch says what is wrong
            param_group = self._groups.complete(param_group, self.defaults)
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, as torch has them: what the method has learned stands at the first parameter."""
        for group in self.param_groups:
            group[METHOD] = described(self.method)
        if self._signature is not None:
            first = self.param_groups[0]["params"][0]
            kept = {name: getattr(self, name) for name in _KEPT}
            self.state[first] = {**kept, "signature": self._signature, "course": self._course.state()}
        try:
            return super().state_dict()
        finally:
            self._forget_saved()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave, of this method and of parameters of these shapes.

        Raises `CheckpointError`, and changes nothing, if it is of another.
        """
        check_fits(state_dict, self.param_groups, self.method)
        super().load_state_dict(state_dict)
        saved = self.state.get(self.param_groups[0]["params"][0], {})
        self._course = self._new_course()
        for name in _KEPT:
            setattr(self, name, saved.get(name, 0))
        self._signature = saved.get("signature")
        if self._signature is not None:
            self._course.restore(saved["course"])
        self._forget_saved()

    def __getstate__(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in (*_KEPT, *_OWN_FIELDS)}
        return super().__getstate__() | own | {"_course": self._course.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        course = state.get("_course")
        super().__setstate__({name: value for name, value in state.items() if name != "_course"})
        self.param_groups = list(map(self._groups.spoken, self.param_groups))
        if course is not None:  # torch calls this to load a state dict, too
            self._course = self._new_course()
            self._course.restore(course)
            self._handles = []

    def _descend(self, function: ClosureFunction, began: float) -> Ending:
        """Go on with the descent, and leave the parameters where it has come to."""
        objective, variables = function.objective, function.variables
        at = variables.start

        def seen(here: Trial, _: int) -> bool:
            nonlocal at
            at = here.x
            self.nit += 1
            function.arrive(here)
            return False

        method = Descent(
            self.method.direction, self.method.step_size, self.method.stop | stopping.iterations(self.max_iter)
        )
        try:
            ending = run(method, objective, variables.start, seen=seen, began=began, course=self._course)
            best = objective.best
            if best is not None and ending.here is not None and best.f < ending.here.f:  # of a search cut short
                at = best.x
                with contextlib.suppress(BudgetSpentError):
                    self._course.guide.learn(ending.here, best)
        finally:
            variables.place(at)
            for name in _SPENT:
                setattr(self, name, getattr(self, name) + getattr(objective, name))
            self._is_deterministic = not function.is_doubted
        self.status, self.message = ending.status, ending.message
        return ending

    def _complain(self, ending: Ending, function: ClosureFunction) -> None:
        """Raise an error where the call cannot have done what it is for."""
        if ending.status is Status.NOT_FINITE:
            if self.nonfinite == "skip" or function.is_scaled:
                self.skipped += 1
                return
            name = name_of(self.param_groups, lambda p: p.grad is not None and not bool(p.grad.isfinite().all()))
            whose = f"; the gradient of {name} has a NaN or an infinity" if name and ending.here is None else ""
            where = "nothing has moved" if ending.nit == 0 else "the parameters are where it was finite last"
            raise NonFiniteGradientError(
                f"{ending.message}{whose}; {where} (pass nonfinite='skip' to leave out such steps)"
            )
        if ending.status in (Status.UNBOUNDED, Status.NO_DIRECTION):
            raise DescentError(f"{ending.message}; the parameters are where the descent had come to")

    def _new_course(self) -> Course:
        course = self.method.start()
        return Course(course.guide, Fixed(self._rate)) if self._groups.has_rate else course

    def _rate(self, _: int) -> float:
        return self._groups.rate(self.param_groups)

    def _variables(self) -> Variables:
        """The variables as they are now; with others than before, the method begins anew."""
        signature = self._groups.signature(self.param_groups)
        if self._signature is not None and signature != self._signature:
            self._course = self._new_course()
        self._signature = signature
        return Variables(self.param_groups)

    def _forget_saved(self) -> None:
        """Take from torch's places what is only there to be saved."""
        self.state.clear()
        for group in self.param_groups:
            group.pop(METHOD, None)
