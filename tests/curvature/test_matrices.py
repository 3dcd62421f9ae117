"""The operators over a data set: closed forms, dense twins, batches, dtypes, and what is refused."""

# ruff: noqa: ANN401  # models and losses of all kinds

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import regressions
import thalweg as tw
from thalweg.curvature import Operator, empirical_fisher, fisher, gauss_newton, hessian
from thalweg.errors import CurvatureError, DataError, HyperparameterError, ParameterError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

KINDS = {"hessian": hessian, "gauss_newton": gauss_newton, "fisher": fisher, "empirical_fisher": empirical_fisher}
EACH_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(dtype)


def examples(rows: int = 17, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(rows, 4, dtype=dtype), torch.randint(0, 3, (rows,))


def flat_gradient(loss: Tensor, model: nn.Module) -> Tensor:
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))])


def gap(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", regressions.EACH)
@EACH_KIND
def test_regressions_have_the_curvature_that_is_written_by_hand(name: str, kind: Callable[..., Operator]) -> None:
    regression = regressions.EACH[name]()
    expected = regression.empirical_fisher if kind is empirical_fisher else regression.hessian
    for batch_size in (None, 5):
        found = regressions.dense(kind(regression.model, regression.loss, regression.data, batch_size=batch_size))
        assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_networks_matrices_are_symmetric_and_fishers_is_gauss_newtons(dtype: torch.dtype) -> None:
    model, data = network(dtype), examples(dtype=dtype)
    tolerance = {torch.float64: 1e-13, torch.float32: 1e-5}[dtype]
    for kind in KINDS.values():
        A = kind(model, functional.cross_entropy, data)
        assert (A.dtype, A.shape, A.T) == (dtype, (43, 43), A)
        assert gap(A.to_dense().T, A.to_dense()) < tolerance
        columns = torch.randn(43, 2, dtype=dtype)
        assert gap(A @ columns, A.to_dense() @ columns) < tolerance
        assert gap(A @ columns[:, 0], (A @ columns)[:, 0]) < tolerance
    G, F = (kind(model, functional.cross_entropy, data).to_dense() for kind in (gauss_newton, fisher))
    assert gap(F, G) < tolerance
    assert gap(hessian(model, functional.cross_entropy, data).to_dense(), G) > 0.1  # the model bends


def test_the_empirical_fisher_is_the_mean_of_squared_gradients() -> None:
    model, (x, y) = network(), examples()
    each = [flat_gradient(functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]), model) for i in range(len(y))]
    expected = torch.stack([torch.outer(g, g) for g in each]).mean(0)
    assert gap(empirical_fisher(model, functional.cross_entropy, (x, y), batch_size=6).to_dense(), expected) < 1e-13


LOSSES: dict[str, tuple[Any, Callable[[Tensor, Tensor], tuple[Tensor, Any]]]] = {
    "mean": (nn.CrossEntropyLoss(), lambda x, y: (x, y)),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), lambda x, y: (x, y)),
    "some labels ignored": (nn.CrossEntropyLoss(ignore_index=1), lambda x, y: (x, y)),
    "weights": (nn.CrossEntropyLoss(torch.tensor([1.0, 2, 5]).double()), lambda x, y: (x, y)),
    "smoothed": (partial(functional.cross_entropy, label_smoothing=0.2), lambda x, y: (x, y)),
    "probabilities": (nn.CrossEntropyLoss(), lambda x, y: (x, functional.one_hot(y, 3).double() * 0.7 + 0.1)),
    "squares": (nn.MSELoss(), lambda x, y: (x, functional.one_hot(y, 3).double())),
    "binary": (nn.BCEWithLogitsLoss(), lambda x, y: (x, functional.one_hot(y, 3).double())),
    "of one's own": (lambda f, y: (f.logsumexp(1) - f.gather(1, y[:, None])[:, 0]).mean(), lambda x, y: (x, y)),
}


@pytest.mark.parametrize("name", LOSSES)
@EACH_KIND
def test_batches_of_any_size_add_up_to_the_whole(name: str, kind: Callable[..., Operator]) -> None:
    loss, made = LOSSES[name]
    model, (x, y) = network(), made(*examples())
    given = {"likelihood": "categorical"} if kind is fisher and name in ("of one's own", "weights") else {}
    whole = kind(model, loss, (x, y), **given).to_dense()
    loader = DataLoader(TensorDataset(x, y), batch_size=7, shuffle=True)
    uneven = [(x[:2], y[:2]), (x[2:13], y[2:13]), (x[13:], y[13:])]
    if name == "some labels ignored":
        uneven.insert(0, (x[:3], torch.ones_like(y[:3])))  # all of them
    for data in (uneven, loader):
        assert gap(kind(model, loss, data, **given).to_dense(), whole) < 1e-13
    if kind is fisher and name != "weights":
        assert gap(whole, gauss_newton(model, loss, (x, y)).to_dense()) < 1e-13


