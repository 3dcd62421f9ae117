"""What a parameter group says at this step: its plan, and the numbers that go into it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import ChainError
from thalweg.formula import Level, Skips, Stage, Waits
from thalweg.formula.bounds import never_negative
from thalweg.kernels.eight_bits import MAPS, SIGNED, UNSIGNED, absmax_of, blocks_of
from thalweg.kernels.geometry import shape_of
from thalweg.optimizer.calls import CALLS, SKIPS
from thalweg.optimizer.formulas import formula_of
from thalweg.optimizer.selection import kinds
from thalweg.optimizer.state_dtypes import StateDtypes

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from thalweg.chain import Chain
    from thalweg.formula import Kept, Schedule, Trace
    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.formulas import Formula

_UNWATCHED = ("params", "param_names", "roles", "steps", CALLS, SKIPS)


class Reading:
    """A parameter group as last read. `refresh` reads it again where it has changed.

    `changed` says that a number is another than when the constants were last computed from them; who computes them
    sets it back.
    """

    def __init__(self, group: dict[str, Any], dialect: Dialect, *, capturable: bool = False) -> None:
        self.group = group
        self._capturable = capturable
        self.numbers: dict[str, float] = {}
        self.schedules: dict[str, Schedule] = {}
        self.structure: Hashable = None
        self.uses_loss = False
        self.changed = True
        self._dialect = dialect
        self._written: dict[str, float] = {}
        self._read()

    def formula_of(self, parameter: torch.Tensor) -> Formula:
        """What the chain does to one of the group's parameters."""
        return self._formulas[id(parameter)]

    def dtype_of(self, kept: Kept, parameter: torch.Tensor) -> torch.dtype:
        """In which dtype a parameter's state is kept that has a value for each element."""
        formula = self.formula_of(parameter)
        codes = UNSIGNED if kept.name in self._without_sign.get(formula.structure, ()) else SIGNED
        return self._dtypes.of(kept, parameter.dtype, formula.trace, codes=codes)

    def keeps_codes(self, parameter: torch.Tensor) -> bool:
        """Whether a parameter has a state in 8 bits, so that all that belongs to it lies row by row."""
        states = self.formula_of(parameter).trace.states if self._dtypes.has_codes else ()
        return any(k.level is Level.ELEMENT and self.dtype_of(k, parameter) in MAPS for k in states)

    def states_of(self, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        """A parameter's states by their names in the formula, on the meta device: of their shapes and dtypes.

        Without those that the whole model has one of: they stand in the group.
        """
        formula, shape = self.formula_of(parameter), parameter.shape
        wide = torch.promote_types(parameter.dtype.to_real(), torch.float32)
        states = {
            kept.name: torch.empty(
                shape_of(kept.level, shape),
                dtype=self.dtype_of(kept, parameter) if kept.level is Level.ELEMENT else wide,
                device="meta",
            )
            for kept in formula.trace.states
            if kept.level is not Level.MODEL
        }
        if self.waits:
            states[CALLS] = torch.empty((), device="meta")
        for name in [name for name, like in states.items() if like.dtype in MAPS]:
            states[absmax_of(name)] = torch.empty(blocks_of(shape), dtype=torch.float32, device="meta")
        if formula.whole is None:
            return states
        begun = formula.whole.begin(torch.empty((1, *shape), dtype=parameter.dtype, device="meta"), self.numbers)
        return states | {name: state[0] for name, state in begun.items()}

    def live(self, name: str) -> float | torch.Tensor:
        """A number; the learning rate's tensor, where it is one, to be read on its device."""
        return self.group[name] if self._reads_live(name) else self.numbers[name]

    def refresh(self) -> bool:
        """Read what has changed since the last time; whether the formula itself has changed."""
        group = self.group
        if not self._has_tensors and len(group) == self._size and self._seen == [group.get(n) for n in self._watched]:
            return False
        before = self.structure
        self._read()
        return self.structure != before

    def follow_schedules(self) -> None:
        """Set what schedules drive to its value at the group's present step, in the group too.

        Raises `ChainError` if something else has set it in the meantime, and `HyperparameterError` if the value is out
        of range.
        """
        if any(callable(self.group[name]) for name in self.schedules):
            self._read()
        for name, schedule in self.schedules.items():
            if name in self._written and self.group[name] != self._written[name]:
                message = (
                    f"`{name}` follows {schedule!r}, and something else has set it to {self.group[name]!r}; "
                    "use either a schedule in the chain or a scheduler of torch's"
                )
                raise ChainError(message)
            value = float(schedule(self.group["steps"]))
            self._hyperparameters[name].check(value, f"{schedule!r} at step {self.group['steps']}")
            self.group[name] = self._written[name] = self.numbers[name] = value
            self.changed = True

    @property
    def adds(self) -> bool:
        """Whether the present call only adds up gradients."""
        return self.waits != "" and self.group.get(CALLS, 0) + 1 < self.numbers[self.waits]

    def skip(self) -> bool:
        """A call has been left out; whether that is one too many in a row."""
        if not self.skips:
            return False
        self.group[SKIPS] = self.group.get(SKIPS, 0) + 1
        return self.group[SKIPS] > self.numbers.get(self.skips, math.inf)

    def count(self) -> None:
        """One step more has been made with this group, where it counts them; or a call that only adds."""
        if self.skips:
            self.group[SKIPS] = 0
        if self.waits:
            if self.adds:
                self.group[CALLS] = self.group.get(CALLS, 0) + 1
                return
            self.group[CALLS] = 0
        if "steps" in self.group:
            self.group["steps"] += 1

    def recount(self, more: int) -> None:
        """The device has made so many steps more than the host has asked for: left some out, or replayed a graph.

        Where schedules are followed the host knows of every step.
        """
        if "steps" in self.group and not self.schedules:
            self.group["steps"] += more

    def what_no_graph_holds(self) -> str | None:
        """What keeps steps of this group from being captured in a CUDA graph, and what to do."""
        name = next((name for name, value in self.group.items() if callable(value) and name != "chain"), None)
        name = name or next(iter(self.schedules), None)
        if name is not None:
            return (
                f"`{name}` follows a schedule, which no replay calls; give the group a number, or, for `lr`, a tensor "
                "on the GPU that is filled before each replay"
            )
        for name, value in self.group.items():
            if name not in _UNWATCHED and _holds_tensor(value) and not self._reads_live(name):
                return f"`{name}` is a tensor, which the host would have to read at every replay; give a number"
        rate, first = self.group.get("lr"), self.group["params"][:1]
        if isinstance(rate, torch.Tensor) and any(rate.device != parameter.device for parameter in first):
            return f"the tensor `lr` is on {rate.device}, and the parameters on {first[0].device}; move it there"
        return None

    def _read(self) -> None:
        group = self.group
        self.chain = chain = self._dialect.read(group)
        maximize = bool(group.get("maximize", False))
        own = [formula_of(chain, kind, maximize=maximize) for kind in kinds(group, chain)]
        self._dtypes = StateDtypes.read(group.get("state_dtype")).renamed(self._dialect.state_names)
        self.structure = (str(self._dtypes), *(formula.structure for formula in own))
        self._formulas = dict(zip(map(id, group["params"]), own, strict=True))
        traces = [formula.trace for formula in {formula.structure: formula for formula in own}.values()]
        self.uses_loss = any(traced.uses_loss for traced in traces)
        numbers = chain.numbers(*traces)
        self.waits, self.skips = _names_of_calls(chain, traces)
        self.schedules = {name: value for name, value in numbers.items() if callable(value)}
        self._written = {n: v for n, v in self._written.items() if n in self.schedules and not callable(group[n])}
        for name in self.schedules:
            if callable(group[name]):  # somebody has put a schedule where a number was
                group["chain"] = chain
                group[name] = self.schedules[name](group["steps"])
        done = group.get("steps", 0)
        self.numbers |= {name: float(v(done) if callable(v) else v) for name, v in numbers.items()}
        self._hyperparameters = chain.hyperparameters(*traces)
        ranges = {name: hyper.range for name, hyper in self._hyperparameters.items()}
        self._without_sign = {f.structure: never_negative(f.trace, ranges) for f in own if self._dtypes.has_codes}
        of_model = {kept for traced in traces for kept in traced.states if kept.level is Level.MODEL}
        for kept in of_model:
            group.setdefault(kept.name, self.numbers[kept.start] if isinstance(kept.start, str) else kept.start)
        unwatched = {*_UNWATCHED, *self.schedules, *(kept.name for kept in of_model)}
        self._watched = [name for name in group if name not in unwatched]
        seen = {name: list(v) if isinstance(v := group[name], list) else v for name in self._watched}
        # A tensor that the device reads at every step is not read here, where reading it would wait for the device.
        self._seen = [_Same(value) if self._reads_live(name) else value for name, value in seen.items()]
        self._size = len(group)
        self._has_tensors = any(_holds_tensor(value) for value in self._seen)
        self.changed = True

    def _reads_live(self, name: str) -> bool:
        """Whether a number is a tensor that the device reads at every step."""
        return self._capturable and name == "lr" and isinstance(self.group.get(name), torch.Tensor)


class _Same:
    """Equal to one object and nothing else, whatever that holds."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # as of a list

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return other is self._value


def _names_of_calls(chain: Chain, traces: Sequence[Trace]) -> tuple[str, str]:
    """The names of the numbers that say how many calls make a move, and how many may be left out in a row.

    Empty where no stage asks for it; where any number may be left out, the second is the stage's own name.
    """
    names = {origin: name for traced in traces for name, origin in traced.hyperparameters.items()}
    found: dict[type, str] = dict.fromkeys((Waits, Skips), "")
    for place, stage in enumerate(chain.rules):
        if isinstance(stage, Stage) and stage.rule.calls is not None:
            (own,) = stage.rule.outside
            found[type(stage.rule.calls)] = names.get((place, own), stage.rule.name)
    return found[Waits], found[Skips]


def _holds_tensor(value: Any) -> bool:  # noqa: ANN401  # an entry of a group may be anything
    return isinstance(value, torch.Tensor) or (
        isinstance(value, tuple | list) and any(isinstance(part, torch.Tensor) for part in value)
    )
