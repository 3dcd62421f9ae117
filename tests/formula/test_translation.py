"""What is said of a translation that cannot be: a translation is read when its rule is made."""

from __future__ import annotations

from typing import Literal

import pytest

from thalweg.errors import FormulaError, HyperparameterError
from thalweg.formula import Direction, Fraction, LearningRate, NonNegative, Rule, Update, Zeros, rule


def rule_with(*translations: str) -> Rule:
    @rule(title="Heavy ball", source="Polyak 1964; Liu et al. 2020; Ada, Bo and Cy 1999", translations=translations)
    def rolling(
        g: Direction,
        v: Zeros,
        alpha: LearningRate,
        *,
        beta: Fraction = 0.9,
        eps: NonNegative | None = None,
        form: Literal["classical", "torch"] = "classical",
        flag: bool = False,
    ) -> Update:
        return g, v

    return rolling


def test_a_translation_says_what_to_type_there_for_our_settings() -> None:
    (said,) = rule_with(
        "torch.optim.SGD(lr=(1 - beta) * lr, both=(beta, -eps), nesterov=flag, momentum=1)"
    ).translations
    assert said.name == "torch.optim.SGD"
    assert said.library == "torch"
    assert str(said) == "torch.optim.SGD(lr=(1 - beta) * lr, both=(beta, -eps), nesterov=flag, momentum=1)"
    values = said.values({"lr": 0.5, "beta": 0.5, "eps": 0.25, "flag": True})
    assert values == {"lr": 0.25, "both": (0.5, -0.25), "nesterov": True, "momentum": 1}


def test_what_depends_on_a_setting_that_is_not_given_is_left_out() -> None:
    (said,) = rule_with("keras.optimizers.SGD(learning_rate=lr, epsilon=eps * sqrt(1 - beta**t))").translations
    assert said.library == "Keras"
    assert said.values({"lr": 0.5, "beta": 0.5, "eps": None, "t": 1}) == {"learning_rate": 0.5}
    assert said.values({"lr": 0.5, "beta": 0.75, "eps": 4.0, "t": 1}) == {"learning_rate": 0.5, "epsilon": 2.0}


def test_it_holds_for_the_settings_that_it_names_and_the_defaults_of_those_that_it_does_not() -> None:
    made = rule_with("torch.optim.SGD(lr=lr, momentum=beta) where form='torch', eps=0")
    (said,) = made.translations
    assert said.fixed == {"eps": 0, "form": "torch", "flag": False}
    assert said.where == {"eps": 0, "form": "torch", "flag": False}
    assert said.holds(made(form="torch", eps=0.0, beta=0.3).values)
    assert not said.holds(made(form="torch").values)
    assert not said.holds(made(form="torch", eps=0.0, flag=True).values)


def test_what_follows_a_semicolon_is_a_remark_or_a_default() -> None:
    (said,) = rule_with(
        "torch.optim.SGD(lr=lr); default lr=1e-3, betas=(0.9, 0.99); while the rate is constant; and more"
    ).translations
    assert said.defaults == {"lr": 1e-3, "betas": (0.9, 0.99)}
    assert said.remarks == ("while the rate is constant", "and more")
    assert said.needs_constant_rate
    assert not rule_with("torch.optim.SGD(lr=lr)").translations[0].needs_constant_rate


@pytest.mark.parametrize(
    ("typed", "cited"),
    [
        ("Polyak_1964", "Polyak 1964"),
        ("Liu_et_al_2020", "Liu et al. 2020"),
        ("Ada_Bo_and_Cy_1999", "Ada, Bo and Cy 1999"),
    ],
)
def test_a_paper_is_called_as_the_source_cites_it(typed: str, cited: str) -> None:
    (said,) = rule_with(f"{typed}(α=lr, β1=beta)").translations
    assert said.name == cited
    assert said.library == "paper"
    assert said.arguments == {"α": "lr", "β1": "beta"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch.optim.SGD(lr=lr", "rule `rolling`: its translation .* cannot be read; write it as it is typed there"),
        ("SGD", "cannot be read"),
        ("torch.optim.SGD(lr)", "cannot be read"),
        ("torch.optim.SGD(**lr)", "cannot be read"),
        ("torch.optim.SGD(lr=lr, momentum=bta)", "torch.optim.SGD names `bta`, which the rule does not have; did you"),
        ("torch.optim.SGD(lr=lr) where frm='torch'", "names `frm`, which the rule does not have; did you mean `form`"),
        ("torch.optim.SGD(lr=lr) where torch", "`torch` is no list of settings; write it as in `form='torch', eps=0`"),
        ("torch.optim.SGD(lr=lr) where form=beta", "`form=beta` is no list of settings"),
        ("torch.optim.SGD(lr=lr); default 0.1", "`0.1` is no list of settings"),
        ("torch.optim.SGD(lr=max(lr, 1))", r"`max\(lr, 1\)` is more than names, numbers, \+ - \* / \*\* and sqrt\(\)"),
        ("torch.optim.SGD(lr=lr.real)", "`lr.real` is more than"),
        ("torch.optim.SGD(lr=lr @ beta)", "`lr @ beta` is more than"),
        ("Nesterov_1983(α=lr)", "Nesterov 1983 is not among the rule's sources; cite it in `source`"),
    ],
)
def test_a_translation_that_cannot_be_is_refused_when_the_rule_is_made(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        rule_with(text)


@pytest.mark.parametrize("condition", ["form='nesterov'", "beta=2", "flag=1.5"])
def test_a_translation_for_a_value_that_cannot_be_is_refused(condition: str) -> None:
    with pytest.raises(HyperparameterError, match=r"rule `rolling`, translation to torch\.optim\.SGD: "):
        rule_with(f"torch.optim.SGD(lr=lr) where {condition}")
