"""What estimators of the curvature find is what the whole Hessian says, or says on average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch.func import functional_call, jacrev
from torch.nn import functional

import thalweg as tw
from thalweg.errors import CurvatureError, HyperparameterError
from thalweg.optimizer.estimators import _draw

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.estimators import Estimator, Noise

DRAWS = 1500


class Net:
    """A small network on a few samples, and all that can be said of its curvature."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 3)).double()
        for parameter in self.model.parameters():
            parameter.data = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
        self.x = torch.randn(5, 3, generator=random, dtype=torch.float64)
        self.y = torch.tensor([0, 2, 1, 1, 0])
        self.parameters = list(self.model.parameters())
        self.flat = torch.cat([p.detach().flatten() for p in self.parameters])

    def logits(self, flat: Tensor) -> Tensor:
        sizes = [p.numel() for p in self.parameters]
        parts = [part.reshape(p.shape) for part, p in zip(flat.split(sizes), self.parameters, strict=True)]
        names = [name for name, _ in self.model.named_parameters()]
        return functional_call(self.model, dict(zip(names, parts, strict=True)), self.x)

    def hessian(self) -> Tensor:
        return jacrev(jacrev(lambda flat: functional.cross_entropy(self.logits(flat), self.y)))(self.flat)

    def gauss_newton(self) -> Tensor:
        """JᵀHJ of the mean cross-entropy, with H its Hessian in the logits: diag(π) − ππᵀ for each row."""
        jacobian = jacrev(self.logits)(self.flat)
        chances = self.logits(self.flat).softmax(-1)
        inner = torch.diag_embed(chances) - chances[:, :, None] * chances[:, None, :]
        return torch.einsum("nci,ncd,ndj->ij", jacobian, inner, jacobian) / len(self.x)

    def draws(self, estimator: Estimator, of: Tensor) -> Tensor:
        """Estimates of many steps, one a row."""
        return torch.stack([joined(estimator.estimate(of, self.parameters, step)) for step in range(DRAWS)])


def joined(parts: list[Tensor | None]) -> Tensor:
    return torch.cat([part.detach().flatten() for part in parts if part is not None])


def assert_mean(draws: Tensor, expected: Tensor) -> None:
    """The mean lies within five standard errors, and these are small enough to tell."""
    error = draws.std(0) / math.sqrt(len(draws))
    assert bool(((draws.mean(0) - expected).abs() <= 5 * error + 1e-12).all())
    assert float(error.norm()) < 0.2 * float(expected.norm())


@pytest.mark.parametrize("noise", ["rademacher", "normal"])
def test_hutchinsons_estimate_is_on_average_the_diagonal_of_the_hessian(noise: Noise) -> None:
    net = Net()
    loss = functional.cross_entropy(net.model(net.x), net.y)
    assert_mean(net.draws(tw.hutchinson(noise=noise), loss), net.hessian().diagonal())


def test_the_squares_of_equilibration_are_on_average_those_of_the_hessians_rows() -> None:
    net = Net()
    loss = functional.cross_entropy(net.model(net.x), net.y)
    assert_mean(net.draws(tw.equilibration(), loss) ** 2, (net.hessian() ** 2).sum(1))


def test_a_product_is_that_with_the_whole_hessian() -> None:
    net = Net()
    loss = functional.cross_entropy(net.model(net.x), net.y)
    drawn = joined(list(_draw(net.parameters, "normal", 7, 3)))
    found = joined(tw.equilibration(seed=7).estimate(loss, net.parameters, 3))
    torch.testing.assert_close(found, net.hessian() @ drawn)


def test_bartletts_estimate_is_on_average_the_diagonal_of_the_gauss_newton_matrix() -> None:
    net = Net()
    draws = net.draws(tw.gauss_newton_bartlett(), net.model(net.x))
    assert_mean(draws, net.gauss_newton().diagonal())
    assert bool((draws >= 0).all())


def test_bartletts_estimate_is_n_times_the_square_of_the_gradient_for_labels_of_the_models_own() -> None:
    weight = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    x = torch.tensor([[100.0, 0.0], [0.0, 100.0], [0.5, 0.5]])
    logits = x @ weight
    (found,) = tw.gauss_newton_bartlett().estimate(logits, [weight], 0)
    expected = []  # for the third row, which alone is not certain of its label
    for label in (0, 1):
        slope = (logits.detach()[2].softmax(-1) - functional.one_hot(torch.tensor(label), 2))[None, :] * x[2][:, None]
        expected.append(3 * (slope / 3) ** 2)
    assert found is not None
    assert any(torch.allclose(found, candidate, atol=1e-6) for candidate in expected)


