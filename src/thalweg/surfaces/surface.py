"""What a test surface is: a function, its critical points, where to start on it and how to draw it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.surfaces.points import CriticalPoint, Curvature, Point


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A function of the plane (some: of any dimension) on which optimizers can be watched.

    `function` maps points `(..., dimension)` to values `(...)` in the dtype of the points, and torch can
    differentiate it. Calling the surface does the same after a check of the points, and takes plain numbers
    too.

    `minima`, `saddles` and `maxima` are all the critical points inside the `window`, unless the `remark` says
    which ones they are. `formula` is the right-hand side in LaTeX. The `remark` says what to watch for.

    >>> from thalweg import surfaces
    >>> beale = surfaces.get("beale")
    >>> float(beale((0.0, 1.0)))
    14.203125
    >>> beale.curvature_at((0.0, 1.0)).eigenvalues
    (-27.75, 27.75)
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    formula: str
    minima: tuple[CriticalPoint, ...]
    saddles: tuple[CriticalPoint, ...] = ()
    maxima: tuple[CriticalPoint, ...] = ()
    starts: tuple[Point, ...]
    window: tuple[tuple[float, float], ...]
    source: str
    remark: str

    @property
    def dimension(self) -> int:
        """How many coordinates a point has."""
        return len(self.window)

    @property
    def critical_points(self) -> tuple[CriticalPoint, ...]:
        """The minima, the saddles and the maxima that are known."""
        return self.minima + self.saddles + self.maxima

    def __call__(self, points: Tensor | Sequence[float]) -> Tensor:
        """The value at each point, of the shape of `points` without its last dimension."""
        return self.function(self._as_points(points))

    def gradient(self, points: Tensor | Sequence[float]) -> Tensor:
        """The gradient at each point, of the shape of `points`."""
        from thalweg.surfaces import derivatives  # noqa: PLC0415 (a catalogue can be read without PyTorch)

        return derivatives.gradient(self.function, self._as_points(points))

    def hessian(self, points: Tensor | Sequence[float]) -> Tensor:
        """The Hessian at each point, of shape `(..., dimension, dimension)`."""
        from thalweg.surfaces import derivatives  # noqa: PLC0415 (as above)

        return derivatives.hessian(self.function, self._as_points(points))

    def curvature_at(self, point: Tensor | Sequence[float]) -> Curvature:
        """The eigenvalues of the Hessian at one point, in float64, with condition number and 2/λmax."""
        from thalweg.surfaces import derivatives  # noqa: PLC0415 (as above)

        return derivatives.curvature(self.function, derivatives.as_point(point, self.name, self.dimension))

    def _as_points(self, points: Tensor | Sequence[float]) -> Tensor:
        from thalweg.surfaces import derivatives  # noqa: PLC0415 (as above)

        return derivatives.as_points(points, self.name, self.dimension)


def name_of(build: Callable[..., Surface], **settings: float) -> str:
    """The name of a surface as it is typed: with the settings that are not the builder's own defaults.

    >>> from thalweg.surfaces import quadratic
    >>> name_of(quadratic, condition=100), name_of(quadratic, condition=7.5)
    ('quadratic', 'quadratic(condition=7.5)')
    """
    defaults = inspect.signature(build).parameters
    changed = [f"{key}={value:.15g}" for key, value in settings.items() if value != defaults[key].default]
    return f"{build.__name__}({', '.join(changed)})" if changed else build.__name__
