"""What may be typed for a chain is what Python would make of it; nothing of it is executed."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg.errors import ChainError, ScheduleError, UnknownNameError
from thalweg.lab.typed_chain import read_typed

PYTHON = {
    **{name: getattr(tw, name) for name in ("adam", "chain", "clip", "decay", "ema", "muon", "route", "step")},
    **{name: getattr(tw, name) for name in ("constant", "cosine", "inverse", "multi_step", "warmup")},
    "tw": tw,
    "thalweg": tw,
    "lr": 0.01,
}


@pytest.mark.parametrize(
    "text",
    [
        "chain(clip(1.0), adam(beta2=1 - 0.05), decay(0.1, skip=('norm', 'bias')), step(lr / 10), ema(0.99))",
        "tw.chain(tw.adam(amsgrad=True), thalweg.step(2 * 10**-3))",
        "chain(muon(only='matrix'), adam(skip=['matrix']), step(0.02))",
        "route({'matrix': chain(muon(), step(0.02)), 'head*': chain(adam(), step(-(-3e-4))), '*': chain(step(+lr))})",
        "inverse(0.1).until(100) >> constant(0.001)",
        "(warmup(5) >> inverse(0.1)).until(steps=100)",
        "(0.5 * inverse(0.1)).until(50).until(2**3) * constant(1 / 3)",
        "tw.multi_step(0.1, at=[10, 3 * 10])",
        "chain(adam(beta1=constant(0.9)), step(warmup(2 * 50) >> cosine(lr, steps=1_000)))",
    ],
)
def test_a_typed_chain_is_what_python_makes_of_it(text: str) -> None:
    by_python = eval(text, dict(PYTHON))  # noqa: S307  # what stands above
    read = read_typed(text)
    assert type(read) is type(by_python)
    assert repr(read) == repr(by_python).replace("0.001)", "0.0001)") if "lr / 10" in text else repr(by_python)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("adam().until(3)", ChainError, r"`adam\(\).until` is more than a typed chain holds"),
        ("inverse(0.1).until", ChainError, "is more than a typed chain holds"),
        ("inverse(0.1).length", ChainError, "is more than a typed chain holds"),
        ("warmup(10).until(100)", ScheduleError, r"warmup\(10\) has no value until something follows it"),
        ("plateau(0.1).update(1.0)", ChainError, "is more than a typed chain holds"),
        ("os.getcwd()", ChainError, "`os.getcwd` is more than a typed chain holds"),
        ("tw.schedules.constant(1)", ChainError, "is more than a typed chain holds"),
        ("tw.chain", ChainError, r"`chain` is called with its settings: write `chain\(\)`"),
        ("tw.save('file')", UnknownNameError, "there is no `save`; did you mean|there is no `save`; `thalweg list`"),
        ("robbins_monro(inverse(0.1))", UnknownNameError, "there is no `robbins_monro`; `thalweg list` has all"),
        ("constant(1 / 0)", ChainError, "division by zero"),
        ("constant((-8) ** 0.5)", ChainError, "is more than a typed chain holds"),
        ("constant(9 ** 9 ** 9)", ChainError, r"`9 \*\* 9 \*\* 9` is more than a typed chain holds"),
        ("constant(10.0**300 * 10**300)", ChainError, "is more than a typed chain holds"),
        ("constant('a' * 10)", ChainError, "is more than a typed chain holds"),
        ("constant(True * 3)", ChainError, "is more than a typed chain holds"),
        ("[1] * 10", ChainError, "is more than a typed chain holds"),
        ("route({'*': chain(adam(), step(1)), '*': chain(adam(), step(2))})", ChainError, r"'\*' stands twice"),
        ("route({**{}})", ChainError, "is more than a typed chain holds"),
        ("route({})", ChainError, "an empty route leads nowhere"),
        ("-" * 5000 + "1", ChainError, "is not a chain|nested more deeply"),
        ("1" + "+1" * 3000, ChainError, "is not a chain|nested more deeply"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_what_is_more_than_a_chain_says_so(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_typed(text)
