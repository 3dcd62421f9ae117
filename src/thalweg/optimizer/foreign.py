"""The state of torch's optimizers, taken over by a chain that is the same formula, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from thalweg.errors import CheckpointError
from thalweg.optimizer.checkpoint import saved_groups_of
from thalweg.optimizer.dropin.dialect import TorchDialect
from thalweg.optimizer.exchange import Export, Import, formulas_of
from thalweg.optimizer.fitting import SavedState, Settings, dialect_of, load_states
from thalweg.optimizer.named import check_optimizer
from thalweg.optimizer.phrase import language
from thalweg.optimizer.torch_state_dict import check_settings, paired_names, steps_done

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.optimizer.load_report import LoadReport
    from thalweg.optimizer.optimizer import Optimizer
    from thalweg.optimizer.phrase import Formula

TorchOptimizer: TypeAlias = str | type[torch.optim.Optimizer]
"""One of `torch.optim`'s optimizers, or its name."""


def load_torch_state(
    optimizer: Optimizer,
    state_dict: Mapping[str, Any],
    of: TorchOptimizer,
    *,
    model: torch.nn.Module | None = None,
    strict: bool = True,
    settings: Settings = "saved",
    steps: int | None = None,
) -> LoadReport:
    """Take over the `state_dict` of `torch.optim`'s optimizer `of`, and say what was loaded.

    The optimizer's chain must be the same formula, as `chain(adam(), decay(0.01), step(1e-3))` is torch's AdamW; an
    error says which chain that would be. Parameters are found by their names where both sides have them, else by their
    order. Numbers are taken over, too, unless `settings="own"`. Schedules go on from the step that torch has counted;
    where it counts none, as in SGD, `steps` says how many were done. For `strict`, see `load_named_state`.

    Raises `CheckpointError`, and changes nothing, if something does not fit, and `UnknownNameError` for an optimizer of
    torch's that has no drop-in here.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1)
    >>> old = torch.optim.AdamW(model.parameters(), lr=3e-4)
    >>> new = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(), tw.step(1e-3)))
    >>> print(load_torch_state(new, old.state_dict(), torch.optim.AdamW))
    loaded 2 parameters
    >>> new.param_groups[0]["lr"]
    0.0003
    """
    check_optimizer(optimizer)
    theirs = language(of if isinstance(of, str) else of.__name__)
    dialect = dialect_of(optimizer)
    if isinstance(dialect, TorchDialect) and dialect is not theirs.dialect:
        message = f"the state is to be torch.optim.{theirs.name}'s, and this optimizer is the drop-in {dialect.name}"
        raise CheckpointError(message)
    saved_groups = saved_groups_of(state_dict)
    check_settings(saved_groups, theirs)
    names, saved_names = paired_names(optimizer, model, saved_groups)
    homes = {
        name: (group, formula)
        for group, own_names in zip(optimizer.param_groups, names, strict=True)
        for name, formula in zip(own_names, formulas_of(group, dialect), strict=True)
    }
    saved: dict[str, SavedState] = {}
    for group, own_names in zip(saved_groups, saved_names, strict=True):
        states = [state_dict["state"].get(key, {}) for key in group["params"]]
        done = steps_done(states, theirs) if steps is None else steps
        imports: dict[Formula | None, Import] = {}
        for name, state in zip(own_names, states, strict=True):
            own, formula = homes.get(name, (None, None))
            if formula not in imports:
                imports[formula] = Import.of(own, formula, dialect, group, theirs, done)
            saved[name] = imports[formula].translate(state)
    return load_states(optimizer, names, saved, strict=strict, settings=settings)


def torch_state(optimizer: Optimizer, of: TorchOptimizer) -> dict[str, Any]:
    """The optimizer's state as `torch.optim`'s optimizer `of` has it, for its `load_state_dict`.

    A number that follows a schedule has the value of the next step. A group whose stages skip some of its parameters
    becomes several, as torch needs, in the order of their first parameters. As with `state_dict`, the tensors are the
    optimizer's own.

    Raises `CheckpointError` if torch's optimizer, whatever its settings, is another formula than the chain.

    >>> import thalweg as tw, torch
    >>> model = torch.nn.Linear(2, 1)
    >>> ours = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(0.1), tw.step(3e-4)))
    >>> torch.optim.AdamW(model.parameters()).load_state_dict(torch_state(ours, "AdamW"))
    """
    check_optimizer(optimizer)
    theirs = language(of if isinstance(of, str) else of.__name__)
    dialect = dialect_of(optimizer)
    if dialect is theirs.dialect:
        return optimizer.state_dict()
    groups: list[dict[str, Any]] = []
    states: dict[torch.Tensor, dict[str, Any]] = {}
    for group in optimizer.param_groups:
        formulas = formulas_of(group, dialect)
        exports = {formula: Export.of(group, formula, theirs) for formula in dict.fromkeys(formulas)}
        names: Sequence[str | None] = group.get("param_names") or [None] * len(formulas)
        parts: list[dict[str, Any]] = []
        for name, parameter, formula in zip(names, group["params"], formulas, strict=True):
            export = exports[formula]
            part = next((part for part in parts if part.items() >= export.settings.items()), None)
            if part is None:
                part = {**export.settings, "params": list[Any]()}
                parts.append(part)
            part["params"].append(parameter if name is None else (name, parameter))
            states[parameter] = export.translate(optimizer.state.get(parameter, {}))
        groups += parts
    drop_in = theirs.drop_in(groups)
    for parameter, state in states.items():
        if state:
            drop_in.state[parameter] = state
    return drop_in.state_dict()
