from __future__ import annotations

import pytest

from thalweg import rules
from thalweg.chain import chain, decay, matrix_methods, muon, route, step
from thalweg.errors import ChainError, HyperparameterError, UnknownNameError
from thalweg.lab import contenders
from thalweg.lab.special_cases import contained_in
from thalweg.schedules import cosine, warmup


def test_the_eleven_are_in_the_catalogue() -> None:
    assert len(contenders.NAMES) == 11
    assert set(contenders.NAMES) <= set(rules.catalogue())


@pytest.mark.parametrize("name", [name for name in contenders.NAMES if name != "rprop"])
def test_every_rule_is_raced_with_its_defaults_and_a_rate(name: str) -> None:
    contender = contenders.get(name)
    assert contender.build(0.25) == chain(rules.get(name)(), step(0.25))
    assert contender.settings(0.25) == {"lr": 0.25}
    assert contender.default == rules.get(name).learning_rate


def test_rprop_has_its_first_step_size_tuned() -> None:
    contender = contenders.get("rprop")
    assert contender.build(0.25) == chain(rules.rprop(delta0=0.25))
    assert contender.settings(0.25) == {"delta0": 0.25}
    assert contender.default == 0.1


def test_the_search_is_around_the_default_or_between_given_bounds() -> None:
    contender = contenders.get("adam")
    assert contender.grid(trials=3).rates() == (0.000316, 0.001, 0.00316)
    assert contender.grid(trials=3, bounds=(0.01, 1.0)).rates() == (0.01, 0.1, 1.0)


@pytest.mark.parametrize("name", matrix_methods())
def test_a_matrix_method_is_raced_with_its_defaults_and_a_rate(name: str) -> None:
    method = matrix_methods()[name]
    contender = contenders.get(name)
    assert contender.build(0.25) == chain(method(), step(0.25))
    assert (contender.default, contender.title) == (method.rule.learning_rate, method.rule.title)


def test_a_route_can_be_typed_and_its_rate_tuned() -> None:
    contender = contenders.get("route({'matrix': chain(muon(), step(lr)), '*': chain(adam(), step(lr / 50))})")
    built = {"matrix": chain(muon(), step(0.5)), "*": chain(rules.adam(), step(0.01))}
    assert contender.build(0.5) == route(built)
    assert contender.default == 0.02


def test_momentum_contains_gradient_descent() -> None:
    assert contained_in("heavy_ball") == ("gradient_descent",)
    assert contained_in("adamw") == ("adam",)
    assert contained_in("rprop") == ()


def test_an_unknown_optimizer_is_told_what_it_might_have_been() -> None:
    with pytest.raises(UnknownNameError, match=r"there is no optimizer `adm` to race; did you mean .*`adam`"):
        contenders.get("adm")


@pytest.mark.parametrize(
    ("text", "built"),
    [
        ("chain(adam(beta2=0.95), step(lr))", chain(rules.adam(beta2=0.95), step(0.5))),
        ("chain(rprop(delta0=lr))", chain(rules.rprop(delta0=0.5))),
        (
            "chain(adam(epsilon='inside'), decay(0.1), step(lr))",
            chain(rules.adam(epsilon="inside"), decay(0.1), step(0.5)),
        ),
        (
            "chain(adam(), step(warmup(5) >> cosine(lr, steps=10)))",
            chain(rules.adam(), step(warmup(5) >> cosine(0.5, steps=10))),
        ),
        (
            "chain(heavy_ball(), step(0.1 * cosine(lr, steps=9)))",
            chain(rules.heavy_ball(), step(0.1 * cosine(0.5, steps=9))),
        ),
    ],
)
def test_a_chain_can_be_typed(text: str, built: object) -> None:
    contender = contenders.get(text)
    assert repr(contender.build(0.5)) == repr(built)
    assert contender.name == text
    assert contender.settings(0.5) == {"lr": 0.5}


def test_a_typed_chain_is_searched_around_its_rules_own_rate() -> None:
    assert contenders.get("chain(decay(0.1), adamax(), step(lr))").default == 0.002
    assert contenders.get("chain(rprop(delta0=lr))").default == 0.01
    assert contenders.get("chain(muon(only='matrix'), tw.adam(skip='matrix'), step(lr))").default == 0.02


def test_a_typed_chain_without_lr_is_run_as_it_is() -> None:
    contender = contenders.get("chain(adam(), step(0.001))")
    assert contender.tuned is None
    assert contender.settings(1.0) == {}
    assert contender.grid(trials=9).trials == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("chain(adam(), step(lr)", ChainError, "is not a chain .* type one as in"),
        ("chain(adm(), step(lr))", UnknownNameError, "there is no `adm`; did you mean .*`adam`"),
        ("chain(adam, step(lr))", ChainError, r"`adam` is called with its settings: write `adam\(\)`"),
        ("adam(beta2=0.95)", ChainError, "is not a chain; put its stages in one"),
        ("chain(adam(beta2=lr.real), step(lr))", ChainError, "`lr.real` is more than a typed chain holds"),
        ("chain(adam(**lr), step(lr))", ChainError, "is more than a typed chain holds"),
        ("__import__('os').getcwd()", ChainError, "is more than a typed chain holds"),
        ("eval('1')", UnknownNameError, "there is no `eval`"),
        ("chain([x for x in (1, 2)], step(lr))", ChainError, "is more than a typed chain holds"),
        ("chain(adam(beta2=0.9, beta2=0.8))", ChainError, "`adam` is given the same setting twice"),
        ("chain(adam(), step(cosine()))", ChainError, "missing"),
        ("chain(adam(), step('a' >> 1))", ChainError, "`'a' >> 1` is more than a typed chain holds"),
        ("chain(adam(beta2=1.5), step(lr))", HyperparameterError, "`beta2` is 1.5"),
        ("chain(adam(), step(-lr))", HyperparameterError, "learning_rate"),
        ("chain(adam(), step(-0.1))", HyperparameterError, "learning_rate"),
    ],
)
def test_what_is_no_chain_says_so(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        contenders.get(text)
