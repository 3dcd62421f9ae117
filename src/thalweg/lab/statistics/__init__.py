"""What a number over a few seeds is worth: intervals, ties, targets, profiles."""

from thalweg.lab.statistics.intervals import Band, Interval, band, interval, paired_difference, paired_ratio
from thalweg.lab.statistics.profiles import (
    competition_times,
    exact_score,
    performance_profile,
    performance_ratios,
    trapezoid_score,
)
from thalweg.lab.statistics.ranking import Standing, rank
from thalweg.lab.statistics.sensitivity import RateOutcome, sensitivity
from thalweg.lab.statistics.targets import derive_target, first_reached

__all__ = [
    "Band",
    "Interval",
    "RateOutcome",
    "Standing",
    "band",
    "competition_times",
    "derive_target",
    "exact_score",
    "first_reached",
    "interval",
    "paired_difference",
    "paired_ratio",
    "performance_profile",
    "performance_ratios",
    "rank",
    "sensitivity",
    "trapezoid_score",
]
