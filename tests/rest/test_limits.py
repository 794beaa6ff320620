"""Gates: budgets that no period exceeds, lines in order, pauses, and what is learned from refusals."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.catalog.limits import Budget, Limits
from provider.rest.limits import Gate, Gates, Meter


def budget(**keys: object) -> Budget:
    return Budget.model_validate(keys)


def gate(**keys: object) -> Gate:
    made = Gate()
    made.adopt(Limits.model_validate(keys))
    return made


@given(st.integers(1, 5), st.lists(st.floats(0, 0.4), max_size=60))
def test_no_period_sees_more_requests_than_its_budget(most: int, gaps: list[float]) -> None:
    meter, now, passed = Meter(budget(requests=most, per="second")), 0.0, []
    for gap in gaps:
        now = meter.opens(now + gap)
        meter.take(now)
        meter.give(now, now, refused=False)
        passed.append(now)
    for first in passed:
        # A request at the very end of a period belongs to the next one.
        assert sum(first <= at < first + 1 - 1e-9 for at in passed) <= most


@given(st.lists(st.booleans(), max_size=80))
def test_some_request_may_always_pass_once_the_others_have_ended(refusals: list[bool]) -> None:
    meter = Meter(None)
    for now, refused in enumerate(refusals):
        assert meter.opens(now) == now
        meter.take(now)
        meter.give(now, now, refused=refused)


def test_a_refusal_halves_what_is_in_flight_and_good_answers_raise_it_by_one_a_round() -> None:
    meter = Meter(None)
    for _ in range(8):
        meter.take(0)
    for _ in range(8):  # refused together: that counts once
        meter.give(0, 1, refused=True)

    def room() -> int:
        taken = 0
        while meter.opens(2) == 2:
            meter.take(2)
            taken += 1
        return taken

    assert room() == 4
    for _ in range(4):
        meter.give(2, 3, refused=False)
    assert room() == 4
    for _ in range(4):
        meter.give(2, 3, refused=False)
    assert room() == 5


def test_requests_pass_in_the_order_in_which_they_came() -> None:
    async def run() -> list[int]:
        narrow, passed = gate(account={"in_flight": 1}), []

        async def ask(number: int) -> None:
            at, _ = await narrow.line_up(None)
            passed.append(number)
            await asyncio.sleep(0)
            narrow.leave(None, at)

        await asyncio.gather(*(ask(n) for n in range(20)))
        return passed

    assert asyncio.run(run()) == list(range(20))


def test_who_gives_up_leaves_the_line_to_the_others() -> None:
    async def run() -> None:
        narrow = gate(account={"in_flight": 1})
        at = narrow.pass_now(None)
        assert at is not None
        tasks = [asyncio.create_task(narrow.line_up(None)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        narrow.leave(None, at)
        # The second has been let through in this moment, and gives up before it knows.
        tasks[1].cancel()
        async with asyncio.timeout(5):
            await tasks[2]

    asyncio.run(run())


def test_a_group_has_a_budget_of_its_own_and_lets_others_by() -> None:
    async def run() -> None:
        mixed = gate(groups={"search": {"in_flight": 1}})
        at = mixed.pass_now("search")
        assert at is not None
        searching = asyncio.create_task(mixed.line_up("search"))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await mixed.line_up(None)
        assert not searching.done()
        mixed.leave("search", at)
        await searching

    asyncio.run(run())


def test_a_pause_is_waited_for_and_told_apart_from_a_budget() -> None:
    async def run() -> None:
        one = gate(account={"requests": 1, "per": "second"})
        one.hold(None, 0.05)
        _, waits = await one.line_up(None)
        assert waits.retry_after == pytest.approx(0.05, abs=0.04)
        assert waits.limit < 0.04

    asyncio.run(run())


def test_a_budget_holds_across_threads_with_loops_of_their_own() -> None:
    shared, most, lock = gate(account={"in_flight": 2}), [0, 0], threading.Lock()

    async def ask() -> None:
        at, _ = await shared.line_up(None)
        with lock:
            most[0] += 1
            most[1] = max(most)
        await asyncio.sleep(0.001)
        with lock:
            most[0] -= 1
        shared.leave(None, at)

    async def many() -> None:
        await asyncio.gather(*(ask() for _ in range(25)))

    threads = [threading.Thread(target=asyncio.run, args=(many(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [0, 2]


def test_a_loop_that_was_closed_does_not_hold_up_the_line() -> None:
    narrow = gate(account={"in_flight": 1})
    at = narrow.pass_now(None)
    assert at is not None
    dead = asyncio.new_event_loop()
    waiting = dead.create_task(narrow.line_up(None))
    dead.run_until_complete(asyncio.sleep(0))
    dead.close()

    async def run() -> None:
        behind = asyncio.create_task(narrow.line_up(None))
        await asyncio.sleep(0)
        narrow.leave(None, at)
        async with asyncio.timeout(5):
            await behind

    asyncio.run(run())
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]


def test_the_same_account_has_the_same_gate_with_the_limits_that_were_read_last() -> None:
    gates = Gates()
    first = gates.gate(("https://shop.example", "a"), Limits(account=budget(in_flight=1)))
    assert gates.gate(("https://shop.example", "b"), Limits()) is not first
    assert first.pass_now(None) is not None
    assert first.pass_now(None) is None
    assert gates.gate(("https://shop.example", "a"), Limits(account=budget(in_flight=2))) is first
    assert first.pass_now(None) is not None
