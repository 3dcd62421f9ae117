"""An optimizer's state keyed by the names of its parameters, as a value that can go into any checkpoint."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from thalweg.errors import CheckpointError
from thalweg.optimizer.fitting import IDENTITY, SavedGroup, SavedState, Settings, dialect_of, load_states, rule_of
from thalweg.optimizer.names import names_of
from thalweg.optimizer.optimizer import Optimizer
from thalweg.optimizer.positions import schedules_of, states_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.nn import Module

    from thalweg.optimizer.load_report import LoadReport

FORMAT = 1
_PARTS = {"format": int, "groups": list, "state": dict}


def named_state(optimizer: Optimizer, *, model: Module | None = None) -> dict[str, Any]:
    """The optimizer's state by parameter name, of plain values and tensors: for a checkpoint of your own.

    As with `state_dict`, the tensors are the optimizer's own: save or copy them before the next step. The names are
    those that the optimizer was made with, or those in `model`.

    Raises `ParameterError` if the parameters have no names, or two have the same.

    >>> import thalweg as tw, torch
    >>> optimizer = tw.Optimizer(torch.nn.Linear(2, 1), tw.chain(tw.adam(), tw.step(0.1)))
    >>> named_state(optimizer)["groups"][0]["params"]
    ['weight', 'bias']
    """
    check_optimizer(optimizer)
    optimizer.wait()
    dialect = dialect_of(optimizer)
    names = names_of(optimizer, model)
    groups: list[dict[str, Any]] = []
    state: dict[str, dict[str, Any]] = {}
    for group, own in zip(optimizer.param_groups, names, strict=True):
        scheduled = schedules_of(group, dialect)
        groups.append(
            {
                "rule": rule_of(group, dialect),
                "settings": {name: v for name, v in group.items() if name not in (*IDENTITY, *scheduled)},
                "schedules": {name: states_in(schedule) for name, schedule in scheduled.items()},
                "params": own,
            }
        )
        for name, parameter in zip(own, group["params"], strict=True):
            entries = {key: value for key, value in optimizer.state.get(parameter, {}).items() if value is not None}
            if entries:
                state[name] = entries
    return {
        "format": FORMAT,
        "versions": {package: version(package) for package in ("thalweg", "torch")},
        "groups": groups,
        "state": state,
        "skipped": optimizer.skipped,
        "beside": optimizer._kept_beside(),  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a method's own
    }


def load_named_state(
    optimizer: Optimizer,
    state: Mapping[str, Any],
    *,
    model: Module | None = None,
    strict: bool = True,
    settings: Settings = "saved",
) -> LoadReport:
    """Take over what `named_state` gave, each parameter's state by its name, and say what was loaded.

    Order and grouping of the parameters may be others than when it was saved. Tensors are copied, of the dtype they
    have. A group takes over the numbers of the group that its parameters come from, and the position of its schedules;
    the schedules themselves are those of the chain. With `settings="own"` it keeps its own numbers, and takes the
    position only. With `strict=False` what fits is loaded, and the report says what did not.

    Raises `CheckpointError`, and changes nothing, if something does not fit: a parameter is missing or one too many, is
    of another shape or stepped by another rule, or the groups' numbers contradict each other. Raises `ParameterError`
    if the parameters have no names.
    """
    check_optimizer(optimizer)
    saved = _read(state)
    take_beside = optimizer._reads_beside(state.get("beside", {}))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a method's own
    report = load_states(optimizer, names_of(optimizer, model), saved, strict=strict, settings=settings)
    if report.loaded:
        optimizer.skipped = int(state.get("skipped", 0))
        take_beside()
    return report


def check_optimizer(optimizer: object) -> None:
    """Refuse what is no optimizer of ours. Raises `CheckpointError`."""
    if not isinstance(optimizer, Optimizer):
        message = (
            f"the first argument is a {type(optimizer).__name__}, and must be an optimizer of thalweg's; the state of "
            "one of torch's is taken over by `load_torch_state`"
        )
        raise CheckpointError(message)


def _read(state: Mapping[str, Any]) -> dict[str, SavedState]:
    """The saved states by name."""
    if not isinstance(state, dict) or any(not isinstance(state.get(name), kind) for name, kind in _PARTS.items()):
        torch_like = isinstance(state, dict) and "param_groups" in state
        hint = "; it looks like a `state_dict`: use `load_state_dict` or `load_torch_state`" if torch_like else ""
        message = f"this is not what `named_state` gives{hint}"
        raise CheckpointError(message)
    if state["format"] > FORMAT:
        message = (
            f"the checkpoint is of format {state['format']}, and this version of thalweg reads up to {FORMAT}; it was "
            f"written by {state.get('versions', {}).get('thalweg', 'a newer one')}: update thalweg"
        )
        raise CheckpointError(message)
    try:
        saved = {
            name: SavedState(state["state"].get(name, {}), group)
            for entry in state["groups"]
            for group in [SavedGroup(entry["rule"], entry["settings"], dict(entry["schedules"]))]
            for name in entry["params"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        message = f"the checkpoint's groups are broken: {type(error).__name__} {error}"
        raise CheckpointError(message) from error
    strangers = [name for name, entries in state["state"].items() if name not in saved or not isinstance(entries, dict)]
    if strangers:
        message = f"the checkpoint's state of {', '.join(map(str, strangers))} is broken: of no group, or no dictionary"
        raise CheckpointError(message)
    return saved
