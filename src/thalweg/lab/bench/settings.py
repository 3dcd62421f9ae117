"""What a bench is asked to measure: rules, sizes, precision, device, threads, opponents."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from thalweg import rules
from thalweg.chain import matrix_methods
from thalweg.errors import RaceError, did_you_mean
from thalweg.lab.bench.optax_side import has_optax
from thalweg.lab.other_names import typed_here

DTYPES = ("float32", "float64", "bfloat16", "float16")
DEVICES = ("cpu", "cuda")
OPPONENTS = ("torch", "optax")
ALONE = "none"
"""What stands for no opponent at all."""


@dataclass(frozen=True)
class Size:
    """A model to step: how many tensors, and of which shape."""

    count: int
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The parameters of all tensors together."""
        return self.count * math.prod(self.shape)

    def __str__(self) -> str:
        return "x".join(map(str, (self.count, *self.shape)))


SMALL_MODEL, LARGE_MODEL = Size(150, (1_000,)), Size(4, (5_000_000,))
"""One whose step is all overhead and lies in the cache, and one whose step is all memory."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What to measure. `rules` and `against` may be left empty: every rule, and whoever is installed.

    Raises `UnknownNameError` for a rule that is in no catalogue, and `RaceError` for what cannot be measured.
    """

    rules: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = (SMALL_MODEL, LARGE_MODEL)
    dtype: str = "float32"
    device: str = "cpu"
    threads: int | None = None
    rounds: int = 10
    against: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.measured_rules:
            if name in matrix_methods():
                raise RaceError(f"`{name}` sees a weight as a matrix; the bench measures rules that step elements")
            rules.get(name)
        _check("dtype", self.dtype, DTYPES)
        if self.device not in DEVICES:
            raise RaceError(f"there is no device `{self.device}` to measure on; choose one of {', '.join(DEVICES)}")
        for name in self.against:
            _check("opponent", name, (*OPPONENTS, ALONE))
        if ALONE in self.against and len(self.against) > 1:
            raise RaceError(f"against {', '.join(self.against)}: `{ALONE}` stands alone; leave it out or the others")
        if "optax" in self.against and not has_optax():
            raise RaceError("optax or jax is not installed; `pip install jax optax`, or leave optax out of --against")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise RaceError("torch finds no CUDA device here; measure with --device cpu")
        if self.rounds < 1 or (self.threads is not None and self.threads < 1):
            raise RaceError("a bench needs at least one round and one thread")

    @property
    def measured_rules(self) -> tuple[str, ...]:
        """The names of the rules, each once: those of the catalogue, whatever else a rule was called."""
        return tuple(dict.fromkeys(map(_as_here, self.rules))) or tuple(rules.catalogue())

    @property
    def opponents(self) -> tuple[str, ...]:
        """Whom the rules are measured against."""
        if self.against:
            return tuple(name for name in OPPONENTS if name in self.against)
        return OPPONENTS if has_optax() else ("torch",)


def read_sizes(text: str) -> tuple[Size, ...]:
    """The sizes that are typed as a number of tensors and their shape, separated by commas.

    >>> read_sizes("150x1000, 4x2_000x2_500")
    (Size(count=150, shape=(1000,)), Size(count=4, shape=(2000, 2500)))

    Raises `RaceError` for what is no size.
    """
    return tuple(dict.fromkeys(_read_size(word.strip()) for word in text.split(",")))


def _read_size(word: str) -> Size:
    try:
        count, *shape = (int(part) for part in word.lower().replace("×", "x").split("x"))
    except ValueError:
        count, shape = 0, []
    if not shape or min(count, *shape) < 1:
        raise RaceError(
            f"the size {word!r} is not a number of tensors and their shape; type it as in --sizes 150x1000,4x2000x2500"
        )
    return Size(count, tuple(shape))


def _as_here(name: str) -> str:
    """A rule's own name, where it goes by another, too; any other name as it is."""
    own = typed_here(name)
    return own if own in rules.catalogue() else name


def _check(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise RaceError(f"there is no {what} `{name}`; {did_you_mean(name, known)}")
