from __future__ import annotations

import json
import os
import statistics
from typing import TYPE_CHECKING

import pytest
import torch

from thalweg import rules
from thalweg.errors import RaceError
from thalweg.formula import Direction, Update, rule
from thalweg.lab.bench import Bench, BenchRecord, Progress, Row, Size, bandwidth, model, optax_side, run_bench
from thalweg.lab.bench.company import Company
from thalweg.lab.bench.measure import RATE, chain_of
from thalweg.lab.bench.torch_side import begun

if TYPE_CHECKING:
    from thalweg.formula import Rule

TINY, LARGER = Size(3, (5,)), Size(2, (400,))
CACHE = 2_048


@pytest.fixture(autouse=True)
def _a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "cache_bytes", lambda _device: CACHE)
    monkeypatch.setattr(bandwidth, "LEAST_ARRAY", 4_096)


def measure(*names: str, rounds: int = 3, against: tuple[str, ...] = ("torch",), dtype: str = "float32") -> BenchRecord:
    return run_bench(
        Bench(rules=names, sizes=(TINY, LARGER), rounds=rounds, against=against, dtype=dtype), command="thalweg bench"
    )


def row_of(record: BenchRecord, name: str, size: Size) -> Row:
    return next(row for row in record.rows if (row.rule, row.size) == (name, size))


def test_there_is_a_row_for_every_rule_at_every_size() -> None:
    record = measure("lion", "adam")
    assert [(row.rule, row.size) for row in record.rows] == [
        ("lion", TINY),
        ("lion", LARGER),
        ("adam", TINY),
        ("adam", LARGER),
    ]
    assert record.skipped == ()


def test_a_row_says_what_ran_and_how_long_each_round_took() -> None:
    row = row_of(measure("heavy_ball"), "heavy_ball", LARGER)
    assert row.chain == "chain(heavy_ball(form='torch'), step(1e-12))"
    assert row.title == "Heavy-ball momentum"
    assert len(row.rounds) == 3
    assert all(seconds > 0 for seconds in row.rounds)
    assert row.seconds.median == statistics.median(row.rounds)
    assert row.nanoseconds_per_parameter == pytest.approx(row.seconds.median * 1e9 / 800)
    assert row.bytes_per_second == pytest.approx(800 * row.bytes_per_parameter / row.seconds.median)


@pytest.mark.parametrize(("dtype", "expected"), [("float32", 28), ("float64", 56), ("bfloat16", 14), ("float16", 14)])
def test_adams_bytes_are_four_reads_and_three_writes_of_the_dtype(dtype: str, expected: int) -> None:
    record = measure("adam", dtype=dtype, against=("none",), rounds=1)
    assert {row.bytes_per_parameter for row in record.rows} == {expected}
    assert record.dtype == dtype


def test_a_ratio_is_our_time_over_theirs_in_the_same_round() -> None:
    row = row_of(measure("adam"), "adam", TINY)
    assert [other.name for other in row.against] == ["torch fused", "torch default"]
    for other in row.against:
        ratios = [mine / theirs for mine, theirs in zip(row.rounds, other.rounds, strict=True)]
        assert other.ratio.median == statistics.median(ratios)
        assert other.ratio.low <= other.ratio.median <= other.ratio.high
        assert other.seconds.median == statistics.median(other.rounds)


def test_a_rule_that_torch_does_not_fuse_is_held_against_its_default_alone() -> None:
    row = row_of(measure("rmsprop"), "rmsprop", TINY)
    assert [(other.name, other.call) for other in row.against] == [
        ("torch default", "torch.optim.RMSprop(lr=1e-12, alpha=0.99, eps=1e-08, centered=False)")
    ]


def test_a_rule_without_a_twin_is_held_against_nobody() -> None:
    assert row_of(measure("qhm"), "qhm", TINY).against == ()


