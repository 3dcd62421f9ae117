"""`thalweg explain` of a rule and of a chain: formula, facts, and what it is called elsewhere."""

from __future__ import annotations

import unicodedata

import pytest
import torch
from typer.testing import CliRunner

import thalweg as tw
from thalweg import rules
from thalweg.cli.app import app
from thalweg.cli.explain import read
from thalweg.cli.formula_lines import moved, states, within
from thalweg.cli.translation_table import calls, sentence
from thalweg.errors import ChainError, UnknownNameError
from thalweg.formula import Direction, TensorZeros, Update, norm, rule
from thalweg.kernels import plan
from thalweg.lab.other_names import ELSEWHERE


@rule(title="A rule", source="a test")
def by_tensor(g: Direction, s: TensorZeros) -> Update:
    s = s + norm(g, per="tensor")
    return g / s, s


TORCH_OF = {name: getattr(torch.optim, name) for name in ("SGD", "Adam", "RMSprop", "Rprop")}


def explained(*arguments: str, width: int = 200) -> str:
    answer = CliRunner().invoke(app, ["explain", *arguments], env={"COLUMNS": str(width)})
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    return answer.stdout


def drawn(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if "←" in line]


@pytest.mark.parametrize("name", rules.catalogue())
def test_explain_says_of_every_rule_what_a_user_asks(name: str) -> None:
    found = rules.get(name)
    printed = " ".join(explained(name).split())
    assert found.title in printed
    assert found.source in printed
    assert found.notes["when"] in printed
    assert "p ← " in printed
    for hyper in found.hyperparameters:
        assert hyper in printed
    for translation in found.translations:
        assert translation.name.rpartition(".")[2] in printed
        assert all(remark in printed for remark in translation.remarks)


def test_explain_says_what_a_call_between_two_moves_costs() -> None:
    printed = " ".join(explained("chain(accumulate(8), adam(), step(lr))").split())
    assert "In between 12 bytes a parameter and step in float32: 2 reads, 1 write" in printed
    assert "Moves 36 bytes" in printed
    assert "gathered ← 0" in printed


@pytest.mark.parametrize("name", [*rules.catalogue(), "clip_value", "decay", "step", "cosine", "warmup"])
def test_what_is_printed_fits_a_terminal_of_80_columns(name: str) -> None:
    for line in explained(name, width=80).splitlines():
        assert sum(not unicodedata.combining(character) for character in line.rstrip()) <= 80


def test_explain_counts_the_bytes_that_a_step_of_adam_moves() -> None:
    printed = explained("adam")
    assert "28 bytes a parameter and step in float32: 4 reads, 3 writes" in printed
    assert "m, v (8 bytes a parameter in float32)" in printed


@pytest.mark.parametrize(
    ("said", "kept", "moves"),
    [
        ("bfloat16", "4 bytes a parameter", "20 bytes a parameter and step"),
        ("m=bfloat16, v=8bit", "3.016 bytes a parameter", "18.03 bytes a parameter and step"),
    ],
)
@pytest.mark.parametrize("what", ["adam", "adam(beta2=0.9)", "chain(adam(), step(0.1))"])
def test_explain_counts_the_bytes_of_states_in_other_dtypes(what: str, said: str, kept: str, moves: str) -> None:
    printed = explained(what, "--state-dtype", said)
    assert kept in printed
    assert moves in printed


@pytest.mark.parametrize(
    ("typed", "states"),
    [
        ("chain(lars(only='matrix'), adam(skip='matrix'), step(0.1))", "m, adam.v"),
        ("route({'matrix': chain(lars(), step(0.1)), '*': chain(adam(), step(0.1))})", "m, v"),
    ],
)
def test_bytes_of_states_are_counted_in_chains_that_choose_and_in_routes(typed: str, states: str) -> None:
    assert f"{states} (5.016 bytes a parameter)" in explained(typed, "--state-dtype", "m=8bit")


