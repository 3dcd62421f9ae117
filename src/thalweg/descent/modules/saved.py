"""What a checkpoint of a descent holds beside the groups, and whether it fits the optimizer that it is loaded into."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from thalweg.descent.steps.step_size import StepSize
from thalweg.errors import CheckpointError
from thalweg.optimizer.checkpoint import count_of, saved_groups_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.descent.descent import Descent

METHOD = "method"
"""The entry of a saved group that names the method."""
ENTRIES = ("course", "signature", "nit", "nfev", "njev", "nhvp", "skipped")
"""What is saved for the first parameter, as torch's L-BFGS does."""


def described(method: Descent) -> str:
    """The method in words that are the same in another process; what a number is, the groups say."""
    size = method.step_size
    own = repr(size) if isinstance(size, StepSize) or callable(size) else "a number"
    return re.sub(r" at 0x[0-9a-f]+", "", f"{method.direction!r} with {own}")


def check_fits(state_dict: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], method: Descent) -> None:
    """Raise `CheckpointError` if it is the state of another method, or of other parameters."""
    saved_groups = saved_groups_of(state_dict)
    if [len(group["params"]) for group in saved_groups] != [len(group["params"]) for group in groups]:
        raise CheckpointError(
            f"the state is of {count_of(saved_groups)} parameters, and this optimizer has {count_of(groups)}; make it "
            "with the same groups before loading"
        )
    for saved, group in zip(saved_groups, groups, strict=True):
        if saved.get(METHOD) != described(method):
            raise CheckpointError(
                f"the state is of {saved.get(METHOD, 'another optimizer')}, and this optimizer descends by "
                f"{described(method)}"
            )
        lacking = sorted(name for name in ("lr", "scale", "weight_decay") if name in group and name not in saved)
        if lacking:
            raise CheckpointError(f"the state's parameter groups lack {', '.join(lacking)}")
    if not state_dict["state"]:
        return
    state = state_dict["state"].get(0)
    if not isinstance(state, dict) or set(state) != set(ENTRIES):
        raise CheckpointError("the state is not one that a DescentOptimizer has saved")
    own = [parameter.numel() for group in groups for parameter in group["params"]]
    theirs = [size for size, _ in state["signature"]]
    if own != theirs:
        raise CheckpointError(f"the state is of parameters with {theirs} elements, and these have {own}")
