"""The optimizer: parameters and a chain, with the face of `torch.optim.Optimizer`."""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self, get_args

import torch
import torch.optim.optimizer as torch_optimizer

from thalweg.chain import Chain, Route, Whole
from thalweg.errors import (
    BackendError,
    ChainError,
    HyperparameterError,
    LossError,
    NonFiniteGradientError,
    did_you_mean,
)
from thalweg.formula import Stage
from thalweg.optimizer.calls import check_calls
from thalweg.optimizer.capturable import check_capturable, why_not_capturable
from thalweg.optimizer.checkpoint import as_plain, check_fits
from thalweg.optimizer.complex_parameters import check_complex
from thalweg.optimizer.curvature_arrays import CurvatureArrays
from thalweg.optimizer.curvatures import as_estimates, estimate, estimator_for, is_due, is_finite
from thalweg.optimizer.dialect import ChainDialect, Dialect
from thalweg.optimizer.element_states import name_in_state
from thalweg.optimizer.evaluating import moved_to_evaluation
from thalweg.optimizer.given import Parameters, as_groups, check_parameters
from thalweg.optimizer.layout import Backend, NonFinite
from thalweg.optimizer.members import members_of
from thalweg.optimizer.reading import Reading
from thalweg.optimizer.routing import RoutedDialect, routed
from thalweg.optimizer.selection import kinds, with_roles
from thalweg.optimizer.sharding import is_spread
from thalweg.optimizer.state_dtypes import Asked, StateDtypes, state_names
from thalweg.optimizer.state_request import asks_for_states
from thalweg.optimizer.stepper import Stepper
from thalweg.optimizer.uncompiled import uncompiled
from thalweg.optimizer.watched import WatchedState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from torch import Tensor

    from thalweg.optimizer.estimators import Estimator
    from thalweg.optimizer.roles import Role

_OWN_FIELDS = (
    *("_dialect", "_nonfinite", "_backend", "_capturable", "_curvature", "_step_supports_amp_scaling"),
    "skipped",
)


