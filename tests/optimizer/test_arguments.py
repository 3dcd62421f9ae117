"""What is said of wrong arguments when an optimizer is made."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import thalweg as tw
from descents import one_parameter
from thalweg.errors import BackendError, ChainError, ParameterError, ThalwegError
from thalweg.optimizer import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.optimizer.layout import Backend

DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))


def used_up() -> Any:
    given = iter([one_parameter()])
    list(given)
    return given


NOTHING = "there are no parameters to optimize; has the model any, and was its generator used up before?"
WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no parameters": (lambda: tw.Optimizer([], DESCENT), ParameterError, NOTHING),
    "a used-up generator": (lambda: tw.Optimizer(used_up(), DESCENT), ParameterError, NOTHING),
    "a module without parameters": (lambda: tw.Optimizer(torch.nn.ReLU(), DESCENT), ParameterError, NOTHING),
    "an empty group": (lambda: tw.Optimizer([{"params": []}], DESCENT), ParameterError, NOTHING),
    "no parameters for a drop-in": (lambda: tw.Adam([]), ParameterError, NOTHING),
    "a tensor": (
        lambda: tw.Optimizer(one_parameter(), DESCENT),
        ParameterError,
        "`params` is a tensor; put it in a list",
    ),
    "an integer parameter": (
        lambda: tw.SGD([torch.ones(2, dtype=torch.int32)]),
        ParameterError,
        r"a parameter of shape \(2,\) has dtype torch.int32; those that can be stepped are float32, float64, bfl",
    ),
    "a stage for a chain": (
        lambda: tw.Optimizer([one_parameter()], tw.adam()),  # pyright: ignore[reportArgumentType]
        ChainError,
        r"the second argument must be a chain, and is adam\(\); write `chain\(adam\(\), step\(…\)\)`",
    ),
    "a number for a chain": (
        lambda: tw.Optimizer([one_parameter()], 0.1),  # pyright: ignore[reportArgumentType]
        ChainError,
        "the second argument must be a chain, and is 0.1",
    ),
    "an unknown backend": (
        lambda: tw.Optimizer([one_parameter()], DESCENT, backend="numbe"),  # pyright: ignore[reportArgumentType]
        BackendError,
        "`backend` is 'numbe'; did you mean `numba`",
    ),
    "a string among the parameters": (
        lambda: tw.Optimizer(["weight"], DESCENT),  # pyright: ignore[reportArgumentType]
        TypeError,
        "optimizer can only optimize Tensors, but one of the params is str",
    ),
    "a tensor that is no leaf": (
        lambda: tw.Optimizer([one_parameter() * 2], DESCENT),
        ValueError,
        "can't optimize a non-leaf Tensor",
    ),
}


@pytest.mark.parametrize(("make", "kind", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(make: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_all_of_our_errors_are_of_one_tree_and_of_pythons_kinds() -> None:
    kinds = [e for e in vars(tw.errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert all(issubclass(kind, ThalwegError) for kind in kinds)
    assert issubclass(tw.errors.HyperparameterError, ValueError)
    assert issubclass(tw.errors.UnknownNameError, LookupError)
    assert issubclass(tw.errors.FormulaError, TypeError)


def test_an_unknown_name_of_the_package_has_a_nearest_one() -> None:
    with pytest.raises(AttributeError, match="module `thalweg` has no `AdanW`; did you mean `AdamW`"):
        _ = tw.AdanW  # pyright: ignore[reportAttributeAccessIssue]


def test_the_numba_backend_refuses_a_device_that_it_cannot_reach() -> None:
    with FakeTensorMode():  # a tensor on a device that need not be there
        elsewhere = torch.ones(3, device="cuda")
    with pytest.raises(
        BackendError, match="the numba backend steps tensors on the CPU, and one is on cuda:0; use backend='auto'"
    ):
        layout._binder("numba", elsewhere)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_parameter_without_values_is_refused(backend: Backend) -> None:
    parameter = torch.ones(3, device="meta", requires_grad=True)
    parameter.grad = torch.ones(3, device="meta")
    with pytest.raises(
        ParameterError, match="a parameter is on the meta device and has no values to step; load the model first"
    ):
        tw.Optimizer([parameter], DESCENT, backend=backend).step()


def test_an_optimizer_prints_its_chain_and_its_numbers() -> None:
    text = repr(tw.Optimizer([one_parameter()], tw.chain(tw.adam(0.8), tw.step(0.1))))
    assert text.startswith("Optimizer (")
    assert "chain: chain(adam(0.8), step(0.1))" in text
    assert "beta1: 0.8" in text
