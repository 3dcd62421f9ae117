"""Which rates are tried: a grid on a log scale that can be extended on either side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Rates from `lowest` on, each `ratio` times the one before.

    A trial is an index: 0 to `trials − 1` in the grid, negative ones below it, larger ones above. Rates are
    rounded to three digits, so that what is printed is what was run.

    >>> Grid.around(0.001, trials=5).rates()
    (0.0001, 0.000316, 0.001, 0.00316, 0.01)
    >>> Grid.around(0.001, trials=5).rate(-1)
    3.16e-05
    """

    lowest: float
    ratio: float
    trials: int

    @classmethod
    def around(cls, centre: float, *, trials: int, per_decade: int = 2) -> Grid:
        """The grid that has a rate in its middle, with `per_decade` rates to a factor of ten."""
        ratio = 10 ** (1 / per_decade)
        return cls(centre / ratio ** (trials // 2), ratio, trials)

    @classmethod
    def between(cls, lowest: float, highest: float, *, trials: int) -> Grid:
        """The grid from one rate to another; where they are the same, in half decades around it.

        >>> Grid.between(0.01, 1.0, trials=3).rates()
        (0.01, 0.1, 1.0)
        """
        if trials == 1 or lowest == highest:
            return cls.around((lowest * highest) ** 0.5, trials=trials)
        return cls(lowest, (highest / lowest) ** (1 / (trials - 1)), trials)

    def rate(self, trial: int) -> float:
        """The rate of one trial, in the grid or beyond it."""
        return float(f"{self.lowest * self.ratio**trial:.3g}")

    def rates(self) -> tuple[float, ...]:
        """The rates of the grid, the smallest first."""
        return tuple(self.rate(trial) for trial in range(self.trials))
