"""What K-FAC's options may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from thalweg.descent.kronecker.factors import Sharing
from thalweg.errors import HyperparameterError, did_you_mean

Fisher: TypeAlias = Literal["sampled", "gauss_newton", "empirical"]
Tikhonov: TypeAlias = Literal["factored", "exact"]
Rescale: TypeAlias = Literal["length", "momentum"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How factors are estimated and used. Raises `HyperparameterError`."""

    decay: float
    every: int
    inverse_every: int
    fisher: Fisher
    samples: int
    sharing: Sharing
    tikhonov: Tikhonov
    kl_clip: float | None
    rescale: Rescale | None
    adapt_every: int | None
    seed: int

    def __post_init__(self) -> None:
        if not (isinstance(self.decay, int | float) and 0 <= self.decay < 1):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise HyperparameterError(f"kfac: `decay` is {self.decay!r}; it must be in [0, 1)")
        for name, least in (("every", 1), ("inverse_every", 1), ("samples", 1), ("adapt_every", 1), ("seed", 0)):
            value: object = getattr(self, name)
            if value is None and name == "adapt_every":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise HyperparameterError(f"kfac: `{name}` is {value!r}; it must be a whole number from {least}")
        if self.kl_clip is not None and not self.kl_clip > 0:
            raise HyperparameterError(f"kfac: `kl_clip` is {self.kl_clip!r}; it must be above 0, or None")
        for name, known in (("fisher", Fisher), ("sharing", Sharing), ("tikhonov", Tikhonov), ("rescale", Rescale)):
            value = getattr(self, name)
            if value not in get_args(known) and not (value is None and name == "rescale"):
                hint = did_you_mean(str(value), get_args(known))
                raise HyperparameterError(f"kfac: `{name}` is {value!r}; {hint}")
        if self.rescale is None and self.adapt_every is not None:
            raise HyperparameterError(
                "kfac: `adapt_every` goes by what `rescale` foretells; give `rescale='momentum'`, too"
            )