def test_a_dtype_for_no_state_is_refused() -> None:
    answer = CliRunner().invoke(app, ["explain", "adam", "--state-dtype", "mm=8bit"])
    assert isinstance(answer.exception, UnknownNameError)
    assert "did you mean `m`" in str(answer.exception)


def test_explain_says_what_a_step_needs_besides_gradients() -> None:
    assert "Needs" not in explained("adam")
    assert "an estimate of the Hessian's diagonal at every 10th step: estimate_curvature(loss)" in explained("sophia")
    assert "a product with the Hessian at every 20th step" in explained("esgd")
    assert "the loss: step(closure) or step(loss=loss)" in explained("rprop(form='irprop+')")


def test_explain_draws_the_formula_as_its_paper_prints_it() -> None:
    assert drawn(explained("heavy_ball")) == ["v ← β⋅v - α⋅g", "p ← p + v"]
    assert drawn(explained("nesterov"))[-1] == "v ← v_new"


def test_only_the_letters_that_are_drawn_are_told() -> None:
    assert "g the gradient, p the parameter, α the learning rate\n" in explained("heavy_ball")
    assert "t the step" in explained("adam")


def test_a_line_that_is_too_wide_goes_on_below_and_loses_nothing() -> None:
    drawing = "m̂ ← abcdefghij\n    klm"
    assert within(drawing, 80) == "    m̂ ← abcdefghij\n        klm"
    assert within(drawing, 14).split("\n") == ["    m̂ ← abcdef", "        klm", "        ghij", ""]


def test_the_table_says_what_each_setting_is_called_elsewhere_and_which_defaults_differ() -> None:
    rows = [line.split() for line in explained("rmsprop_momentum(epsilon='inside')").splitlines()]
    assert ["beta", "momentum", "(0)", "momentum", "(0)", "beth"] in rows
    assert ["rho", "alpha", "rho", "(0.9)", "aleph"] in rows
    assert ["eps", "eps", "epsilon", "(1e-07)", "daleth"] in rows
    assert "TensorFlow has Keras's as tf.keras.optimizers." in explained("rmsprop_momentum")
    assert "TensorFlow" not in explained("rprop")
    assert ["centred", "centered", "centered"] in rows
    rows = [line.split() for line in explained("rprop").splitlines()]
    assert ["eta_plus", "etas[1]", "η⁺"] in rows
    assert ["beta1", "β₁", "=", "1", "-", "beta1"] in [line.split() for line in explained("adan").splitlines()]


def test_a_stage_with_settings_has_the_translation_of_its_dialect() -> None:
    printed = explained("heavy_ball(form='averaged')")
    assert "lr = (1 - beta) * lr" in printed
    assert "(0.9, 0.999)" not in printed
    assert "typed" in printed
    plain = explained("heavy_ball")
    assert "form='averaged': torch.optim.SGD(lr=(1 - beta) * lr, momentum=beta)" in plain
    assert "torch.optim.SGD: while the rate is constant." in plain
    assert "form='classical': Rumelhart, Hinton and Williams 1986: ε = lr, α = beta" in plain


def test_a_rule_that_neither_torch_nor_keras_has_says_so() -> None:
    assert "Neither torch nor Keras has it." in explained("prodigy")
    assert "torch does not have it." in explained("lion")
    assert "Keras does not have it." in explained("rprop")
    assert "have it" not in explained("adam")


def test_a_stage_around_a_rule_has_no_table() -> None:
    assert "Elsewhere" not in explained("clip_value")


