"""At which steps a moving picture stops, and which points of a long path it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES = 120
POINTS = 1_200
CROWDING = 2.2  # how much denser the early frames are: the first half of the frames shows the first fifth of the steps


def frame_steps(last: int, *, frames: int = FRAMES) -> tuple[int, ...]:
    """The steps to stop at, from 0 to `last`, never more than `frames`, the early ones closer together.

    >>> frame_steps(5)
    (0, 1, 2, 3, 4, 5)
    >>> steps = frame_steps(1000)
    >>> steps[:8], steps[-2:], len(steps)
    ((0, 1, 2, 3, 4, 5, 6, 7), (982, 1000), 120)
    """
    if last < frames:
        return tuple(range(last + 1))
    places = np.linspace(0, 1, frames)
    steps = np.maximum(np.round(last * places**CROWDING), np.arange(frames))
    return tuple(steps.astype(int).tolist())


def kept_points(count: int, *, points: int = POINTS) -> NDArray[np.int64]:
    """Which of so many points to draw: all if they are few, else all the early ones and ever fewer of the later.

    >>> kept_points(4).tolist()
    [0, 1, 2, 3]
    """
    if count <= points:
        return np.arange(count)
    early = points // 3
    late = np.round(early + (count - 1 - early) * np.linspace(0, 1, points - early) ** 1.3)
    return np.unique(np.concatenate([np.arange(early), late.astype(np.int64)]))
