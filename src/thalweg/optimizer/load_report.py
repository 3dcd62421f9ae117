"""What a checkpoint and an optimizer had in common, and what not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class LoadReport:
    """What `load` has loaded and what did not fit, by the names of the parameters.

    >>> print(LoadReport(loaded=("weight",), missing=("bias",)))
    loaded 1 parameter
    missing in the checkpoint: bias
    """

    loaded: tuple[str, ...] = ()
    """Those whose state the optimizer has now."""
    missing: tuple[str, ...] = ()
    """Those of the optimizer that the checkpoint does not know."""
    unexpected: tuple[str, ...] = ()
    """Those of the checkpoint that the optimizer does not step."""
    mismatched: Mapping[str, str] = field(default_factory=dict[str, str])
    """What both have and does not fit, and why: a parameter's state, or a group's numbers (`group 0`)."""

    @property
    def fits(self) -> bool:
        """Whether everything was loaded."""
        return not (self.missing or self.unexpected or self.mismatched)

    @property
    def misfits(self) -> str:
        """What was not loaded, a line for each reason; empty if everything was."""
        lines = [f"missing in the checkpoint: {', '.join(self.missing)}"] if self.missing else []
        lines += [f"in the checkpoint only: {', '.join(self.unexpected)}"] if self.unexpected else []
        for why in dict.fromkeys(self.mismatched.values()):
            lines.append(f"{', '.join(name for name, other in self.mismatched.items() if other == why)}: {why}")
        return "\n".join(lines)

    def __str__(self) -> str:
        loaded = f"loaded {len(self.loaded)} parameter{'' if len(self.loaded) == 1 else 's'}"
        return "\n".join(filter(None, [loaded, self.misfits]))


def other_beginning(missing: Sequence[str], unexpected: Sequence[str]) -> str | None:
    """What stands before all names of one side and none of the other, as `module.` where a model was wrapped."""
    for longer, shorter in ((missing, unexpected), (unexpected, missing)):
        for name in shorter[:1]:
            beginnings = {full.removesuffix(name) for full in longer if full.endswith(name)}
            for beginning in beginnings:
                if {beginning + rest for rest in shorter} == set(longer):
                    return beginning
    return None
