"""What a picture of the page is made of: Plotly's traces and layout, with colours that the theme fills in.

A colour is written `$name`, or `$name@20` for 20 % of it: the name of an optimizer, or one of `looks.PAPER`. The page's
script knows them in light and in dark.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.lab.records import Json

Trace: TypeAlias = "dict[str, Json]"
Layout: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One picture.

    `frames` are the steps at which it can be stopped, counted in `unit`; `narrow` what the layout changes on a phone;
    `step_axes` the horizontal axis in its two forms, "linear" and "log", between which the reader can choose.
    """

    caption: str
    note: str
    describes: str
    traces: Sequence[Trace]
    layout: Layout
    narrow: Layout = field(default_factory=dict)
    frames: tuple[int, ...] = ()
    unit: str = "steps"
    wide: bool = False
    tall: bool = False
    step_axes: Mapping[str, Layout] = field(default_factory=dict)
    log_steps: bool = False

    @property
    def json(self) -> str:
        """The picture as the page's script reads it, safe to stand inside a `<script>` element."""
        whole: dict[str, Json] = {"data": list(self.traces), "layout": self.layout, "narrow": self.narrow}
        if self.step_axes:
            whole["steps"] = dict(self.step_axes)
            whole["stepType"] = "log" if self.log_steps else "linear"
        if self.frames:
            whole["frames"] = list(self.frames)
            whole["unit"] = self.unit
        return script_json(whole)


def script_json(value: Json) -> str:
    r"""JSON that can stand inside a `<script>` element: nothing in it closes the element.

    >>> print(script_json({"name": "</script>"}))
    {"name":"\u003c/script>"}
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