@pytest.mark.parametrize("classes", [1, -1])
def test_logits_of_more_dimensions_are_rows_of_their_own(classes: int) -> None:
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    logits = (x @ weight).movedim(-1, classes)
    (found,) = tw.gauss_newton_bartlett(classes=classes).estimate(logits, [weight], 0)
    (plain,) = tw.gauss_newton_bartlett().estimate(x.reshape(10, 4) @ weight, [weight], 0)
    torch.testing.assert_close(found, plain)
    with pytest.raises(CurvatureError, match=r"shape \(2, .*say which has the classes"):
        tw.gauss_newton_bartlett().estimate(logits, [weight], 0)


def test_hutchinsons_estimate_is_exact_where_the_hessian_is_diagonal() -> None:
    a, b = torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)
    loss = (torch.tensor([2.0, -5.0]) * a**2).sum() + b**3
    found = tw.hutchinson().estimate(loss, [a, b], 0)
    assert [part.tolist() for part in found if part is not None] == [[4.0, -10.0], 18.0]
    assert loss.grad_fn is not None
    loss.backward()  # its graph is still there


def test_a_loss_that_is_linear_has_no_curvature_and_one_that_leaves_a_parameter_out_none_for_it() -> None:
    a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
    for loss in ((3 * a).sum(), (3 * a).sum() + (b**2).sum()):
        first, second, third = tw.hutchinson().estimate(loss, [a, b, c], 0)
        assert first is not None
        assert first.tolist() == [0.0, 0.0]
        assert third is None
    assert second is not None
    assert second.tolist() == [2.0, 2.0]


def test_a_sparse_layer_is_refused() -> None:
    layer = torch.nn.Embedding(5, 3, sparse=True)
    logits = layer(torch.tensor([1, 1, 4]))
    with pytest.raises(CurvatureError, match="make the layer with sparse=False"):
        tw.gauss_newton_bartlett().estimate(logits, [layer.weight], 0)


def test_what_is_drawn_follows_from_seed_and_step_alone() -> None:
    net = Net()
    loss = functional.cross_entropy(net.model(net.x), net.y)

    def found(estimator: Estimator, step: int) -> Tensor:
        return joined(estimator.estimate(loss, net.parameters, step))

    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(found(tw.hutchinson(), 3), found(tw.hutchinson(), 3))
    assert torch.equal(torch.rand(1), before)
    assert not torch.equal(found(tw.hutchinson(), 3), found(tw.hutchinson(), 4))
    assert not torch.equal(found(tw.hutchinson(), 3), found(tw.hutchinson(seed=1), 3))


def test_estimates_of_half_precision_are_those_of_single_precision() -> None:
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        own = weight.to(dtype).requires_grad_()
        (estimate,) = tw.hutchinson().estimate((x.to(dtype) @ own).float().pow(2).sum(), [own], 0)
        assert estimate is not None
        assert estimate.dtype == dtype
        found.append(estimate.float())
    torch.testing.assert_close(found[1], found[0], rtol=0.05, atol=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tw.hutchinson(every=0), r"hutchinson\(every=0\): `every` is 0; it must be a whole number from 1"),
        (
            lambda: tw.equilibration(seed=-1),
            r"equilibration\(seed=-1\): `seed` is -1; it must be a whole number from 0",
        ),
        (lambda: tw.hutchinson(every=2.5), "`every` is 2.5"),
        (lambda: tw.hutchinson(noise="gauss"), "`noise` is 'gauss'; known are: normal, rademacher"),
    ],
)
def test_wrong_settings_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(HyperparameterError, match=message):
        make()


def test_an_estimator_prints_as_it_is_typed() -> None:
    assert repr(tw.hutchinson(every=5, noise="normal")) == "hutchinson(every=5, noise='normal')"
    assert repr(tw.gauss_newton_bartlett(classes=1)) == "gauss_newton_bartlett(classes=1)"
    assert repr(tw.equilibration()) == "equilibration()"
