"""Eigenvalues, density, trace, diagonal and condition numbers of matrices whose spectra are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from thalweg import curvature
from thalweg.curvature import Operator, bottom, condition_number, effective_condition_number, spectral_density, top
from thalweg.curvature.lanczos import tridiagonal
from thalweg.errors import CurvatureError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def with_spectrum(eigenvalues: Tensor, dtype: torch.dtype = torch.float64) -> tuple[Operator, list[int]]:
    """An operator with these eigenvalues in a random basis, and a count of the products with it."""
    n = len(eigenvalues)
    Q, _ = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    dense = (Q * eigenvalues.double() @ Q.T).to(dtype)
    count = [0]

    def multiply(V: Tensor) -> Tensor:
        count[0] += V.shape[1]
        return dense @ V

    return Operator("matrix", n, dtype, dense.device, multiply), count


# A bulk about zero, and outliers on both sides: what the Hessian of a network looks like.
BULK = torch.cat([torch.tensor([-8.0, -6]), torch.linspace(-1, 1, 378) ** 3]).double()
OUTLIERS = torch.linspace(5, 50, 20).double()
SPECTRUM = torch.cat([BULK, OUTLIERS])


@DTYPES
def test_the_ends_of_a_spectrum_are_found_by_products_alone(dtype: torch.dtype) -> None:
    A, count = with_spectrum(SPECTRUM, dtype)
    dense = A.to_dense()
    tolerance = {torch.float64: 1e-6, torch.float32: 1e-4}[dtype]
    for find, expected in ((top, SPECTRUM[-3:]), (bottom, SPECTRUM[:2])):
        count[0] = 0
        found = find(A, len(expected))
        assert count[0] < 400
        assert float((found.values.double() - expected).abs().max()) < 50 * {1e-6: 1e-9, 1e-4: 1e-5}[tolerance]
        assert float((dense @ found.vectors - found.vectors * found.values).abs().max()) < 50 * tolerance
        assert found.values.dtype == found.vectors.dtype == dtype
        assert torch.equal(find(A, len(expected)).vectors, found.vectors)


def test_small_matrices_zero_and_the_identity_have_their_eigenvalues() -> None:
    assert torch.equal(top(torch.diag(torch.tensor([3.0, -5.0, 2.0])), 2).values, torch.tensor([2.0, 3.0]))
    assert torch.equal(bottom(torch.diag(torch.tensor([3.0, -5.0, 2.0])), 1).values, torch.tensor([-5.0]))
    zero = top(torch.zeros(300, 300), 2)
    assert not zero.values.any()
    assert zero.vectors.shape == (300, 2)
    assert torch.allclose(bottom(torch.eye(300), 2).values, torch.ones(2))


def test_lanczos_keeps_its_vectors_orthogonal_and_ends_where_the_space_does() -> None:
    A, _ = with_spectrum(SPECTRUM)
    start = torch.randn(400, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    diagonal, off = tridiagonal(A, start, 400)
    found = torch.linalg.eigvalsh(torch.diag(diagonal) + torch.diag(off, 1) + torch.diag(off, -1))
    assert torch.allclose(
        found[-20:], OUTLIERS, rtol=0, atol=1e-11
    )  # each once, as long as the vectors stay orthogonal
    B, count = with_spectrum(torch.tensor([2.0, 5, 9]).repeat_interleave(50))
    diagonal, off = tridiagonal(B, torch.ones(150, dtype=torch.float64), 100)
    assert (len(diagonal), len(off), count[0]) == (3, 2, 3)


def test_the_quadrature_has_the_moments_of_its_probes_exactly() -> None:
    A, _ = with_spectrum(SPECTRUM / 50)
    dense, steps = A.to_dense(), 6
    density = spectral_density(A, probes=3, steps=steps, seed=2)
    probes = curvature.vectors.Draws(A, 2).signs(3)
    for power in range(2 * steps):
        expected = float((probes * (torch.linalg.matrix_power(dense, power) @ probes)).sum()) / probes.numel()
        assert density.moment(power) == pytest.approx(expected, abs=1e-13)


@DTYPES
def test_the_density_is_that_of_a_known_spectrum(dtype: torch.dtype) -> None:
    A, _ = with_spectrum(SPECTRUM, dtype)
    density = spectral_density(A, probes=20, steps=60)
    assert float(density.weights.sum()) == pytest.approx(1)
    for value in (-0.5, 0.5, 2.0, 20.0):  # the share below, as of a distribution function
        assert density.below(value) == pytest.approx(float((value > SPECTRUM).double().mean()), abs=0.03)
    grid, width = torch.linspace(-3, 55, 500).double(), 1.0
    exact = torch.exp(-((grid[:, None] - SPECTRUM) ** 2) / 2).mean(1) / (2 * torch.pi) ** 0.5
    assert float(torch.trapezoid((density.at(grid, width) - exact).abs(), grid)) < 0.05
    assert float(density.nodes[-1]) == pytest.approx(50, rel=1e-5)
    assert float(
        torch.trapezoid(density.at(torch.linspace(-12, 60, 3000)), torch.linspace(-12, 60, 3000))
    ) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("method", ["hutch++", "hutchinson"])
def test_the_trace_is_right_on_average_and_its_error_is_what_it_says(method: Literal["hutch++", "hutchinson"]) -> None:
    A, count = with_spectrum(SPECTRUM)
    found = [curvature.trace(A, products=60, method=method, seed=seed) for seed in range(40)]
    assert count[0] == 40 * 60
    misses = torch.tensor([float(estimate) for estimate in found]) - float(SPECTRUM.sum())
    told = torch.tensor([estimate.error for estimate in found]).mean()
    assert float(misses.mean().abs()) < 4 * float(told) / 40**0.5
    assert 0.7 < float(misses.std() / told) < 1.4
    assert curvature.trace(A, products=400, method=method).value == pytest.approx(float(SPECTRUM.sum()))


def test_hutch_plus_plus_is_better_where_few_eigenvalues_are_large() -> None:
    A, _ = with_spectrum(SPECTRUM)
    plus, plain = (curvature.trace(A, products=90, method=method).error for method in ("hutch++", "hutchinson"))
    assert plus < plain / 5


def test_the_diagonal_is_right_within_its_standard_error() -> None:
    A, count = with_spectrum(SPECTRUM)
    dense = A.to_dense()
    count[0] = 0
    found = curvature.diagonal(A, products=100)
    assert count[0] == 100
    beside = (dense - torch.diag(dense.diagonal())).square().sum(1)
    misses = (found - dense.diagonal()) / (beside / 100).sqrt()
    assert 0.9 < float(misses.square().mean()) < 1.1
    assert torch.allclose(curvature.diagonal(A, products=400), dense.diagonal())


def test_condition_numbers_with_and_without_a_preconditioner() -> None:
    A, _ = with_spectrum(torch.linspace(0.5, 40, 300))
    Q = A.to_dense()
    assert condition_number(A) == pytest.approx(80, rel=1e-4)
    surface = tw.surfaces.quadratic(condition=100)
    assert condition_number(curvature.hessian(surface, (1.0, 2.0))) == pytest.approx(100)
    D = 1 / torch.linspace(1, 30, 300).double()
    root = D.sqrt()
    expected = float(torch.linalg.cond(root[:, None] * Q * root))
    assert effective_condition_number(A, D) == pytest.approx(expected, rel=1e-4)
    assert effective_condition_number(A, torch.diag(D)) == pytest.approx(expected, rel=1e-4)
    assert effective_condition_number(A, torch.linalg.inv(Q)) == pytest.approx(1, rel=1e-4)


def test_a_networks_spectrum_over_its_batches() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 4))
    data = torch.randn(60, 10), torch.randint(0, 4, (60,))
    G = curvature.gauss_newton(model, functional.cross_entropy, data, batch_size=25)
    exact = torch.linalg.eigvalsh(G.to_dense().double())
    assert float(top(G).values) == pytest.approx(float(exact[-1]), rel=1e-5)
    trace = curvature.trace(G, products=60)
    assert abs(trace.value - float(exact.sum())) < 4 * trace.error
    with pytest.raises(CurvatureError, match=r"positive definite matrix, .* add damping"):
        condition_number(G)  # cross-entropy does not see what is added to all logits


def matrix() -> Tensor:
    return torch.diag(torch.linspace(1, 2, 200))


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no eigenvalues": (lambda: top(matrix(), 0), HyperparameterError, "`k` is 0"),
    "too many eigenvalues": (lambda: top(matrix(), 201), CurvatureError, "has 200 eigenvalues, and 201 are asked for"),
    "too few products": (lambda: top(matrix(), max_products=15), CurvatureError, "15 products do not suffice"),
    "a negative seed": (lambda: spectral_density(matrix(), seed=-1), HyperparameterError, "`seed` is -1"),
    "no probes": (lambda: spectral_density(matrix(), probes=0), HyperparameterError, "`probes` is 0"),
    "a width of zero": (
        lambda: spectral_density(matrix()).at(torch.ones(1), 0.0),
        HyperparameterError,
        "`width` is 0.0",
    ),
    "an unknown method": (
        lambda: curvature.trace(matrix(), method="hutch"),  # pyright: ignore[reportArgumentType]
        HyperparameterError,
        "did you mean `hutch",
    ),
    "too few products for a trace": (lambda: curvature.trace(matrix(), products=5), HyperparameterError, "from 6"),
    "an indefinite matrix": (lambda: condition_number(torch.diag(torch.tensor([1.0, -1]))), CurvatureError, "-1 to 1"),
    "a preconditioner that is none": (
        lambda: effective_condition_number(matrix(), -torch.ones(200)),
        CurvatureError,
        "has an element that is not positive",
    ),
    "one that is not symmetric": (
        lambda: effective_condition_number(matrix(), torch.randn(200, 200)),
        CurvatureError,
        "not symmetric and positive definite",
    ),
    "one of another shape": (
        lambda: effective_condition_number(matrix(), torch.ones(3)),
        CurvatureError,
        r"has the shape \(3,\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_spectrum_is_refused(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()
