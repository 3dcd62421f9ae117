"""The 35 problems of Moré, Garbow and Hillstrom, Testing Unconstrained Optimization Software, ACM TOMS 7(1), 1981.

Written from the formulas, in the paper's numbers: f is the sum of the squares of `residuals`. Where the paper leaves
the dimension open, it is a small one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, exp

Residuals = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    number: int
    name: str
    residuals: Residuals
    x0: tuple[float, ...]
    minima: tuple[float, ...]
    """The values of all minima that the paper knows, as it prints them."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.residuals(x).square().sum()


PROBLEMS: list[Problem] = []


def problem(number: int, x0: tuple[float, ...] | list[float], *minima: float) -> Callable[[Residuals], Residuals]:
    def enter(residuals: Residuals) -> Residuals:
        PROBLEMS.append(Problem(number, residuals.__name__, residuals, tuple(x0), minima))
        return residuals

    return enter


def numbers(text: str) -> Tensor:
    return torch.tensor([float(word) for word in text.split()], dtype=torch.float64)


def to(m: int, start: int = 1) -> Tensor:
    return torch.arange(start, m + 1, dtype=torch.float64)


@problem(1, (-1.2, 1), 0)
def rosenbrock(x: Tensor) -> Tensor:
    return torch.stack((10 * (x[1] - x[0] ** 2), 1 - x[0]))


@problem(2, (0.5, -2), 0, 48.9842)
def freudenstein_and_roth(x: Tensor) -> Tensor:
    a, b = x
    return torch.stack((-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b))


@problem(3, (0, 1), 0)
def powell_badly_scaled(x: Tensor) -> Tensor:
    a, b = x
    return torch.stack((1e4 * a * b - 1, exp(-a) + exp(-b) - 1.0001))


@problem(4, (1, 1), 0)
def brown_badly_scaled(x: Tensor) -> Tensor:
    a, b = x
    return torch.stack((a - 1e6, b - 2e-6, a * b - 2))


@problem(5, (1, 1), 0)
def beale(x: Tensor) -> Tensor:
    return numbers("1.5 2.25 2.625") - x[0] * (1 - x[1] ** to(3))


@problem(6, (0.3, 0.4), 124.362)
def jennrich_and_sampson(x: Tensor) -> Tensor:
    i = to(10)
    return 2 + 2 * i - (exp(i * x[0]) + exp(i * x[1]))


@problem(7, (-1, 0, 0), 0)
def helical_valley(x: Tensor) -> Tensor:
    a, b, c = x
    theta = torch.atan(b / a) / (2 * math.pi) + (0.5 if a < 0 else 0.0)
    return torch.stack((10 * (c - 10 * theta), 10 * (torch.hypot(a, b) - 1), c))


@problem(8, (1, 1, 1), 8.21487e-3, 17.4286)
def bard(x: Tensor) -> Tensor:
    y = numbers("0.14 0.18 0.22 0.25 0.29 0.32 0.35 0.39 0.37 0.58 0.73 0.96 1.34 2.10 4.39")
    u = to(15)
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + torch.minimum(u, v) * x[2]))


@problem(9, (0.4, 1, 0), 1.12793e-8)
def gaussian(x: Tensor) -> Tensor:
    rising = numbers("0.0009 0.0044 0.0175 0.0540 0.1295 0.2420 0.3521 0.3989")
    y = torch.cat((rising, rising[:-1].flip(0)))
    t = (8 - to(15)) / 2
    return x[0] * exp(-x[1] * (t - x[2]) ** 2 / 2) - y


@problem(10, (0.02, 4000, 250), 87.9458)
def meyer(x: Tensor) -> Tensor:
    y = numbers("34780 28610 23650 19630 16370 13720 11540 9744 8261 7030 6005 5147 4427 3820 3307 2872")
    return x[0] * exp(x[1] / (45 + 5 * to(16) + x[2])) - y


@problem(11, (5, 2.5, 0.15), 0)
def gulf_research_and_development(x: Tensor) -> Tensor:
    t = to(99) / 100
    y = 25 + (-50 * torch.log(t)) ** (2 / 3)
    return exp(-((y - x[1]).abs() ** x[2]) / x[0]) - t


@problem(12, (0, 10, 20), 0)
def box_three_dimensional(x: Tensor) -> Tensor:
    t = 0.1 * to(10)
    return exp(-t * x[0]) - exp(-t * x[1]) - x[2] * (exp(-t) - exp(-10 * t))


