"""The catalogue of training problems: lazy, and helpful about names."""

from __future__ import annotations

import pytest

from thalweg.errors import UnknownNameError
from thalweg.lab import problems
from thalweg.lab.data import mnist_files


def test_it_holds_each_problem_under_its_name() -> None:
    assert list(problems.catalogue()) == [
        "mnist_softmax",
        "mnist_mlp",
        "mnist_autoencoder",
        "quadratic_deep",
        "mnist_softmax_full_batch",
        "mnist_autoencoder_full_batch",
    ]
    for name, problem in problems.catalogue().items():
        assert problem.name == name
        assert problem.source
        assert problems.get(name).title == problem.title


def test_it_loads_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_files, "read_checked", lambda *_: pytest.fail("data was read"))
    for problem in problems.catalogue(mnist="part").values():
        assert problem.title


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="there is no training problem `mnist_mpl`; did you mean `mnist_mlp`"):
        problems.get("mnist_mpl")