def test_a_mean_over_something_else_is_counted_as_you_say() -> None:
    model, (x, y) = network(), examples()
    importance = torch.linspace(0.5, 3, len(y)).double()

    def loss(outputs: Tensor, targets: tuple[Tensor, Tensor]) -> Tensor:
        labels, weights = targets
        return (weights * functional.cross_entropy(outputs, labels, reduction="none")).sum() / weights.sum()

    whole = gauss_newton(model, loss, [(x, (y, importance))])
    parts = [(x[i : i + 4], (y[i : i + 4], importance[i : i + 4])) for i in range(0, len(y), 4)]
    found = gauss_newton(model, loss, parts, count=lambda _, targets: float(targets[1].sum()))
    assert gap(found.to_dense(), whole.to_dense()) < 1e-13


@pytest.mark.parametrize(
    ("loss", "likelihood"),
    [
        (functional.cross_entropy, None),
        (nn.MSELoss(), None),
        (nn.BCEWithLogitsLoss(reduction="sum"), None),
        (functional.cross_entropy, lambda outputs: Categorical(logits=outputs)),
    ],
    ids=["categorical", "gaussian", "bernoulli", "a distribution"],
)
def test_the_sampled_fisher_tends_to_the_exact_one_and_is_always_the_same(loss: Any, likelihood: Any) -> None:
    model, (x, y) = network(), examples()
    targets = y if loss is functional.cross_entropy else functional.one_hot(y, 3).double()
    exact = fisher(model, loss, (x, targets)).to_dense()

    def sampled(samples: int, seed: int = 0) -> Tensor:
        made = fisher(model, loss, (x, targets), likelihood=likelihood, samples=samples, seed=seed, batch_size=6)
        torch.rand(1)  # other people's random numbers change nothing
        return made.to_dense()

    few, many = sampled(20), sampled(1000)
    assert (many - exact).norm() < 0.06 * exact.norm()
    assert (many - exact).norm() < 0.5 * (few - exact).norm()
    assert torch.equal(few, sampled(20))
    assert not torch.equal(few, sampled(20, seed=1))


def test_fishers_for_tokens_have_a_distribution_at_each_token_and_leave_ignored_ones_out() -> None:
    torch.manual_seed(0)
    model, x = nn.Conv1d(2, 3, 2).double(), torch.randn(5, 2, 6).double()
    y = torch.randint(0, 3, (5, 5))
    y[0, 2:], y[3] = -100, -100
    loss = nn.CrossEntropyLoss()
    G = gauss_newton(model, loss, (x, y)).to_dense()
    assert gap(fisher(model, loss, (x, y), batch_size=2).to_dense(), G) < 1e-13
    assert gap(fisher(model, loss, (x, y), samples=2000).to_dense(), G) < 0.1


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2).double(), nn.Linear(1, 2).double()
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.tanh(self.left(left) * self.right(right))


@EACH_KIND
def test_several_inputs_come_in_order_or_by_name(kind: Callable[..., Operator]) -> None:
    model, (x, y) = TwoInputs(), examples()
    a, b, targets = x[:, :3], x[:, 3:], y % 2
    found = [
        kind(model, functional.cross_entropy, data).to_dense()
        for data in (
            (a, b, targets),
            [((a, b), targets)],
            [[{"left": a, "right": b}, targets]],
            [(a[:5], b[:5], targets[:5]), (a[5:], b[5:], targets[5:])],
        )
    ]
    assert found[0].shape == (12, 12)  # what is frozen has no place
    assert all(gap(other, found[0]) < 1e-13 for other in found)
    layer = kind(model, functional.cross_entropy, (a, b, targets), parameters=model.right.parameters())
    assert gap(layer.to_dense(), found[0][8:, 8:]) < 1e-13


def test_the_hessian_of_a_function_and_of_a_surface_at_a_point() -> None:
    beale = tw.surfaces.get("beale")
    A = tw.curvature.hessian(beale, (1.0, 2.0))
    assert gap(A.to_dense(), beale.hessian((1.0, 2.0))) < 1e-13
    x = torch.randn(2, 3)
    B = hessian(lambda x: (x**4).sum(), x)
    x.zero_()  # the operator has its own
    assert B.shape == (6, 6)
    assert torch.equal(B.to_dense(), torch.diag(torch.diagonal(B.to_dense())))
    assert bool((B @ torch.ones(6) > 0).all())