@problem(13, (3, -1, 0, 1), 0)
def powell_singular(x: Tensor) -> Tensor:
    a, b, c, d = x
    return torch.stack((a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2))


@problem(14, (-3, -1, -3, -1), 0)
def wood(x: Tensor) -> Tensor:
    a, b, c, d = x
    first = (10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c)
    return torch.stack((*first, 10**0.5 * (b + d - 2), (b - d) / 10**0.5))


@problem(15, (0.25, 0.39, 0.415, 0.39), 3.07505e-4, 1.02734e-3)
def kowalik_and_osborne(x: Tensor) -> Tensor:
    y = numbers("0.1957 0.1947 0.1735 0.1600 0.0844 0.0627 0.0456 0.0342 0.0323 0.0235 0.0246")
    u = numbers("4 2 1 0.5 0.25 0.167 0.125 0.1 0.0833 0.0714 0.0625")
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


@problem(16, (25, 5, -5, -1), 85822.2)
def brown_and_dennis(x: Tensor) -> Tensor:
    t = to(20) / 5
    return (x[0] + t * x[1] - exp(t)) ** 2 + (x[2] + x[3] * torch.sin(t) - torch.cos(t)) ** 2


@problem(17, (0.5, 1.5, -1, 0.01, 0.02), 5.46489e-5)
def osborne_1(x: Tensor) -> Tensor:
    y = numbers(
        "0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751 0.718 0.685 0.658 0.628 0.603 0.580 0.558 "
        "0.538 0.522 0.506 0.490 0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406"
    )
    t = 10 * (to(33) - 1)
    return y - (x[0] + x[1] * exp(-t * x[3]) + x[2] * exp(-t * x[4]))


@problem(18, (1, 2, 1, 1, 1, 1), 0, 5.65565e-3)
def biggs_exp6(x: Tensor) -> Tensor:
    t = 0.1 * to(13)
    y = exp(-t) - 5 * exp(-10 * t) + 3 * exp(-4 * t)
    return x[2] * exp(-t * x[0]) - x[3] * exp(-t * x[1]) + x[5] * exp(-t * x[4]) - y


@problem(19, (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5), 4.01377e-2)
def osborne_2(x: Tensor) -> Tensor:
    y = numbers(
        "1.366 1.191 1.112 1.013 0.991 0.885 0.831 0.847 0.786 0.725 0.746 0.679 0.608 0.655 0.616 0.606 0.602 0.626 "
        "0.651 0.724 0.649 0.649 0.694 0.644 0.624 0.661 0.612 0.558 0.533 0.495 0.500 0.423 0.395 0.375 0.372 0.391 "
        "0.396 0.405 0.428 0.429 0.523 0.562 0.607 0.653 0.672 0.708 0.633 0.668 0.645 0.632 0.591 0.559 0.597 0.625 "
        "0.739 0.710 0.729 0.720 0.636 0.581 0.428 0.292 0.162 0.098 0.054"
    )
    t = (to(65) - 1) / 10
    bumps = [x[k] * exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3)]
    return y - (x[0] * exp(-t * x[4]) + bumps[0] + bumps[1] + bumps[2])


@problem(20, [0.0] * 6, 2.28767e-3)
def watson(x: Tensor) -> Tensor:
    t = (to(29) / 29)[:, None]
    j = to(len(x))
    slope = ((j[1:] - 1) * x[1:] * t ** (j[1:] - 2)).sum(1)
    value = (x * t ** (j - 1)).sum(1)
    return torch.cat((slope - value**2 - 1, x[:1], (x[1] - x[0] ** 2 - 1)[None]))


@problem(21, [-1.2, 1.0] * 5, 0)
def extended_rosenbrock(x: Tensor) -> Tensor:
    odd, even = x[0::2], x[1::2]
    return torch.cat((10 * (even - odd**2), 1 - odd))


@problem(22, [3.0, -1.0, 0.0, 1.0] * 2, 0)
def extended_powell_singular(x: Tensor) -> Tensor:
    return torch.cat([powell_singular(part) for part in x.split(4)])


@problem(23, [float(j) for j in range(1, 5)], 2.24997e-5)
def penalty_1(x: Tensor) -> Tensor:
    return torch.cat((1e-5**0.5 * (x - 1), (x.square().sum() - 0.25)[None]))


