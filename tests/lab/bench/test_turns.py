from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from thalweg.lab.bench.records import Spread, spread
from thalweg.lab.bench.turns import LED_IN, MOST_CALLS, TURN, Contender, on_host, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable


class Simulated:
    """A contender whose steps take what it says, on a clock that is not the machine's."""

    def __init__(self, name: str, seconds: float, log: list[tuple[str, int]]) -> None:
        self.seconds = seconds
        self.steps = 0
        self.contender = Contender(name, name, self.step, self.stopwatch)
        self._log = log

    def step(self) -> None:
        self.steps += 1

    def stopwatch(self, step: Callable[[], object], calls: int) -> float:
        for _ in range(calls):
            step()
        self._log.append((self.contender.name, calls))
        return self.seconds


def simulate(*seconds: float, rounds: int) -> tuple[list[Simulated], list[list[float]], list[tuple[str, int]]]:
    log: list[tuple[str, int]] = []
    all_of_them = [Simulated("abcdef"[place], taken, log) for place, taken in enumerate(seconds)]
    times = take_turns([one.contender for one in all_of_them], rounds=rounds)
    return all_of_them, times, log[-rounds * len(seconds) :]


def test_everybody_has_a_turn_in_every_round_and_rounds_begin_with_another() -> None:
    _, times, log = simulate(1.0, 2.0, 3.0, rounds=4)
    assert [name for name, _ in log] == list("abcbcacababc")
    assert times == [[1.0] * 4, [2.0] * 4, [3.0] * 4]


def test_a_turn_has_as_many_calls_as_make_it_long_enough_and_no_more_than_a_bound() -> None:
    _, _, log = simulate(TURN / 10, TURN * 2, TURN / MOST_CALLS / 10, rounds=1)
    assert log == [("a", 10), ("b", 1), ("c", MOST_CALLS)]


def test_a_short_step_is_led_in_by_one_that_is_not_timed() -> None:
    (short, long), _, log = simulate(TURN / 100, TURN / (LED_IN - 1), rounds=3)
    warm = 1 + 5
    timed = {name: sum(calls for other, calls in log if other == name) for name in "ab"}
    assert short.steps == warm + 3 + timed["a"]
    assert long.steps == warm + timed["b"]


def test_warming_up_a_slow_step_ends_early() -> None:
    (slow,), _, _ = simulate(10.0, rounds=1)
    assert slow.steps == 1 + 1 + 1


@pytest.mark.parametrize("collecting", [True, False])
def test_no_garbage_is_collected_meanwhile_and_the_collector_is_left_as_it_was(collecting: bool) -> None:
    during: list[bool] = []

    def stopwatch(_: Callable[[], object], __: int) -> float:
        during.append(gc.isenabled())
        return 1.0

    was = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        take_turns([Contender("a", "a", lambda: None, stopwatch)], rounds=2)
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if was else gc.disable)()
    assert during[-2:] == [False, False]


def test_the_host_is_timed_by_the_call_until_what_was_begun_is_done() -> None:
    done: list[str] = []
    seconds = on_host(lambda: time.sleep(0.002), 3, wait=lambda: done.append("waited"))
    assert seconds >= 0.002
    assert done == ["waited"]


def test_a_spread_is_the_median_with_the_quartiles() -> None:
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)
    assert spread([4.0, 1.0, 2.0, 3.0, 1000.0]) == Spread(3.0, 2.0, 4.0)