@pytest.mark.parametrize(
    "typed",
    [
        "chain(adam(beta2=0.95), step(1e-3))",
        "chain(heavy_ball(form='averaged'), step(0.5))",
        "chain(nesterov(0.8, form='torch'), step(0.5))",
        "chain(rmsprop(centred=True), step(0.1))",
        "chain(rprop(form='irprop-'))",
    ],
)
def test_a_chain_of_one_rule_is_given_as_a_call_that_torch_takes(typed: str) -> None:
    chain = read(typed)
    assert isinstance(chain, tw.Chain)
    told = dict(calls(chain))["In torch"]
    assert told in " ".join(explained(typed).split())
    call = told.removeprefix("torch.optim.")
    name, _, arguments = call.partition("(")
    parameter = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    twin = parameter.detach().clone().requires_grad_()
    theirs = eval(f"make([twin], {arguments}", {"make": TORCH_OF[name], "twin": twin})  # noqa: S307  # what we printed
    ours = tw.Optimizer([parameter], chain, backend="reference")
    for k in range(5):
        for tensor in (parameter, twin):
            tensor.grad = torch.tensor([0.3 + k, 0.1 * k], dtype=torch.float64)
        ours.step()
        theirs.step()
    torch.testing.assert_close(parameter, twin, rtol=1e-12, atol=1e-12)


def test_there_is_no_call_for_several_stages_a_schedule_or_what_depends_on_the_step() -> None:
    for typed in (
        "chain(adam(), decay(0.1), step(1e-3))",
        "chain(adam(), step(cosine(0.1, steps=10)))",
        "chain(adam(epsilon='inside'), step(0.1))",
    ):
        chain = read(typed)
        assert isinstance(chain, tw.Chain)
        assert calls(chain) == []
    assert "In Keras" not in explained("adam")
    assert "keras.optimizers.RMSprop(learning_rate=0.001, rho=0.99, epsilon=1e-08, centered=False)" in explained(
        "rmsprop(epsilon='inside')"
    )


def test_a_chain_is_drawn_joined_with_its_states_settings_and_bytes() -> None:
    printed = explained("chain(adam(), decay(0.1), step(1e-3))")
    lines = drawn(printed)
    assert lines[-1] == "p ← p - α⋅(d + λ⋅p)"
    assert "chain(adam(), decay(0.1), step(0.001))" in printed
    assert "adam: Adam; decay: Weight decay" in printed
    assert "lr 0.001, beta1 0.9, beta2 0.999, eps 1e-08, weight 0.1" in printed
    assert "m, v (8 bytes a parameter in float32)" in printed
    assert "28 bytes a parameter and step in float32: 4 reads, 3 writes" in printed
    assert "d the direction so far" in printed


def test_a_chain_may_gather_choose_its_parameters_and_average() -> None:
    printed = explained("chain(clip(1.0), adam(), decay(0.1, skip=('norm', 'bias')), step(0.1), ema())")
    assert "clip: Clipping by norm; adam: Adam; decay: Weight decay; ema: " in printed
    assert "norm_model(g)" in printed
    assert "in 2 passes" in printed
    assert printed.index("For norm, bias\n") < printed.index("For all others\n")
    assert "For " not in explained("chain(adam(), step(0.1))")


def test_matrices_and_vectors_are_drawn_apart_where_they_differ() -> None:
    printed = explained("adafactor")
    assert printed.index("Elements of matrices") < printed.index("Elements of vectors")
    assert "row (one number a row), column (one number a column)" in printed
    assert "Elements of" not in explained("adam")


def test_lr_in_a_chain_is_the_rules_usual_rate() -> None:
    assert "chain(adamax(), step(0.002))" in explained("chain(adamax(), step(lr))")


def test_a_chain_without_state_says_so() -> None:
    printed = explained("chain(gradient_descent(), step(0.1))")
    assert "none" in printed
    assert "12 bytes a parameter and step in float32: 2 reads, 1 write" in printed


