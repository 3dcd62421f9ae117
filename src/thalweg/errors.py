"""Everything that can go wrong, as one tree: catch `ThalwegError` and you have caught them all."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ThalwegError(Exception):
    """The root of every error that Thalweg raises on purpose."""


class UnknownNameError(ThalwegError, LookupError):
    """A name that is in no catalogue: of a rule, a surface, a problem, an option."""


class FormulaError(ThalwegError, TypeError):
    """A formula that the language cannot read."""


class HyperparameterError(ThalwegError, ValueError):
    """A hyper-parameter outside its range, or of the wrong kind."""


class ChainError(ThalwegError, ValueError):
    """Stages that do not compose."""


class ScheduleError(ThalwegError, ValueError):
    """A schedule that cannot be built or evaluated."""


class ParameterError(ThalwegError, ValueError):
    """Parameters that an optimizer cannot step: none at all, a dtype or a layout that no kernel takes."""


class GradientError(ThalwegError, RuntimeError):
    """A gradient that a rule cannot take."""


class NonFiniteGradientError(GradientError, ArithmeticError):
    """A gradient with a NaN or an infinity in it."""


class LossError(ThalwegError, RuntimeError):
    """A loss that a rule needs and was not given, or that is no number."""


class CurvatureError(ThalwegError, RuntimeError):
    """An estimate of the curvature that is missing, cannot be made, or cannot be taken."""


class SecondDerivativeError(CurvatureError):
    """A function in a loss that can be differentiated once, and not twice."""


class CheckpointError(ThalwegError, ValueError):
    """A state that does not fit the optimizer it is loaded into."""


class BackendError(ThalwegError, RuntimeError):
    """A backend that is not there, or cannot do what is asked of it."""


class DescentError(ThalwegError, ValueError):
    """A descent that cannot be composed, or cannot begin where it is asked to."""


class ProblemError(ThalwegError, ValueError):
    """A training problem that cannot be raced as it is defined."""


class DataError(ThalwegError, RuntimeError):
    """A data set that is missing, cannot be fetched, or is not what its checksum says."""


class RaceError(ThalwegError, RuntimeError):
    """A race that cannot be run as it is asked for."""


class StoreError(ThalwegError, RuntimeError):
    """A store of records that cannot be read or written."""


class StoreVersionError(StoreError):
    """A store that a newer version of Thalweg has written."""


class ReportError(ThalwegError, RuntimeError):
    """A report or a film that cannot be drawn."""


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """The end of a sentence about an unknown name: the nearest known ones, or else all of them, or `otherwise`.

    >>> did_you_mean("adan", ["adam", "sgd"])
    'did you mean `adam`?'
    >>> did_you_mean("ADAM", ["adam", "nadam"])
    'did you mean `adam`?'
    >>> did_you_mean("xyz", ["adam", "sgd"])
    'known are: adam, sgd'
    """
    names = sorted(known)
    alike = [candidate for candidate in names if candidate.casefold() == name.casefold()]
    near = alike or difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{candidate}`" for candidate in near) + "?"
    return otherwise or "known are: " + ", ".join(names)
