"""How torch.distributed.checkpoint asks an optimizer for its states, to load into them: by a step that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.optimizer.sharding import part_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def asks_for_states(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether every learning rate and every gradient is zero, and no parameter lacks one.

    It is for a first step to look. Made as a step, it would count, and what no learning rate multiplies would move.
    """
    gradients = [p.grad for group in groups for p in group["params"] if p.requires_grad]
    return (
        all(float(group.get("lr", 1.0)) == 0 for group in groups)
        and all(gradient is not None for gradient in gradients)
        and not any(bool(part_of(gradient).any()) for gradient in gradients)
    )
