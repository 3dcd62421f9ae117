"""Launches whose steps the device counts: CUDA graphs can hold them, and the device alone knows which were made."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from thalweg.chain import Whole
from thalweg.errors import BackendError
from thalweg.kernels.coarse import Between, Program
from thalweg.kernels.geometry import Geometry
from thalweg.optimizer.launch import Binding, Launch, Member
from thalweg.optimizer.selection import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.kernels.triton.constants import Counted
    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.reading import Reading


class CapturableBinding(Binding, Protocol):
    """A binding that computes a step's constants on the device; see `thalweg.kernels.triton.binding.TritonBinding`."""

    def set_inputs(self, row: int, values: Sequence[float | Tensor]) -> None:
        """What constants are computed from."""
        ...

    def scale(self, grad_scale: Tensor | None) -> None:
        """For the next step, what gradients are divided by."""
        ...

    def exact_constants(self) -> Tensor:
        """The constants of the step that begins, a row for each tensor."""
        ...


@dataclass(eq=False)
class CapturableLaunch(Launch):
    """The members that one launch steps, their numbers computed and their steps counted on the device."""

    binding: CapturableBinding  # pyright: ignore[reportIncompatibleVariableOverride]  # it is never replaced

    counts: DeviceCounts = field(kw_only=True)

    def __post_init__(self) -> None:
        self._readings = readings_of(self.members)
        self._device = self.members[0].parameter.device

    def start_at(self, steps: np.ndarray[Any, Any]) -> None:  # noqa: ARG002  # the device knows them
        """Hand over all numbers at the next step: some may have changed while other members were stepped."""
        self._fresh = True

    def scale(self, grad_scale: Tensor | None) -> None:
        """For the next step, what `torch.amp.GradScaler` hands to an optimizer that counts on the device."""
        self.binding.scale(grad_scale)

    def begin(self, model_sizes: Mapping[str, float], loss: float | None) -> None:  # noqa: ARG002  # none is captured
        """Compute the coarse values that need no pass, on the device and without waiting for it."""
        if self._program is None:
            shapes = [member.parameter.shape for member in self.members]
            self._program = Program(self.plan, Geometry(shapes, self._device))
        self.counts.keep_for_graph(self)
        constants = self.binding.exact_constants()
        states = self.coarse_states.read(self.members, self.plan.coarse_states, stay=True)
        self._between = Between(self._program, constants, states, model_sizes)
        self.settle(0, {})

    def keep(self, gathered: Mapping[str, Tensor]) -> None:
        """Keep the new values of coarse states, if the device makes the step."""
        if self._between is not None:
            made, new = self.counts.is_made(self._device), self._between.updates(gathered)
            for kept in self.plan.coarse_states:
                if kept.name in new:
                    self.coarse_states.write_there(self.members, kept, new[kept.name], made)
        self._between = None

    def advance(self) -> None:
        """Hand over what the constants are computed from, where it has changed."""
        for row, reading in enumerate(self._readings):
            if self._fresh or reading.changed:
                live = [0.0 if name == "t" else reading.live(name) for name in self.plan.inputs]
                self.binding.set_inputs(row, live)
        self._fresh = False


def readings_of(members: Sequence[Member]) -> list[Reading]:
    """The groups that members are in, each once."""
    return list({id(member.reading): member.reading for member in members}.values())