def test_passes_and_coarse_states_are_counted_by_themselves() -> None:
    planned = [plan(tw.chain(by_tensor(), tw.step(0.1)).trace())]
    assert states(planned) == "s (one number a tensor)"
    assert moved(planned) == "16 bytes a parameter and step in float32: 3 reads, 1 write, in 2 passes"


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ("adm", 2, "there is no rule `adm`; did you mean `adam`"),
        ("cosin", 2, "did you mean `cosine`"),
        ("xyzzy", 2, "there is no rule `xyzzy`; `thalweg list` names everything there is"),
        ("decya", 2, "did you mean `decay`?"),
        ("rosenbrok", 2, "did you mean `rosenbrock`?"),
        ("beale", 2, "`beale` is a test surface, and has no formula to explain: Beale; `thalweg race beale`"),
        ("mnist_mlp", 2, "`mnist_mlp` is a training problem"),
        ("chain(adm(), step(0.1))", 2, "there is no `adm`; did you mean `adam`"),
        ("chain(adam()", 2, "('(' was never closed); type"),
        ("chain(adam())", 2, "gives a direction and no step follows"),
        ("__import__('os').getcwd()", 2, "is more than a typed chain holds: calls of stages, rules"),
        ("adam(beta1=2)", 2, "`beta1` is 2; it must lie in [0, 1)"),
        ("(1, 2)", 2, "`(1, 2)` is neither a rule, a chain, a schedule, a descent nor a trainer"),
        ("adam(lr=0.1)", 2, "no hyper-parameter `lr`; the learning rate stands behind it: chain(adam(), step(…))"),
        ("cosine(0.1)", 2, "cosine() missing 1 required keyword-only argument: 'steps'"),
        ("warmup(500).until(9)", 2, "has no value until something follows it"),
        ("(0.5 * plateau(0.1)).until(9)", 2, "goes by a metric, so that nobody knows its value after 9 steps"),
        ("warmup(500)", 2, "has no value until something follows it: warmup(500) >> constant(0.1)"),
    ],
)
def test_what_cannot_be_explained_gets_one_sentence(
    typed: str, status: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from thalweg.cli import main

    monkeypatch.setattr("sys.argv", ["thalweg", "explain", typed])
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    assert left.value.code == status
    assert said in printed.err
    assert len(printed.err.strip().splitlines()) == 1


@pytest.mark.parametrize("typed", ["adam", "adam()", "chain(adam(), step(0.1))"])
def test_steps_belong_to_a_schedule(typed: str) -> None:
    answer = CliRunner().invoke(app, ["explain", typed, "--steps", "10"], env={"COLUMNS": "200"})
    assert answer.exit_code == 2
    assert f"--steps belongs to a schedule, and `{typed}` is none" in answer.output


def test_reading_executes_nothing() -> None:
    with pytest.raises(ChainError):
        read("adam(beta1=().__class__)")
    with pytest.raises(UnknownNameError):
        read("exec('1')")


def test_a_sentence_says_for_which_dialect_and_what_to_watch_for() -> None:
    said = [sentence(translation) for translation in rules.get("heavy_ball").translations]
    assert said[4] == (
        "form='torch': keras.optimizers.SGD(learning_rate=lr, momentum=beta); while the rate is constant"
    )


@pytest.mark.parametrize(
    ("typed", "here", "shown"),
    [
        ("ADAMW", "adamw", "AdamW  adamw"),
        ("sam", "SAM", "SAM(params, chain,"),
        ("amsgrad", "adam(amsgrad=True)", "vₘₐₓ ← max(vₘₐₓ, v)"),
        ("SGDW", "chain(heavy_ball(), step(lr), decoupled_decay(1e-4))", "p ← moved - λ⋅p"),
        ("lookahead_nesterov", "LookAheadNesterov", "LookAheadNesterov(params, chain,"),
        ("rprop+", "rprop(form='rprop+')", "Rprop"),
    ],
)
def test_another_name_is_said_to_be_what_it_is_here(typed: str, here: str, shown: str) -> None:
    answer = CliRunner().invoke(app, ["explain", typed])
    assert answer.stdout.splitlines()[1] == f"{typed} is {here} here."
    assert shown in answer.stdout


def test_every_other_name_can_be_explained() -> None:
    for name, typed in ELSEWHERE.items():
        answer = CliRunner().invoke(app, ["explain", name])
        assert answer.exit_code == 0, (name, typed, answer.exception)


def test_a_class_of_torchs_names_the_rules_that_it_is() -> None:
    answer = CliRunner().invoke(app, ["explain", "SGD"]).stdout
    assert "SGD(params, lr=0.001, momentum=0," in answer
    assert "Its formula: gradient_descent, heavy_ball, heavy_ball_two_sequences, nesterov" in answer