@problem(24, [0.5] * 4, 9.37629e-6)
def penalty_2(x: Tensor) -> Tensor:
    n = len(x)
    y = exp(to(n, 2) / 10) + exp(to(n - 1) / 10)
    weight = 1e-5**0.5
    pairs = weight * (exp(x[1:] / 10) + exp(x[:-1] / 10) - y)
    singles = weight * (exp(x[1:] / 10) - math.exp(-0.1))
    whole = (torch.arange(n, 0, -1) * x.square()).sum() - 1
    return torch.cat((x[:1] - 0.2, pairs, singles, whole[None]))


@problem(25, [1 - j / 10 for j in range(1, 11)], 0)
def variably_dimensioned(x: Tensor) -> Tensor:
    weighted = (to(len(x)) * (x - 1)).sum()[None]
    return torch.cat((x - 1, weighted, weighted**2))


@problem(26, [0.1] * 10, 0, 2.79506e-5)
def trigonometric(x: Tensor) -> Tensor:
    n = len(x)
    return n - torch.cos(x).sum() + to(n) * (1 - torch.cos(x)) - torch.sin(x)


@problem(27, [0.5] * 10, 0, 1)
def brown_almost_linear(x: Tensor) -> Tensor:
    n = len(x)
    return torch.cat((x[:-1] + x.sum() - (n + 1), x.prod()[None] - 1))


def on_grid(n: int) -> Tensor:
    return to(n) / (n + 1)


@problem(28, [j / 11 * (j / 11 - 1) for j in range(1, 11)], 0)
def discrete_boundary_value(x: Tensor) -> Tensor:
    n = len(x)
    h = 1 / (n + 1)
    left, right = torch.nn.functional.pad(x, (1, 0))[:-1], torch.nn.functional.pad(x, (0, 1))[1:]
    return 2 * x - left - right + h**2 * (x + on_grid(n) + 1) ** 3 / 2


@problem(29, [j / 11 * (j / 11 - 1) for j in range(1, 11)], 0)
def discrete_integral_equation(x: Tensor) -> Tensor:
    n = len(x)
    t = on_grid(n)
    cubes = (x + t + 1) ** 3
    below = (t * cubes).cumsum(0)
    above = ((1 - t) * cubes).sum() - ((1 - t) * cubes).cumsum(0)
    return x + ((1 - t) * below + t * above) / (2 * (n + 1))


@problem(30, [-1.0] * 10, 0)
def broyden_tridiagonal(x: Tensor) -> Tensor:
    left, right = torch.nn.functional.pad(x, (1, 0))[:-1], torch.nn.functional.pad(x, (0, 1))[1:]
    return (3 - 2 * x) * x - left - 2 * right + 1


@problem(31, [-1.0] * 10, 0)
def broyden_banded(x: Tensor) -> Tensor:
    n = len(x)
    neighbours = [[j for j in range(max(0, i - 5), min(n - 1, i + 1) + 1) if j != i] for i in range(n)]
    sums = torch.stack([(x[own] * (1 + x[own])).sum() for own in neighbours])
    return x * (2 + 5 * x**2) + 1 - sums


@problem(32, [1.0] * 5, 5)
def linear_full_rank(x: Tensor) -> Tensor:
    m, n = 10, len(x)
    rest = -2 / m * x.sum() - 1
    return torch.cat((x + rest, rest.expand(m - n)))


@problem(33, [1.0] * 5, 10 * 9 / (2 * 21))
def linear_rank_1(x: Tensor) -> Tensor:
    return to(10) * (to(len(x)) * x).sum() - 1


@problem(34, [1.0] * 5, (100 + 30 - 6) / (2 * 17))
def linear_rank_1_with_zeros(x: Tensor) -> Tensor:
    inner = (to(len(x))[1:-1] * x[1:-1]).sum()
    ends = -torch.ones(1, dtype=x.dtype)
    return torch.cat((ends, (to(9, 2) - 1) * inner - 1, ends))


@problem(35, [j / 9 for j in range(1, 9)], 3.51687e-3)
def chebyquad(x: Tensor) -> Tensor:
    y = 2 * x - 1
    polynomials = [torch.ones_like(y), y]
    for _ in range(len(x) - 1):
        polynomials.append(2 * y * polynomials[-1] - polynomials[-2])
    means = torch.stack([polynomial.mean() for polynomial in polynomials[1:]])
    i = to(len(x))
    return means + torch.where(i % 2 == 0, 1 / (i**2 - 1).clamp(min=1), 0.0)
