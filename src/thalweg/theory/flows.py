"""What a method tends to as its steps become small: an ordinary differential equation, and its solution.

Gradient descent at the rate α has after k steps come to the time kα of x′ = −∇f. Nesterov's acceleration has come to
the time k√α of x″ + (3/t)x′ = −∇f, and heavy ball with β = 1 − a√α to the same time of x″ + ax′ = −∇f. All begin at
rest. The error is of the order of the step in time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.special import j1

from thalweg.errors import GradientError, HyperparameterError
from thalweg.formula import Range
from thalweg.theory.inputs import number, positive_definite, vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[np.float64]


def gradient_flow(Q: Any, x0: Any, times: Any) -> Tensor:  # noqa: ANN401  # tensors, arrays, lists
    """x(t) = e^(−Qt) x₀, of x′ = −Qx: gradient descent on ½ xᵀQx as α → 0, t = kα. The shape is (times, n).

    >>> gradient_flow([[1.0, 0.0], [0.0, 2.0]], [1.0, 1.0], [0.0, 0.5])
    tensor([[1.0000, 1.0000],
            [0.6065, 0.3679]], dtype=torch.float64)
    """
    eigenvalues, V, t = _spectrum(Q, times)
    return _along(V, x0, torch.exp(-t * eigenvalues))


def nesterov_flow(Q: Any, x0: Any, times: Any) -> Tensor:  # noqa: ANN401  # as above
    """2J₁(√λ t)/(√λ t) along each eigenvector, of x″ + (3/t)x′ = −Qx: Nesterov's acceleration as α → 0, t = k√α.

    J₁ is Bessel's function. Su, Boyd and Candès 2016, arXiv:1503.01243, section 3.2.

    >>> nesterov_flow([[4.0]], [1.0], [0.0, 1.0])
    tensor([[1.0000],
            [0.5767]], dtype=torch.float64)
    """
    eigenvalues, V, t = _spectrum(Q, times)
    z = t * eigenvalues.sqrt()
    bessel = torch.from_numpy(np.asarray(j1(z.numpy())))  # torch's own has six digits
    shape = torch.where(z > 0, 2 * bessel / torch.where(z > 0, z, 1.0), 1.0)
    return _along(V, x0, shape)


def heavy_ball_flow(Q: Any, x0: Any, times: Any, *, friction: float) -> Tensor:  # noqa: ANN401  # as above
    """The damped oscillation x″ + ax′ = −Qx: heavy ball as α → 0 with β = 1 − a√α, t = k√α.

    Along an eigenvector of λ it swings if a < 2√λ, and creeps if a is larger. Polyak 1964; Qian 1999,
    doi:10.1016/S0893-6080(98)00116-6.

    >>> heavy_ball_flow([[1.0]], [1.0], [0.0, 1.0], friction=2.0)
    tensor([[1.0000],
            [0.7358]], dtype=torch.float64)
    """
    eigenvalues, V, t = _spectrum(Q, times)
    half = number("friction", friction, Range(0)) / 2
    w = torch.complex(half**2 - eigenvalues, torch.zeros_like(eigenvalues)).sqrt()
    z = t * w
    rising, falling = torch.exp(z - half * t), torch.exp(-z - half * t)
    is_small = z.abs() < 1e-4
    sinh_over_w = torch.where(
        is_small, t * torch.exp(-half * t) * (1 + z**2 / 6), (rising - falling) / 2 / torch.where(is_small, 1.0, w)
    )
    return _along(V, x0, ((rising + falling) / 2 + half * sinh_over_w).real)


def flow(
    gradient: Callable[[Tensor], Any],
    x0: Any,  # noqa: ANN401  # as above
    times: Any,  # noqa: ANN401  # as above
    *,
    of: Literal["gradient_descent", "nesterov_acceleration", "heavy_ball"],
    friction: float = 0.0,
) -> Tensor:
    """The limit's path on any function, from its gradient, by SciPy's `solve_ivp` to nine digits. Shape (times, n).

    Raises:
        HyperparameterError: times that do not grow from 0 or more, or no such method.
        GradientError: a gradient of another shape than x0, or a path that runs off to infinity.

    >>> flow(lambda x: x**3, [1.0], [1.5], of="gradient_descent")  # 1/√(1 + 2t)
    tensor([[0.5000]], dtype=torch.float64)
    """
    x, t = vector(x0), _times(times)
    n = len(x)

    def slope(point: Array) -> Array:
        found = torch.as_tensor(gradient(torch.from_numpy(point.copy())), dtype=torch.float64).detach()
        if found.numel() != n:
            raise GradientError(f"`gradient` returned the shape {tuple(found.shape)}; it must be that of x0, ({n},)")
        return found.reshape(-1).numpy()

    a = number("friction", friction, Range(0))

    def ahead(now: float, state: Array) -> Array:
        if of == "gradient_descent":
            return -slope(state)
        position, velocity = state[:n], state[n:]
        if of == "heavy_ball":
            return np.concatenate((velocity, -a * velocity - slope(position)))
        if now == 0:  # where velocity/t tends to the acceleration, so that that is a quarter of the force
            return np.concatenate((velocity, -slope(position) / 4))
        return np.concatenate((velocity, -3 / now * velocity - slope(position)))

    if of not in {"gradient_descent", "nesterov_acceleration", "heavy_ball"}:
        raise HyperparameterError(f"`of` is {of!r}; choose 'gradient_descent', 'nesterov_acceleration' or 'heavy_ball'")
    state = x.numpy() if of == "gradient_descent" else np.concatenate((x.numpy(), np.zeros(n)))
    end = float(t[-1])
    if not end:
        return x.expand(len(t), n).clone()
    solved = cast("Any", solve_ivp(ahead, (0.0, end), state, "DOP853", t_eval=t.numpy(), rtol=1e-10, atol=1e-12))
    if not solved.success:
        raise GradientError(f"the path has no end at the time {end:g}: {solved.message}")
    return torch.from_numpy(solved.y[:n].T.copy())


def _spectrum(Q: Any, times: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401  # as above
    eigenvalues, V = positive_definite(Q, "Q")
    return eigenvalues, V, _times(times)[:, None]


def _along(V: Tensor, x0: Any, shape: Tensor) -> Tensor:  # noqa: ANN401  # as above
    """Each eigenvector's part of x₀, times its own function of time."""
    return (shape * (V.T @ vector(x0))) @ V.T


def _times(times: Any) -> Tensor:  # noqa: ANN401  # as above
    t = vector(times)
    if not len(t) or not bool(t.isfinite().all()) or float(t[0]) < 0 or bool((t.diff() < 0).any()):
        raise HyperparameterError(f"`times` is {times!r}; it must have numbers that grow, from 0 or more")
    return t
