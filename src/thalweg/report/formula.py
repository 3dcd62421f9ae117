"""How a formula's LaTeX is drawn in the page: as MathML, which browsers draw without help."""

from __future__ import annotations

from latex2mathml.converter import convert


def mathml(latex: str) -> str:
    """The formula as a MathML element."""
    return convert(latex, display="block")
