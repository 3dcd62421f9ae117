"""How far a number over a few seeds can be trusted: bootstrap intervals, and paired differences.

The interval is SciPy's bias-corrected and accelerated one (BCa; Efron 1987) where all values are finite.
With a diverged run among them, which counts as infinitely bad, BCa is not defined and the plain percentile
interval stands in. Values that are all the same have an interval of no width. The resampling is seeded: the
same values give the same interval.

An interval from five seeds is narrower than it should be, whatever the method; ten seeds are few.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import stats

from thalweg.errors import RaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

Statistic: TypeAlias = Literal["mean", "median"]

RESAMPLES = 9_999
BAND_RESAMPLES = 1_999
LEVEL = 0.95
SEED = 20_240_229

_STATISTICS: dict[Statistic, Callable[..., NDArray[np.float64]]] = {"mean": np.mean, "median": np.median}


@dataclass(frozen=True)
class Interval:
    """A statistic over `n` values, with its bootstrap interval."""

    value: float
    low: float
    high: float
    n: int
    level: float = LEVEL

    def contains(self, value: float) -> bool:
        """Whether a value lies in the interval, its ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Band:
    """The same for every point of a curve: three arrays of the curve's length."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def interval(values: ArrayLike, *, statistic: Statistic = "mean", level: float = LEVEL) -> Interval:
    """The statistic over the values, one a seed, with its interval.

    Infinity is a value like another: it stands for a run that diverged. NaN is not: a `RaceError`.

    >>> interval([3.0, 3.0, 3.0])
    Interval(value=3.0, low=3.0, high=3.0, n=3, level=0.95)
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or sample.size == 0 or np.isnan(sample).any():
        raise RaceError(f"an interval needs at least one number and no NaN, not {sample.tolist()}")
    value = float(_STATISTICS[statistic](sample))
    if sample.size == 1 or np.all(sample == sample[0]):
        low, high = value, value
    elif np.isfinite(sample).all():
        low, high = map(float, _bca(sample, statistic, level))
        if np.isnan(low) or np.isnan(high):
            low, high = _percentile(sample, statistic, level)
    else:
        low, high = _percentile(sample, statistic, level)
    return Interval(value, low, high, sample.size, level)


def band(curves: ArrayLike, *, statistic: Statistic = "mean", level: float = LEVEL) -> Band:
    """The interval at every point of several curves, one a row; from fewer resamples than `interval`'s, to be drawn."""
    sample = np.asarray(curves, np.float64)
    if sample.ndim != 2 or sample.shape[0] == 0 or np.isnan(sample).any():
        raise RaceError(f"a band needs at least one curve and no NaN, not an array of shape {sample.shape}")
    value = _STATISTICS[statistic](sample, axis=0)
    low, high = value.copy(), value.copy()
    vary = np.any(sample != sample[0], axis=0)
    finite = vary & np.isfinite(sample).all(axis=0)
    if finite.any():
        low[finite], high[finite] = _bca(sample[:, finite], statistic, level, resamples=BAND_RESAMPLES)
    for column in np.flatnonzero(vary & (~finite | np.isnan(low) | np.isnan(high))):
        low[column], high[column] = _percentile(sample[:, column], statistic, level)
    return Band(value, low, high)


def paired_difference(ours: ArrayLike, theirs: ArrayLike, *, level: float = LEVEL) -> Interval:
    """The mean of `ours − theirs` over the seeds that both ran, with Student's interval for it.

    The bootstrap would be too narrow here: from five seeds it finds a difference where there is none far
    more often than its level says. Where both sides diverged on a seed, the difference is zero; where one
    did, it is infinite and so is the mean, unless the other did on another seed: then nothing is known.
    From one seed nothing is known either, unless the two are equal.
    """
    left, right = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if left.shape != right.shape or left.ndim != 1 or left.size == 0:
        raise RaceError(f"a comparison needs the same seeds on both sides, not {left.size} and {right.size} of them")
    differences = np.zeros_like(left)
    np.subtract(left, right, out=differences, where=left != right)
    n = left.size
    if np.isposinf(differences).any() and np.isneginf(differences).any():
        return Interval(0.0, -np.inf, np.inf, n, level)
    value = float(differences.mean())
    if np.isinf(value) or (np.all(differences == differences[0]) and (n > 1 or value == 0)):
        return Interval(value, value, value, n, level)
    if n == 1:
        return Interval(value, -np.inf, np.inf, n, level)
    margin = float(stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(differences))
    return Interval(value, value - margin, value + margin, n, level)


def paired_ratio(ours: ArrayLike, theirs: ArrayLike, *, level: float = LEVEL) -> Interval:
    """By which fraction ours are larger than theirs, seed by seed: the mean ratio less one, with its interval.

    It is the difference of the logarithms, for positive values whose spread grows with their size, as
    losses' does.

    >>> round(paired_ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]).value, 12)
    1.0
    """
    found = paired_difference(np.log(ours), np.log(theirs), level=level)
    value, low, high = (float(np.expm1(end)) for end in (found.value, found.low, found.high))
    return Interval(value, low, high, found.n, level)


def _bca(
    sample: NDArray[np.float64], statistic: Statistic, level: float, *, resamples: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of the interval over the first axis; NaN where BCa is not defined."""
    with warnings.catch_warnings():  # of few or nearly equal values BCa's acceleration may be 0/0
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.bootstrap(
            (sample,),
            _STATISTICS[statistic],
            axis=0,
            vectorized=True,
            n_resamples=resamples,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    return found.low, found.high


def _percentile(sample: NDArray[np.float64], statistic: Statistic, level: float) -> tuple[float, float]:
    picks = np.random.default_rng(SEED).integers(sample.size, size=(RESAMPLES, sample.size))
    resampled = _STATISTICS[statistic](sample[picks], axis=-1)
    # "inverted_cdf" takes values that occur: to interpolate towards infinity gives NaN.
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)
