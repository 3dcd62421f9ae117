"""Functions of symmetric matrices: against SciPy, without full rank, and when the solver fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from scipy.linalg import fractional_matrix_power

from matrix.stacks import distance, gradients
from thalweg.errors import GradientError
from thalweg.matrix.spectrum import eigen, spectral

if TYPE_CHECKING:
    from collections.abc import Callable

SOLVE = torch.linalg.eigh


def statistics(b: int = 3, n: int = 6, count: int = 10, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    (X,) = gradients(1, b, n, count)
    return (X @ X.mT).to(dtype)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_an_inverse_root_is_scipys(power: float) -> None:
    S = statistics()
    found = spectral(S, lambda x: (x + 0.1) ** -power)
    for i in range(3):
        damped = S[i].numpy() + 0.1 * torch.eye(6, dtype=torch.float64).numpy()
        assert distance(found[i], fractional_matrix_power(damped, -power)) < 1e-10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_full_rank_the_rest_is_raised_to_rounding(dtype: torch.dtype) -> None:
    S = statistics(n=30, count=2, dtype=dtype)
    root = spectral(S, lambda x: x**-0.5)
    top = torch.linalg.eigvalsh(S)[:, -1]
    largest = torch.linalg.matrix_norm(root, 2)
    assert torch.allclose(largest, (torch.finfo(dtype).eps * 30 * top) ** -0.5, rtol=1e-2)


def test_of_nothing_the_root_is_zero() -> None:
    S = statistics()
    S[1] = 0
    root = spectral(S, lambda x: (x + 1e-12) ** -0.25)
    assert torch.equal(root[1], torch.zeros_like(root[1]))
    assert float(root[0].abs().max()) > 0


def failing_for(fails: Callable[[torch.Tensor], bool], calls: list[torch.Tensor]) -> Callable[[torch.Tensor], Any]:
    def solve(S: torch.Tensor) -> Any:  # noqa: ANN401
        calls.append(S)
        if fails(S):
            message = "linalg.eigh: the algorithm failed to converge"
            raise torch.linalg.LinAlgError(message)
        return SOLVE(S)

    return solve


def test_where_float32_fails_float64_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    S = statistics(dtype=torch.float32)
    expected = SOLVE(S.double())[0]
    calls: list[torch.Tensor] = []
    monkeypatch.setattr(torch.linalg, "eigh", failing_for(lambda M: M.dtype == torch.float32, calls))
    values, vectors = eigen(S)
    assert [M.dtype for M in calls] == [torch.float32, torch.float64]
    assert values.dtype == vectors.dtype == torch.float32
    assert distance(values, expected) < 1e-6


def test_where_float64_fails_too_a_trace_of_damping_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    S = statistics()
    calls: list[torch.Tensor] = []
    monkeypatch.setattr(torch.linalg, "eigh", failing_for(lambda _: len(calls) < 3, calls))
    values, _ = eigen(S)
    assert torch.equal(calls[0], calls[1])
    added = torch.diagonal(calls[2] - S, dim1=1, dim2=2)
    assert distance(added, 1e-10 * torch.diagonal(S, dim1=1, dim2=2).mean(-1, keepdim=True).expand(3, 6)) < 1e-4
    assert distance(values, SOLVE(S)[0]) < 1e-8


def test_values_that_are_not_finite_are_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    S = statistics(dtype=torch.float32)

    def spoilt(M: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, vectors = SOLVE(M)
        return (values * torch.nan if M.dtype == torch.float32 else values), vectors

    monkeypatch.setattr(torch.linalg, "eigh", spoilt)
    assert bool(eigen(S)[0].isfinite().all())


def test_when_nothing_helps_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "eigh", failing_for(lambda _: True, []))
    with pytest.raises(GradientError, match=r"a gradient's statistics, 6 × 6, were not found.*clip them"):
        eigen(statistics())