class Optimizer(torch.optim.Optimizer):
    """Steps parameters by a chain, all of them in one launch; or by several, as a `route` sends them.

    `params` is a module, an iterable of tensors or of (name, tensor), or of groups: dictionaries with `params` and
    numbers of their own, as `{"params": …, "lr": 0.1}`, or with a `chain` of their own. Where stages choose their
    parameters by role, roles are read off the module (see `thalweg.roles`), and `roles` corrects or, for named
    parameters, gives them: by name or by pattern. With `maximize` it ascends. A
    gradient that is not finite raises an error that names its parameter (`nonfinite="raise"`: the elements concerned
    stay, all else has moved), skips the whole step and is counted in `skipped` (`"skip"`), or goes into the parameter
    as in torch (`"propagate"`). `backend` is `auto`, `numba` (CPU), `triton` (GPU) or `reference` (torch's operations,
    slow). A GPU tells of a gradient that is not finite one step late, or later where it lags behind. With `capturable`,
    it counts the steps and computes what depends on them: `step` can be captured in a CUDA graph, a tensor as `lr` is
    read by the GPU, and `torch.amp.GradScaler` need not wait for it. `curvature` says how to estimate the curvature for
    rules that step by it, where not as their papers do: see `estimate_curvature`.

    `state_dtype` is the dtype that states are kept in, where it is not to be the parameter's: one for all, or one for
    each by its name in the chain, as `{"m": torch.bfloat16, "v": "8bit"}`, in a drop-in by torch's name; a group may
    have its own. They are computed in float32 (for parameters in float64, in that) and rounded to the nearest. `"8bit"`
    is in blocks of 256 with a scale each (Dettmers et al. 2022, arXiv:2110.02861). One for all makes copies of the
    parameter, such as averages, and sums of gradients only ever wider. A second moment in bfloat16 rises and does not
    fall again.

    Raises `ParameterError` for parameters that cannot be stepped, `ChainError` or `FormulaError` for a chain that does
    not compose, `HyperparameterError` for a number out of range, `UnknownNameError` for a state that is not there.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(0.1), tw.step(1e-3)))
    >>> optimizer.param_groups[0]["beta1"]
    0.9
    """

    _stepper: Stepper | None = None
    _curvature: Estimator | None = None
    _estimates: Mapping[Tensor, Tensor] | None = None
    """Those that the next step takes."""

    def __init__(  # noqa: PLR0913  # each says something else of how to step
        self,
        params: Parameters,
        chain: Chain | Route,
        *,
        roles: Mapping[str, Role] | None = None,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        capturable: bool = False,
        state_dtype: Asked = None,
        curvature: Estimator | None = None,
    ) -> None:
        if isinstance(chain, Route):
            groups, dialect = routed(params, chain, roles or {}), RoutedDialect(chain)
        elif isinstance(chain, Chain):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            groups, dialect = with_roles(params, chain, roles or {}), ChainDialect(chain)
        else:
            hint = f"; write `chain({chain!r}, step(…))`" if isinstance(chain, Stage | Whole) else ""
            message = f"the second argument must be a chain, and is {chain!r}{hint}"
            raise ChainError(message)
        dtypes = StateDtypes.read(state_dtype)
        self._begin(
            groups,
            dialect,
            {"maximize": maximize},
            nonfinite=nonfinite,
            backend=backend,
            capturable=capturable,
            state_dtype=state_dtype,
        )
        if dtypes.named:
            chains: list[Chain] = [group["chain"] for group in self.param_groups]
            groups = zip(chains, self.param_groups, strict=True)
            names = [state_names(own, own.traces(kinds(group, own))) for own, group in groups]
            dtypes.check_known(chains, set().union(*names))
        if curvature is not None:
            readings = [Reading(group, self._dialect) for group in self.param_groups]
            self._curvature = estimator_for(CurvatureArrays(members_of(readings)).members, curvature)

    def _begin(
        self,
        params: Parameters,
        dialect: Dialect,
        defaults: dict[str, Any],
        *,
        nonfinite: NonFinite = "raise",
        backend: Backend = "auto",
        capturable: bool = False,
        state_dtype: Asked = None,
    ) -> None:
        """What the drop-ins share with a chain of one's own."""
        if nonfinite not in get_args(NonFinite):
            message = f"`nonfinite` is {nonfinite!r}; {did_you_mean(str(nonfinite), get_args(NonFinite))}"
            raise HyperparameterError(message)
        if backend not in get_args(Backend):
            message = f"`backend` is {backend!r}; {did_you_mean(str(backend), get_args(Backend))}"
            raise BackendError(message)
        self._dialect = dialect
        self._nonfinite: NonFinite = nonfinite
        self._backend: Backend = backend
        groups = as_groups(params)
        asked = bool(defaults.get("capturable"))  # as torch's optimizers are: not of parameters on a CPU
        self._capturable = capturable or (asked and why_not_capturable(groups, backend) is None)
        self._step_supports_amp_scaling = self._capturable  # torch.amp.GradScaler asks for it
        self.skipped = 0
        """How many steps were left out because a gradient was not finite."""
        self._lock = threading.Lock()
        own = {} if state_dtype is None else {"state_dtype": StateDtypes.read(state_dtype)}
        super().__init__(groups, {**defaults, **own})
        self._watched_state()

    @property
    def dialect(self) -> Dialect:
        """How the parameter groups say their chains."""
        return self._dialect

    @uncompiled
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's has two overloads for this one
        self, closure: Callable[[], Any] | None = None, *, loss: float | Tensor | None = None
    ) -> Any:  # noqa: ANN401  # what the closure returns
        """Move every parameter that has a gradient; a closure evaluates the loss first, and its value is returned.

        A chain may need to know the loss, as `rprop(form="irprop+")` does: it is what the closure returns, or `loss`.

        Raises `NonFiniteGradientError` (see `nonfinite`), `GradientError` for a sparse gradient, and `LossError` where
        the loss is needed and not given.
        """
        if self._is_watched():
            arguments = () if closure is None else (closure,)
            return _step_with_hooks(self, *arguments, **({} if loss is None else {"loss": loss}))
        return self._step(closure, loss)

    step.hooked = True  # pyright: ignore[reportFunctionMemberAccess]  # torch need not wrap it: `_step_with_hooks` does

    def estimate_curvature(self, of: Tensor | Callable[[], Tensor], *, now: bool = False) -> bool:
        """Estimate the curvature for rules that step by it, such as Sophia; tells whether it has done so.

        Call it at every step, before `loss.backward()`: it does nothing while no estimate is due, and nothing for a
        chain that asks for none. `of` is the loss with its graph (for `gauss_newton_bartlett` the logits), or a
        function that computes it, called only if one is due. `now` makes one due. Give it the loss as it is, not scaled
        and not divided; where a step has several minibatches, it takes the first.

        Raises `CurvatureError` where nothing can be estimated, `ChainError` where the estimator does not fit the chain.
        """
        with self._lock:
            stepper = self._ready_stepper()
        if not stepper.curved:
            return False
        estimator = estimator_for(stepper.curved, self._curvature)
        if not now and (self._estimates is not None or not is_due(stepper.curved, estimator)):
            return False
        return self._take(estimate(of, stepper.curved, estimator, self.state), stepper)

    def take_curvature(self, values: Iterable[Tensor | None]) -> None:
        """Take estimates of one's own for the next step: one for each parameter, in their order, or None.

        What a rule asks for is the diagonal of the loss's Hessian or, as ESGD does, a product Hv with v from N(0, I).

        Raises `CurvatureError` for what is no estimate, or not finite (see `nonfinite`).
        """
        with self._lock:
            stepper = self._ready_stepper()
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        self._take(as_estimates(values, parameters, stepper.curved), stepper)

    @contextlib.contextmanager
    def evaluating(self) -> Generator[None]:
        """Meanwhile, the parameters are where evaluation is to see them.

        That is at an average behind the step, or at the point that a schedule-free rule has in mind.

        Raises `ChainError` if the chain has no such point.
        """
        self.wait()
        readings = [Reading(group, self._dialect) for group in self.param_groups]
        with self._lock, moved_to_evaluation(readings, self._watched_state(), self._dialect):
            yield

    def wait(self) -> None:
        """Wait until a GPU has done all steps, and take over how many it has counted; nothing, where there is none.

        Raises `NonFiniteGradientError` for what has not been told yet. `state_dict` and the like wait by themselves.
        """
        with self._lock:
            if self._stepper is not None:
                self._stepper.wait()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters: a dictionary with `params` and, where they differ, numbers or a `chain`.

        Raises `ParameterError` for parameters that cannot be stepped, `HyperparameterError` for an unknown number.
        """
        if isinstance(param_group, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  # torch says what is wrong
            param_group = {**self.defaults, **param_group, "params": check_parameters(param_group)}
            self._dialect.complete(param_group)
            chains = [self._dialect.read(group) for group in (param_group, *self.param_groups)]
            found = kinds(param_group, chains[0])
            if self._capturable:
                check_capturable(param_group, chains[0], self._backend)
            check_complex(param_group, chains[0], found, rows_only=self._dialect.rows_only, capturable=self._capturable)
            check_calls(chains, self._nonfinite, capturable=self._capturable)
        self.wait()
        _add_param_group(self, param_group)
        self._stepper = None

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, as torch has them; a group's chain is there as text."""
        self.wait()
        return as_plain(super().state_dict(), self._dialect)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave, of this optimizer or of the torch optimizer of the same name.

        Raises `CheckpointError`, and changes nothing, if it is of another rule or of parameters of another shape.
        """
        own = [{n: group[n] for n in ("chain", "state_dtype") if n in group} for group in self.param_groups]
        checked = check_fits(state_dict, self.param_groups, self._dialect)
        super().load_state_dict(checked)
        for group, kept in zip(self.param_groups, own, strict=True):
            group.pop("state_dtype", None)
            group.update(kept)
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            self._dialect.mend(group)
        self._restore_wide_states(checked)
        self._stepper = None

    def __getstate__(self) -> dict[str, Any]:
        self.wait()
        states: defaultdict[Any, Any] = defaultdict(dict)
        for parameter, state in self._watched_state().items():
            states[parameter] = {n: _alone(v) for n, v in state.items()} if isinstance(state, dict) else state  # pyright: ignore[reportUnnecessaryIsInstance]  # or what a user has put there
        return super().__getstate__() | {"state": states} | {name: getattr(self, name) for name in _OWN_FIELDS}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        for group in self.param_groups:
            for gradient in (parameter.grad for parameter in group["params"]):
                if is_spread(gradient):  # torch 2.13 cannot copy what is a view of FSDP's memory
                    memo.setdefault(id(gradient), gradient.detach().clone())
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        known = set(state.get("defaults", self.__dict__.get("defaults", ())))
        super().__setstate__(state)
        for name in set(self.defaults) - known:  # torch adds settings of its own, which no chain has
            del self.defaults[name]
        self._lock = threading.Lock()
        self._stepper = None
        self._watched_state()

    def _step(self, closure: Callable[[], Any] | None = None, loss: object = None) -> Any:  # noqa: ANN401  # what the closure returns
        returned = None
        if closure is not None:
            if loss is not None:
                raise LossError("`step` is given a closure and a `loss`; the closure's value is the loss: leave it out")
            with torch.enable_grad():
                loss = returned = closure()
        with self._lock:
            before, is_first = self._stepper, not self._watched_state()
            stepper = self._ready_stepper()
            if is_first and stepper is not before and closure is None and asks_for_states(self.param_groups):
                stepper.prepare()
                return returned
            scaling = (getattr(self, "grad_scale", None), getattr(self, "found_inf", None))
            try:
                has_moved = stepper.move(scaling, loss, self._estimates)
            except NonFiniteGradientError:
                self._estimates = None
                raise
            self.skipped += not has_moved
            if has_moved:
                self._estimates = None
        return returned

    def _ready_stepper(self) -> Stepper:
        """What steps the parameters as they are now."""
        state = self._watched_state()
        if self._stepper is None or not self._stepper.serves(self.param_groups, state):
            if self._stepper is not None:
                self._stepper.wait()
            self._stepper = Stepper(
                self.param_groups,
                state,
                self._dialect,
                nonfinite=self._nonfinite,
                backend=self._backend,
                capturable=self._capturable,
            )
        return self._stepper

    def _take(self, found: Mapping[Tensor, Tensor], stepper: Stepper) -> bool:
        """Keep estimates for the next step, if they may be taken."""
        if not is_finite(found, stepper.curved, nonfinite=stepper.policy):
            return False
        self._estimates = found
        return True

    def _restore_wide_states(self, loaded: dict[str, Any]) -> None:
        """Those that have another dtype than their parameter, which torch has given them, from what was saved."""
        for group, saved in zip(self.param_groups, loaded["param_groups"], strict=True):
            reading = Reading(group, self._dialect)
            for parameter, key in zip(group["params"], saved["params"], strict=True):
                state = loaded["state"].get(key, {})
                for kept, like in reading.states_of(parameter).items():
                    name = name_in_state(kept, self._dialect.state_names)
                    if name in state and like.dtype != parameter.dtype:
                        self.state[parameter][name] = state[name].to(parameter.device, like.dtype)

    def _watched_state(self) -> WatchedState:
        """`state`, which torch and users may have replaced."""
        if not isinstance(self.state, WatchedState):
            self.state = WatchedState(self.state)
        return self.state

    def _is_watched(self) -> bool:
        # torch has no public way to ask whether there are hooks for all optimizers, or a profiler
        hooks = torch_optimizer._global_optimizer_pre_hooks or torch_optimizer._global_optimizer_post_hooks  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        profiled = torch.autograd._profiler_enabled()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        return bool(hooks or profiled or self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks)


def _add_param_group(optimizer: Optimizer, group: dict[str, Any]) -> None:
    """Torch's own `add_param_group`, without importing torch.compile's machinery (a second) where nobody uses it."""
    add = torch.optim.Optimizer.add_param_group
    plain = inspect.unwrap(add) if "torch._dynamo" not in sys.modules else add
    plain(optimizer, group)


@torch.optim.Optimizer.profile_hook_step
def _step_with_hooks(optimizer: Optimizer, closure: Callable[[], Any] | None = None, loss: object = None) -> Any:  # noqa: ANN401  # as `step`
    return optimizer._step(closure, loss)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its other half


def _alone(value: Any) -> Any:  # noqa: ANN401  # a state may be anything
    """A state without the others that its memory is shared with: a pickle would hold them all, again and again."""
    shares = isinstance(value, torch.Tensor) and value.untyped_storage().nbytes() > value.numel() * value.itemsize
    return value.clone() if shares else value
