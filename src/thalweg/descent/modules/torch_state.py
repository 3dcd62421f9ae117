"""The state of torch's L-BFGS, made from ours and read into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import dot

from thalweg.descent.directions.pairs import Pairs
from thalweg.errors import CheckpointError
from thalweg.optimizer.checkpoint import count_of, saved_groups_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HISTORY = ("old_dirs", "old_stps", "ro", "al", "H_diag", "pairs")
"""What is in a saved state alone. `pairs` is ours: with it, a run goes on to the bit; torch carries it unread."""


def with_history(state: Mapping[str, Any], pairs: Pairs, history_size: int) -> dict[str, Any]:
    """The state with copies of the pairs, as torch has them: y, s and 1/sᵀy of each, in lists."""
    kept = Pairs(pairs.memory)
    kept.restore(pairs.state())
    pieces = kept.in_order()
    return {
        **state,
        "old_dirs": [y for _, y, _ in pieces],
        "old_stps": [s for s, _, _ in pieces],
        "ro": [1 / curvature for _, _, curvature in pieces],
        "al": [None] * history_size,
        "H_diag": kept.gamma if pieces else 1,
        "pairs": {**kept.state(), "n_iter": state["n_iter"]},
    }


def take_history(state: dict[str, Any], history_size: int) -> Pairs:
    """The pairs of a state, which are taken from it; ours to the bit, unless torch has stepped since."""
    found = {name: state.pop(name) for name in _HISTORY if name in state}
    pairs, ours = Pairs(history_size), found.get("pairs")
    lists = found.get("old_stps") or [], found.get("old_dirs") or []
    if ours is not None and ours["n_iter"] == state["n_iter"] and len(lists[0]) <= history_size == ours["memory"]:
        pairs.restore(ours)
        return pairs
    for s, y in list(zip(*lists, strict=True))[-history_size:]:
        pairs.add(s, y, dot(y, s))
    return pairs


def check_fits(state_dict: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], size: int) -> None:
    """Raise `CheckpointError` if it is no state of an L-BFGS, or of other parameters."""
    saved = saved_groups_of(state_dict)
    if [len(group["params"]) for group in saved] != [len(group["params"]) for group in groups]:
        raise CheckpointError(
            f"the state is of {count_of(saved)} parameters, and this optimizer has {count_of(groups)}; make it with "
            "the same parameters before loading"
        )
    lacking = sorted(set(groups[0]) - set(saved[0]) - {"params", "param_names", "initial_lr"})
    if lacking:
        raise CheckpointError(f"the state's parameter group lacks {', '.join(lacking)}: it is another optimizer's")
    state = state_dict["state"].get(0, {})
    if state and not {"func_evals", "n_iter"} <= set(state):
        raise CheckpointError("the state has no `func_evals` and `n_iter`: it is another optimizer's")
    gradient = state.get("prev_flat_grad")
    if gradient is not None and gradient.numel() != size:
        raise CheckpointError(f"the state is of {gradient.numel()} elements, and these parameters have {size}")
