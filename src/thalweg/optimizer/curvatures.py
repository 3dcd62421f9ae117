"""What an optimizer knows of the curvature: when an estimate is due, for whom it is, and what waits for the step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import ChainError, CurvatureError
from thalweg.optimizer.averaging import are_several, mean_over_processes
from thalweg.optimizer.estimators import Estimator, usual
from thalweg.optimizer.sharding import is_spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.formula import CurvatureSlot
    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.layout import NonFinite


def estimator_for(curved: Sequence[Member], given: Estimator | None) -> Estimator:
    """What estimates the curvature for these members: what is given, or else as their rules want it.

    Raises `ChainError` where the two do not fit.
    """
    if given is not None and not isinstance(given, Estimator):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ChainError(f"`curvature` is {given!r}; give an estimator, such as `hutchinson(every=10)`")
    chains = {slot.kind: member.reading.group["chain"] for member in curved for slot in _slot_of(member)}
    if not chains:
        raise ChainError(f"`curvature` is {given!r}, and no chain asks for an estimate of it; leave it out")
    if len(chains) > 1:
        message = " and ".join(map(repr, chains.values()))
        raise ChainError(f"{message} ask for two kinds of estimates of the curvature; give each its own optimizer")
    ((kind, chain),) = chains.items()
    fitting = usual(kind, min(slot.every for member in curved for slot in _slot_of(member)))
    if given is not None and given.kind != kind:
        raise ChainError(
            f"{chain!r} asks for the Hessian's {kind}, and {given!r} estimates its {given.kind}; use {fitting!r}"
        )
    return given or fitting


def is_due(curved: Sequence[Member], estimator: Estimator) -> bool:
    """Whether a new estimate is due, by the steps that the members' groups have made."""
    return any(member.reading.group["steps"] % estimator.every == 0 for member in curved)


def _slot_of(member: Member) -> list[CurvatureSlot]:
    slot = member.formula.trace.curvature
    return [] if slot is None else [slot]


def estimate(
    of: Tensor | Callable[[], Tensor],
    members: Sequence[Member],
    estimator: Estimator,
    states: Mapping[Tensor, Mapping[str, object]],
) -> dict[Tensor, Tensor]:
    """What is found for each of the members that `of` depends on: the mean of all processes.

    `states` are the optimizer's, by parameter.

    Raises `CurvatureError`.
    """
    spread = next((member for member in members if member.shard is not None), None)
    if spread is not None:
        message = (
            f"{spread.name} lies on several processes, and the curvature is estimated for whole parameters alone; "
            "hand estimates of your own to `take_curvature`, or use DistributedDataParallel"
        )
        raise CurvatureError(message)
    moving = [member for member in members if member.parameter.requires_grad]
    if any(member.reading.group["maximize"] for member in moving) and not estimator.takes_ascent:
        raise CurvatureError(f"{estimator!r} is for a loss that is minimised, and a parameter group has `maximize`")
    if estimator.takes_function and callable(of) and not isinstance(of, torch.Tensor):
        parameters = [member.parameter for member in moving]
        found = estimator.estimate_by(of, parameters, [states.get(member.whole, {}) for member in moving])
    else:
        found = _from_tensor(of, moving, estimator)
    pairs = zip(moving, _averaged(moving, found) if are_several() else found, strict=True)
    known = {member.parameter: value.detach() for member, value in pairs if value is not None}
    if not known:
        raise CurvatureError("the loss depends on none of the parameters that are stepped by its curvature")
    return known


def _from_tensor(
    of: Tensor | Callable[[], Tensor], moving: Sequence[Member], estimator: Estimator
) -> list[Tensor | None]:
    """What is found by differentiating a tensor, or what a function returns."""
    if callable(of) and not isinstance(of, torch.Tensor):
        with torch.enable_grad():
            of = of()
    if not isinstance(of, torch.Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
        raise CurvatureError(f"the curvature is estimated from a tensor with its graph, and was given {of!r}")
    if not of.requires_grad:
        message = (
            "the curvature is estimated from a tensor with its graph, and this one has none: it was computed under "
            "`no_grad`, or detached, or depends on no parameter that takes a gradient"
        )
        raise CurvatureError(message)
    step = max((int(member.reading.group["steps"]) for member in moving), default=0)
    with torch.enable_grad():
        return estimator.estimate(of, [m.parameter for m in moving], step) if moving else []


def as_estimates(values: Any, parameters: Sequence[Tensor], members: Sequence[Member]) -> dict[Tensor, Tensor]:  # noqa: ANN401  # user code may pass anything
    """A user's own estimates, one for each of all parameters or None, for the members that ask for one.

    Raises `CurvatureError` for those that are none.
    """
    entries = list(values) if isinstance(values, Iterable) and not isinstance(values, torch.Tensor) else [values]
    if len(entries) != len(parameters):
        raise CurvatureError(f"there are {len(parameters)} parameters, and {len(entries)} estimates; give one for each")
    given = dict(zip(parameters, entries, strict=True))
    for member in members:
        value, wanted = given[member.whole], tuple(member.whole.shape)
        if value is not None and not (isinstance(value, torch.Tensor) and tuple(value.shape) == wanted):
            shape = f"one of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
            raise CurvatureError(f"the estimate for {member.name} must be a tensor of shape {wanted}, and is {shape}")
    return {m.whole: given[m.whole].detach() for m in members if given[m.whole] is not None}


def is_finite(found: Mapping[Tensor, Tensor], members: Sequence[Member], *, nonfinite: NonFinite) -> bool:
    """Whether all of it is, where that matters. Raises `CurvatureError` for the first that is not, if so told."""
    if nonfinite == "propagate":
        return True
    for member in members:
        value = found.get(member.whole)
        if value is not None and not _all_finite(value):
            if nonfinite == "skip":
                return False
            message = (
                f"the estimate of the curvature for {member.name} has a NaN or an infinity, and was not taken (pass "
                "nonfinite='skip' to leave out such estimates, or 'propagate' to take them)"
            )
            raise CurvatureError(message)
    return True


def _all_finite(value: Tensor) -> bool:
    """Whether all elements are finite, on all processes that a tensor lies on."""
    good: Any = torch.isfinite(value).all()
    return bool(good.full_tensor() if is_spread(good) else good)


def _averaged(members: Sequence[Member], found: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The mean of what all processes have found; what does not depend on a parameter says zero of its curvature."""
    device = members[0].parameter.device if members else "cpu"
    shares = mean_over_processes(torch.tensor([float(value is not None) for value in found], device=device)).tolist()
    pairs = zip(members, found, shares, strict=True)
    return [
        mean_over_processes(torch.zeros_like(m.parameter) if value is None else value) if share else None
        for m, value, share in pairs
    ]
