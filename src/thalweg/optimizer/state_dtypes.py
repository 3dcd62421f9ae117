"""In which dtype an optimizer keeps its states: read as a user asks for it, for all of them or state by state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

from thalweg.errors import HyperparameterError, UnknownNameError, did_you_mean
from thalweg.formula import Level
from thalweg.formula.naming import labels_of, states_of, unique_names
from thalweg.formula.slots import ParameterSlot
from thalweg.kernels import plan
from thalweg.kernels.eight_bits import BLOCK, SIGNED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from thalweg.chain import Chain
    from thalweg.formula import Kept, Trace

StateDtype: TypeAlias = "torch.dtype | Literal['8bit']"
"""What a state can be kept in."""
Asked: TypeAlias = "StateDtype | Mapping[str, StateDtype] | None"
"""One for all, or one for each by its name in the chain."""

EIGHT_BITS = "8bit"
_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


@dataclass(frozen=True)
class StateDtypes:
    """What a group of parameters asks for; nothing is the dtype of the parameter."""

    each: str | None = None
    """For every state; copies of the parameter and sums of gradients are only made wider by it."""
    named: Mapping[str, str] = field(default_factory=dict[str, str])
    """For the states of these names."""

    @classmethod
    def read(cls, asked: object) -> StateDtypes:
        """As it is typed, or as it stands in a group. Raises `HyperparameterError`."""
        match asked:
            case StateDtypes():
                return asked
            case None:
                return cls()
            case Mapping():
                return cls(named={name: _text(value, f"`state_dtype` of `{name}`") for name, value in asked.items()})  # pyright: ignore[reportUnknownVariableType]
            case _:
                return cls(_text(asked, "`state_dtype`"))

    @property
    def plain(self) -> str | dict[str, str]:
        """As it stands in a group."""
        return self.each or dict(self.named)

    @property
    def has_codes(self) -> bool:
        """Whether it asks for 8 bits."""
        return EIGHT_BITS in (self.each, *self.named.values())

    def of(self, kept: Kept, own: torch.dtype, traced: Trace, *, codes: torch.dtype) -> torch.dtype:
        """The dtype of a state that has a value for each element of a parameter of dtype `own`; in 8 bits, `codes`."""
        text = self.named.get(kept.name, self.each)
        if text is None:
            return own
        if kept.name not in self.named and _is_spared(kept, traced):
            wider = text != EIGHT_BITS and torch.promote_types(_DTYPES[text], own) == _DTYPES[text]
            return _DTYPES[text] if wider else own
        return codes if text == EIGHT_BITS else _DTYPES[text]

    def check(self, chain: Chain, traces: Sequence[Trace], parameters: Sequence[Any]) -> None:
        """Refuse names that the chain has no such state for, and float64 beside parameters that are computed in less.

        Raises `UnknownNameError` and `HyperparameterError`.
        """
        known = {kept.name: kept for traced in traces for kept in traced.states}
        of_matrices = _names_of_wholes(chain)
        for name in self.named:
            if name not in state_names(chain, traces):
                raise UnknownNameError(_unknown(name, [chain], state_names(chain, traces)))
            level = known[name].level if name in known else Level.ELEMENT
            if level is not Level.ELEMENT or name in of_matrices:
                one = "is a matrix method's" if name in of_matrices else f"has one number a {level.value}"
                message = f"`state_dtype` names `{name}`, which in {chain!r} {one} and stays as it is; leave it out"
                raise HyperparameterError(message)
        if self.has_codes and any(plan(part).is_by_row for traced in traces for part in traced.parts):
            message = (
                f"`state_dtype` is '8bit', and {chain!r} sums over rows or columns, where blocks have no place; take "
                "torch.bfloat16"
            )
            raise HyperparameterError(message)
        wide = "float64" in (self.each, *self.named.values())
        for entry in parameters:
            tensor = entry[1] if isinstance(entry, tuple) else entry
            if (self.each or self.named) and isinstance(tensor, torch.Tensor) and tensor.is_complex():
                message = (
                    f"`state_dtype` is for real parameters, and one is of {tensor.dtype}; put it into a group with "
                    "state_dtype=None"
                )
                raise HyperparameterError(message)
            if wide and isinstance(tensor, torch.Tensor) and tensor.dtype != torch.float64:
                message = (
                    f"`state_dtype` is float64, and parameters of {tensor.dtype} are computed in float32, so that "
                    "nothing is gained by it; take torch.float32"
                )
                raise HyperparameterError(message)

    def check_known(self, chains: Sequence[Chain], known: Collection[str]) -> None:
        """Refuse names that are none of these, which the chains have for their states. Raises `UnknownNameError`."""
        for name in self.named:
            if name not in known:
                raise UnknownNameError(_unknown(name, chains, known))

    def sizes(self, traced: Trace) -> dict[str, float]:
        """The bytes of an element of each state beside parameters in float32."""
        dtypes = {
            k.name: self.of(k, torch.float32, traced, codes=SIGNED) for k in traced.states if k.level is Level.ELEMENT
        }
        return {name: dtype.itemsize + (dtype == SIGNED) * 4 / BLOCK for name, dtype in dtypes.items()}

    def renamed(self, names: Mapping[str, str]) -> StateDtypes:
        """The same with states called as in the formula, where they are called otherwise: `names` says how."""
        own = {other: name for name, other in names.items()}
        return StateDtypes(self.each, {own.get(name, name): text for name, text in self.named.items()})

    def within(self, known: Collection[str]) -> StateDtypes:
        """The same for states of these names only."""
        return StateDtypes(self.each, {name: text for name, text in self.named.items() if name in known})


def state_names(chain: Chain, traces: Sequence[Trace]) -> set[str]:
    """What a chain calls its states, by its graphs; those of stages that are for other parameters, too."""
    names = {kept.name for traced in traces for kept in traced.states} | _names_of_wholes(chain)
    return names | _names(chain) if chain.selects or chain.wholes or chain.depends_on_shape else names


def _is_spared(kept: Kept, traced: Trace) -> bool:
    """Whether a state begins as a copy of the parameter, or adds up gradients between moves."""
    is_sum = any(other.name == kept.name and other.after is not other.before for other in traced.meanwhile)
    return is_sum or isinstance(kept.start, ParameterSlot)


def _names(chain: Chain) -> set[str]:
    named = unique_names(chain.rules, labels_of(chain.rules))
    return {named[place, own] for place, stage in enumerate(chain.rules) for own in states_of(stage)}


def _names_of_wholes(chain: Chain) -> set[str]:
    named = unique_names(chain.rules, labels_of(chain.rules))
    return {named[place, own] for place in chain.wholes for own in states_of(chain.rules[place])}


def _unknown(name: str, chains: Sequence[Chain], known: Collection[str]) -> str:
    said = ", ".join(dict.fromkeys(map(repr, chains)))
    hint = did_you_mean(name, known) if known else "it keeps none"
    return f"`state_dtype` names `{name}`, and {said} has no state of that name; {hint}"


def _text(value: Any, what: str) -> str:  # noqa: ANN401  # user code may pass anything
    text = str(value).removeprefix("torch.") if isinstance(value, torch.dtype | str) else ""
    if text not in (*_DTYPES, EIGHT_BITS):
        known = ", ".join([*(str(dtype) for dtype in _DTYPES.values()), repr(EIGHT_BITS)])
        message = f"{what} is {value!r}; choose one of {known}"
        raise HyperparameterError(message)
    return text