def test_running_statistics_and_the_parameters_are_left_as_they_are() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    before = copy.deepcopy(model.state_dict())
    for products in ("exact", "differences"):
        A = hessian(model, functional.cross_entropy, examples(), products=products)
        assert bool((A @ torch.ones(A.size, dtype=A.dtype)).any())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert all(p.grad is None for p in model.parameters())


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project, self.out = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unsqueeze(1) for part in self.project(x).chunk(3, -1))
        return self.out(functional.scaled_dot_product_attention(q, k, v).mean((1, 2)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@EACH_KIND
def test_fused_attention_is_differentiated_by_finite_differences(
    kind: Callable[..., Operator], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    model, x, y = Attention().to(dtype), torch.randn(9, 5, 4, dtype=dtype), torch.randint(0, 3, (9,))
    with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        exact = kind(model, functional.cross_entropy, (x, y), products="exact").to_dense()
    tolerance = {torch.float64: 1e-8, torch.float32: 1e-3}[dtype]
    by_name = kind(model, functional.cross_entropy, (x, y), products="differences", batch_size=4)
    assert gap(by_name.to_dense(), exact) < tolerance
    automatic = kind(model, functional.cross_entropy, (x, y))
    with pytest.warns(RuntimeWarning, match=r"cannot be differentiated twice .* Finite differences are taken instead"):
        found = automatic.to_dense()
    assert gap(found, exact) < tolerance
    assert gap(automatic.to_dense(), exact) < tolerance  # and does not warn again
    with pytest.raises(CurvatureError, match=r"cannot be differentiated twice .*MATH"):
        kind(model, functional.cross_entropy, (x, y), products="exact").to_dense()


def test_one_batch_at_a_time_has_a_graph() -> None:
    alive: list[int] = []
    held: list[int] = [0]

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.held = Held()
            return x.clone()

        @staticmethod
        def backward(ctx: Any, slope: Tensor) -> Tensor:  # noqa: ARG004  # pyright: ignore[reportIncompatibleMethodOverride]
            return slope

    class Held:
        def __init__(self) -> None:
            held[0] += 1
            alive.append(held[0])

        def __del__(self) -> None:
            held[0] -= 1

    model, (x, y) = network(), examples()
    for kind in KINDS.values():
        through = lambda x: Counted.apply(model(x))  # noqa: E731
        A = kind(through, functional.cross_entropy, (x, y), batch_size=2, parameters=model.parameters())
        A @ torch.ones(43, 3).double()
    assert max(alive) == 1


def test_scipy_takes_the_operator() -> None:
    from scipy.sparse.linalg import eigsh

    A = hessian(network(), functional.cross_entropy, examples())
    (found,) = eigsh(A.to_scipy(), k=1, which="LA", return_eigenvectors=False)
    assert abs(found - torch.linalg.eigvalsh(A.to_dense())[-1]) < 1e-10
    with pytest.raises(CurvatureError, match="SciPy knows no such"):
        hessian(lambda x: (x**2).sum(), torch.ones(2, dtype=torch.bfloat16)).to_scipy()


def _moved() -> None:
    model = network()
    A = hessian(model, functional.cross_entropy, examples())
    A @ torch.ones(43).double()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    A @ torch.ones(43).double()


def _other_data() -> None:
    data = [examples(6)]
    A = hessian(network(), functional.cross_entropy, DataLoader(TensorDataset(*data[0])))
    B = fisher(network(), functional.cross_entropy, DataLoader(TensorDataset(*data[0]), shuffle=True), samples=1)
    A @ torch.ones(43).double()
    for _ in range(20):
        B @ torch.ones(43).double()


def _shrinking() -> None:
    class Shrinking:
        left = 4

        def __iter__(self) -> Any:
            self.left -= 1
            return iter([examples()] * self.left)

    A = hessian(network(), functional.cross_entropy, Shrinking())
    for _ in range(2):
        A @ torch.ones(43).double()


def of(loss: Any = functional.cross_entropy, data: Any = None, model: Any = None, **settings: Any) -> Operator:
    return gauss_newton(model or network(), loss, examples() if data is None else data, **settings)


x, y = examples()
ONES = torch.ones(43, dtype=torch.float64)
BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "vector of another length": (lambda: of() @ ONES[1:], CurvatureError, r"vectors \(43,\).*has the shape \(42,\)"),
    "rows": (lambda: of() @ ONES[None], CurvatureError, r"columns \(43, k\)"),
    "vector in another dtype": (lambda: of() @ ONES.float(), CurvatureError, "torch.float32, on cpu"),
    "an array": (lambda: of() @ ONES.numpy(), CurvatureError, r"this is ndarray; or take `.to_scipy\(\)`"),
    "a NaN in the vector": (lambda: of() @ (ONES / 0), CurvatureError, "NaN or an infinity"),
    "a NaN in the loss": (lambda: of(data=(x / 0, y)), CurvatureError, "loss of batch 0 is nan"),
    "a product that overflows": (
        lambda: hessian(lambda x: 1e30 * (x**2).sum(), torch.ones(1)) @ torch.tensor([1e10]),
        CurvatureError,
        "overflows torch.float32",
    ),
    "a loss of many numbers": (
        lambda: of(lambda f, _: f),
        CurvatureError,
        r"the loss has the shape \(17, 3\); it must be a tensor of one number",
    ),
    "a loss that is no tensor": (lambda: of(lambda *_: 1.0), CurvatureError, "the loss has the type float"),
    "reduction none": (lambda: of(nn.CrossEntropyLoss(reduction="none")), HyperparameterError, "`reduction` is 'none'"),
    "two reductions": (lambda: of(nn.MSELoss(), reduction="sum"), HyperparameterError, "says itself that it is a mean"),
    "a loss without a graph": (
        lambda: of(lambda f, _: f.detach().sum()) @ ONES,
        CurvatureError,
        "the loss has no graph",
    ),
    "dropout": (lambda: of(model=nn.Sequential(network(), nn.Dropout())), CurvatureError, r"by `model.eval\(\)`"),
    "nothing to train": (lambda: of(model=network().requires_grad_(False)), ParameterError, "no trainable parameter"),
    "no module": (lambda: of(model=lambda x: x), ParameterError, "the model is no `nn.Module`"),
    "a generator": (lambda: of(data=(batch for batch in [(x, y)])), DataError, "which runs out after one pass"),
    "no batches": (lambda: of(data=DataLoader(TensorDataset(x[:0], y[:0]))), DataError, "the data has no batch"),
    "a dataset": (lambda: of(data=TensorDataset(x, y)), DataError, "DataLoader over it"),
    "no data": (lambda: of(data=3), DataError, "the data is int"),
    "inputs alone": (
        lambda: of(data=[x]),
        DataError,
        r"is \(inputs, targets\).*this one is a tensor of shape \(17, 4\)",
    ),
    "batches of batches": (lambda: of(data=[(x, y)], batch_size=2), HyperparameterError, "in batches already"),
    "a batch size of zero": (lambda: of(batch_size=0), HyperparameterError, "`batch_size` is 0"),
    "uneven tensors": (lambda: of(data=(x[1:], y), batch_size=2), DataError, "as many rows each"),
    "unknown products": (lambda: of(products="exakt"), HyperparameterError, "did you mean `exact`"),
    "moved parameters": (_moved, CurvatureError, "the parameters have moved since the operator was made"),
    "shuffled anew, with samples": (_other_data, DataError, "or another order"),
    "data that shrinks": (_shrinking, DataError, "2 batches then, 1 now"),
    "no likelihood": (lambda: fisher(network(), nn.L1Loss(), (x, y)), CurvatureError, "one of categorical, gaussian"),
    "a likelihood that is none": (
        lambda: fisher(network(), nn.L1Loss(), (x, y), likelihood="gausian"),
        UnknownNameError,
        "did you mean `gaussian`",
    ),
    "weights": (
        lambda: fisher(network(), nn.CrossEntropyLoss(torch.ones(3).double()), (x, y)),
        CurvatureError,
        "with `weight` is no negative log-likelihood",
    ),
    "a distribution without samples": (
        lambda: fisher(network(), functional.cross_entropy, (x, y), likelihood=lambda f: Categorical(logits=f)) @ ONES,
        CurvatureError,
        "give `samples` to draw from the prediction",
    ),
    "no labels that count": (
        lambda: of(nn.CrossEntropyLoss(ignore_index=1), (x, torch.ones_like(y))) @ ONES,
        CurvatureError,
        "no label of the data counts",
    ),
    "no samples": (lambda: fisher(network(), nn.MSELoss(), (x, y), samples=0), HyperparameterError, "`samples` is 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_curvature_is_refused(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()