def test_only_a_model_beyond_the_cache_is_held_against_the_memory() -> None:
    within, beyond = Size(1, (CACHE // 4 // 2,)), Size(1, (CACHE // 4 // 2 + 1,))  # of four arrays, or twice the cache
    record = run_bench(Bench(rules=("adam",), sizes=(within, beyond), rounds=3, against=("none",)))
    assert row_of(record, "adam", within).share_of_bandwidth is None
    share = row_of(record, "adam", beyond).share_of_bandwidth
    assert share is not None
    assert share.low <= share.median <= share.high


def test_every_rule_of_the_catalogue_is_measured() -> None:
    record = run_bench(Bench(sizes=(Size(2, (2, 3)),), rounds=1, against=("none",)))
    assert [row.rule for row in record.rows] == list(rules.catalogue())
    assert record.skipped == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", rules.catalogue())
def test_ten_thousand_steps_along_one_gradient_lead_to_no_number_out_of_range(name: str) -> None:
    stepped = model.Model(Size(2, (2, 3)), dtype="float32", device="cpu")
    rate = None if rules.get(name).learning_rate is None else RATE
    optimizer = begun(chain_of(name, rate), stepped)
    parameters = optimizer.param_groups[0]["params"]
    for _ in range(10_000):
        optimizer.step()
    held = [value for state in optimizer.state.values() for value in state.values()]
    assert all(bool((tensor.abs() < 1e6).all()) for tensor in (*parameters, *held))


def test_the_record_says_where_when_and_with_what_and_is_json() -> None:
    record = measure("adam", rounds=1)
    told = json.loads(json.dumps(record.as_json()))
    assert told["format"] == 1
    assert told["command"] == "thalweg bench"
    assert told["machine"].keys() == {"cpu", "cores", "threads", "memory_gib", "system"}
    assert told["versions"]["torch"] == torch.__version__
    assert "optax" not in told["versions"]
    assert (told["device"], told["threads"]) == ("cpu", torch.get_num_threads())
    assert told["created"].endswith("+00:00")
    assert told["busy_cores"] >= 0
    assert told["bandwidth"]["cache_bytes"] == CACHE
    (first, *_) = told["rows"]
    assert first["size"] == {"count": 3, "shape": [5]}
    assert first["seconds"].keys() == {"median", "low", "high"}
    assert first["against"][0]["call"] == (
        "torch.optim.Adam(lr=1e-12, betas=(0.9, 0.999), eps=1e-08, amsgrad=False, fused=True)"
    )


def test_progress_names_what_is_next_and_guesses_what_remains() -> None:
    heard: list[Progress] = []
    run_bench(Bench(rules=("adam",), sizes=(TINY, LARGER), rounds=1), progress=heard.append)
    assert [(event.rule, event.size, event.done, event.total) for event in heard] == [
        (None, None, 0, 2),
        ("adam", TINY, 0, 2),
        ("adam", LARGER, 1, 2),
    ]
    assert heard[1].remaining is None
    assert heard[2].remaining is not None


def test_it_runs_on_the_threads_that_are_asked_for_and_gives_them_back() -> None:
    before = torch.get_num_threads()
    record = run_bench(Bench(rules=("adam",), sizes=(TINY,), rounds=1, threads=2, against=("none",)))
    assert record.threads == 2
    assert torch.get_num_threads() == before


@pytest.fixture
def unsteppable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A rule in the catalogue that gives one result too many."""

    @rule(title="One too many", source="this test", learning_rate=0.1)
    def one_too_many(g: Direction) -> Update:
        return g, g

    kept: dict[str, Rule] = rules.catalogue()
    monkeypatch.setattr(rules, "catalogue", lambda: {**kept, "one_too_many": one_too_many})
    return "one_too_many"


def test_a_rule_that_cannot_be_stepped_is_left_out_with_its_reason(unsteppable: str) -> None:
    record = measure(unsteppable, "adam", rounds=1)
    assert [row.rule for row in record.rows] == ["adam", "adam"]
    assert [skipped.rule for skipped in record.skipped] == [unsteppable]
    assert "one_too_many" in record.skipped[0].why


def test_where_nothing_can_be_stepped_that_is_an_error(unsteppable: str) -> None:
    with pytest.raises(RaceError, match="nothing could be measured: `one_too_many`: "):
        measure(unsteppable)


def test_a_model_that_does_not_fit_the_memory_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Little:
        available = 2**20

    monkeypatch.setattr(model.psutil, "virtual_memory", Little)
    with pytest.raises(RaceError, match=r"the size 10x100000 needs about 0\.1 GiB, and 0\.0 are free; choose smaller"):
        run_bench(Bench(sizes=(TINY, Size(10, (100_000,)))))


def test_contenders_share_gradients_and_have_parameters_of_their_own() -> None:
    made = model.Model(TINY, dtype="float32", device="cpu")
    first, second = made.parameters(), made.parameters()
    assert [tensor.shape for tensor in first] == [(5,)] * 3
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
        assert one.data_ptr() != other.data_ptr()
        assert one.grad is other.grad


def test_what_other_programs_do_is_a_number_of_processors() -> None:
    company = Company()
    torch.ones(300, 300).matmul(torch.ones(300, 300))
    assert 0 <= company.cores() < 10_000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_is_measured_by_its_own_clock() -> None:
    record = run_bench(Bench(rules=("adam",), sizes=(LARGER,), rounds=2, device="cuda", against=("torch",)))
    (row,) = record.rows
    assert record.device == torch.cuda.get_device_name()
    assert [other.name for other in row.against] == ["torch fused", "torch default"]
    assert all(seconds > 0 for seconds in row.rounds)


def test_jax_is_told_how_many_threads_and_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPROC", raising=False)
    with optax_side.processors(3):
        assert os.environ["NPROC"] == "3"
    assert "NPROC" not in os.environ
    monkeypatch.setenv("NPROC", "7")
    with optax_side.processors(3):
        assert os.environ["NPROC"] == "3"
    assert os.environ["NPROC"] == "7"


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_optax_takes_turns_where_it_is_installed(dtype: str) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    record = measure("adam", "radam", against=("optax",), dtype=dtype, rounds=1)
    (other,) = row_of(record, "adam", TINY).against
    assert other.name == "optax"
    assert other.call == "optax.adam(learning_rate=1e-12, b1=0.9, b2=0.999, eps=1e-08)"
    assert row_of(record, "radam", TINY).against == ()
    assert record.versions["optax"]


@pytest.mark.parametrize("rule", ["dog", "schedule_free_sgd", "schedule_free_adamw", "ademamix", "lamb"])
def test_optaxs_other_optimizers_can_be_stepped_too(rule: str) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    (other,) = row_of(measure(rule, against=("optax",), rounds=1), rule, TINY).against
    assert other.call.startswith("optax.")