class DeviceCounts:
    """How many steps each parameter has behind it, on its device: every launch and every CUDA graph counts there."""

    def __init__(self, members: Sequence[Member], done: np.ndarray[Any, Any]) -> None:
        self._members = members
        self._counts: dict[torch.device, Tensor] = {}
        self._flags: dict[torch.device, Tensor] = {}
        self._are_set = False
        self.write(done)

    def write(self, done: np.ndarray[Any, Any]) -> None:
        """Set the counts, on the devices where the parameters are now."""
        counts = torch.from_numpy(done.astype(np.float64))
        for device in dict.fromkeys(member.parameter.device for member in self._members):
            if device not in self._counts:
                self._counts[device] = torch.zeros_like(counts, device=device)
                self._flags[device] = torch.zeros(2, device=device)
            self._counts[device].copy_(counts)

    def begin(self, found_inf: Tensor | None, *, is_late: bool) -> None:
        """A step begins, which `found_inf` may leave out; or, if that `is_late`, what its first passes find."""
        is_set = is_late or found_inf is not None
        if is_set or self._are_set or self._is_capturing():
            for flags in self._flags.values():
                if found_inf is None:
                    flags.zero_()
                else:
                    flags.copy_(found_inf.detach().reshape(()), non_blocking=True)
        self._are_set = is_set

    def agree(self) -> None:
        """What stops the step on one device stops it on all."""
        if len(self._flags) > 1:
            first = next(iter(self._flags))
            stop = torch.stack([flags[1].to(first, non_blocking=True) for flags in self._flags.values()]).amax()
            for flags in self._flags.values():
                flags[1].copy_(stop, non_blocking=True)

    def is_made(self, device: torch.device) -> Tensor:
        """Whether the step is made, on the device."""
        return self._flags[device][1] == 0

    def keep_for_graph(self, launch: CapturableLaunch) -> None:
        """Keep for as long as the process lives what a graph uses that is being captured."""
        from thalweg.kernels.triton.exchange import keep  # noqa: PLC0415  # only where it is used

        if self._is_capturing():
            keep(launch)

    def counted(self, members: Sequence[Member], *, is_late: bool) -> Counted:
        """Where the steps of a launch's members are counted: members on one device."""
        from thalweg.kernels.triton.constants import Counted  # noqa: PLC0415  # only where it is used

        rows = {id(reading): row for row, reading in enumerate(readings_of(members))}
        device = members[0].parameter.device
        places, own = [member.place for member in members], [rows[id(member.reading)] for member in members]
        return Counted(self._counts[device], places, own, self._flags[device], is_late)

    def start_over(self, member: Member) -> None:
        """A member has no step behind it any more."""
        self._counts[member.parameter.device][member.place] = 0

    def tell(self, done: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
        """Put the counts into `done` and `expected`, where these are alike, and into the groups. Waits for devices."""
        kept = {device: on_device.tolist() for device, on_device in self._counts.items()}
        more: dict[int, list[int]] = {}
        for member in self._members:
            at, device = member.place, member.parameter.device
            if done[at] == expected[at] and member.parameter.numel() and device in kept:
                difference = int(kept[device][at] - done[at])
                done[at] = expected[at] = kept[device][at]
                more.setdefault(id(member.reading), []).append(difference)
        for reading in readings_of(self._members):
            reading.recount(max(more.get(id(reading), ()), key=abs, default=0))

    def leave_out(self, found_inf: Tensor | None, readings: Sequence[Reading]) -> bool:
        """Whether `torch.amp.GradScaler` leaves a step out, where the host must know: where it calls schedules."""
        return found_inf is not None and any(reading.schedules for reading in readings) and bool(found_inf)

    def refuse_to_capture(self, readings: Sequence[Reading], *, looks_first: bool, is_prepared: bool) -> None:
        """Raises `BackendError` where a CUDA graph is being captured that could not be replayed as it should."""
        if not self._is_capturing():
            return
        why = next((why for reading in readings if (why := reading.what_no_graph_holds())), None)
        if why is None and looks_first:
            why = "with nonfinite='skip' the host decides about every step; use 'raise' or 'propagate'"
        if why is None and not is_prepared:
            why = "the optimizer is not prepared for it; make a step with the same parameters outside of a graph first"
        if why is not None:
            message = f"a CUDA graph is being captured, and {why}"
            raise BackendError(message)

    def _is_capturing(self) -> bool:
        from thalweg.kernels.triton.exchange import is_capturing  # noqa: PLC0415  # as above

        return any(map(is_capturing, self._counts))


def why_not_capturable(entries: Iterable[Any], backend: Backend) -> str | None:
    """Why no device can count the steps of parameters, given as torch takes them; None if one can."""
    for entry in entries:
        if isinstance(entry, dict):
            why = why_not_capturable(entry["params"], backend)
            if why is not None:
                return why
            continue
        parameter = entry[1] if isinstance(entry, tuple) else entry
        on_gpu = isinstance(parameter, torch.Tensor) and parameter.device.type == "cuda"
        if backend not in ("auto", "triton") or not (on_gpu or backend == "triton"):
            return "`capturable` is for parameters on a GPU, and one is not on any; leave it out"
        if importlib.util.find_spec("triton") is None:
            return '`capturable` needs Triton: `pip install "thalweg[gpu]"`; or leave it out'
    return None


def check_capturable(group: Mapping[str, Any], chain: Chain, backend: Backend) -> None:
    """Refuse a group whose steps no device can count. Raises `BackendError`, naming the stage if it is one."""
    why = why_not_capturable(group["params"], backend)
    if why is not None:
        raise BackendError(why)
    found = list(dict.fromkeys(kinds(group, chain)))
    for traced in chain.traces(found):
        if traced.uses_loss or traced.curvature is not None:
            given = "loss" if traced.uses_loss else "curvature"
            raise BackendError(
                f"{chain!r} steps by the {given}, which the host hands over, and cannot be `capturable`; leave that out"
            )
    for kind in found:
        for place in kind.active:
            stage = chain.rules[place]
            if isinstance(stage, Whole):
                message = (
                    f"chain stage {place + 1}, {stage!r}: is a matrix method, whose steps the host counts, so that the "
                    "chain cannot be `capturable`; leave that out"
                )
                raise BackendError(message)
