"""A docstring as a terminal has it: each paragraph flows to the terminal's width, examples stay as they stand."""

from __future__ import annotations

import inspect


def flowing(doc: str | None) -> str:
    r"""The docstring with each paragraph, and each item of a list, in one line; a formula set in stays by itself.

    >>> flowing("One line\nand its end.\n\n- an item\n  of two lines\n- another\n\n>>> 1\n1")
    'One line and its end.\n\n- an item of two lines\n- another\n\n>>> 1\n1'
    """
    paragraphs = inspect.cleandoc(doc or "").split("\n\n")
    return "\n\n".join(p if p.lstrip().startswith(">>>") else _joined(p) for p in paragraphs)


def _joined(paragraph: str) -> str:
    lines: list[str] = []
    for line in paragraph.splitlines():
        goes_on = bool(lines) and not line.startswith("- ")
        if goes_on and (lines[-1].startswith("- ") or not line.startswith(" ")):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.rstrip())
    return "\n".join(lines)
