from __future__ import annotations

import re

import pytest
import torch

from thalweg import rules
from thalweg.errors import RaceError, UnknownNameError
from thalweg.lab.bench import Bench, Size, read_sizes, settings


def test_a_bench_of_nothing_in_particular_measures_every_rule_against_whoever_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Bench().measured_rules == tuple(rules.catalogue())
    monkeypatch.setattr(settings, "has_optax", lambda: False)
    assert Bench().opponents == ("torch",)
    monkeypatch.setattr(settings, "has_optax", lambda: True)
    assert Bench().opponents == ("torch", "optax")


def test_a_rule_that_is_named_twice_is_measured_once() -> None:
    assert Bench(rules=("lion", "adam", "lion")).measured_rules == ("lion", "adam")


def test_a_rule_may_be_named_as_others_call_it() -> None:
    assert Bench(rules=("momentum", "SGD", "heavy_ball")).measured_rules == ("heavy_ball", "gradient_descent")
    with pytest.raises(UnknownNameError, match="there is no rule `amsgrad`"):
        Bench(rules=("amsgrad",))  # a setting of Adam


def test_none_is_no_opponent() -> None:
    assert Bench(against=("none",)).opponents == ()


def test_sizes_are_read_as_people_write_them() -> None:
    assert read_sizes("2x30") == (Size(2, (30,)),)
    assert read_sizes(" 1X5, 4×5_000_000,1x5") == (Size(1, (5,)), Size(4, (5_000_000,)))
    assert str(Size(4, (5_000_000,))) == "4x5000000"
    assert read_sizes("4x2000x2500") == (Size(4, (2_000, 2_500)),)
    assert str(Size(4, (2_000, 2_500))) == "4x2000x2500"
    assert Size(3, (7, 2)).elements == 42


@pytest.mark.parametrize("text", ["", "150", "x", "0x5", "5x0", "-1x5", "1.5x3", "2x3,", "many"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RaceError, match=r"is not a number of tensors and their shape; type it as in --sizes 150x1000"):
        read_sizes(text)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"dtype": "floa32"}, "there is no dtype `floa32`; did you mean `float32`"),
        ({"device": "gpu"}, "there is no device `gpu` to measure on; choose one of cpu, cuda"),
        ({"against": ("troch",)}, "there is no opponent `troch`; did you mean `torch`?"),
        ({"against": ("none", "torch")}, "against none, torch: `none` stands alone"),
        ({"rounds": 0}, "at least one round and one thread"),
        ({"threads": 0}, "at least one round and one thread"),
    ],
)
def test_what_cannot_be_measured_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(RaceError, match=re.escape(said)):
        Bench(**asked)  # pyright: ignore[reportArgumentType]


def test_an_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="there is no rule `adm`; did you mean `adam`"):
        Bench(rules=("adm",))


def test_optax_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "has_optax", lambda: False)
    with pytest.raises(RaceError, match="optax or jax is not installed; `pip install jax optax`"):
        Bench(against=("optax",))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(RaceError, match="torch finds no CUDA device here"):
        Bench(device="cuda")
