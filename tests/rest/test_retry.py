"""The protocol of repetitions, with every answer, clock and die passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from provider.rest.retry import Outcome, Pause, Refresh, RetryPolicy, Send, attempts

SECONDS = st.floats(0, 60)
DICE = st.floats(0, 1, exclude_max=True)
OUTCOMES = st.builds(
    Outcome,
    kind=st.sampled_from(["final", "passing", "refused", "stale"]),
    executed=st.booleans(),
    seconds=SECONDS,
    asked=st.none() | SECONDS,
)
POLICIES = st.builds(
    RetryPolicy, attempts=st.integers(1, 6), deadline=st.floats(0, 300), base=st.floats(0.1, 2), cap=st.floats(0.1, 10)
)


@dataclass
class Run:
    """What a driver did with a list of outcomes, after which everything is final: times on its own clock."""

    sent_at: list[float] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    refreshed: int = 0


def drive(policy: RetryPolicy, repeatable: bool, script: Sequence[Outcome], dice: Sequence[float]) -> Run:
    run, now = Run(), 0.0
    rolls, answers = iter(dice), iter(script)
    steps = attempts(policy, repeatable, lambda: next(rolls, 0.5))
    step = next(steps)
    while True:
        outcome = None
        match step:
            case Send():
                outcome = next(answers, Outcome("final"))
                run.sent_at.append(now)
                run.outcomes.append(outcome)
                now += outcome.seconds
            case Pause(seconds=seconds):
                run.pauses.append(step)
                now += seconds
            case Refresh():
                run.refreshed += 1
        try:
            step = steps.send(outcome)
        except StopIteration:
            return run


runs = given(policy=POLICIES, repeatable=st.booleans(), script=st.lists(OUTCOMES), dice=st.lists(DICE))


@runs
def test_what_may_have_been_executed_is_sent_again_only_if_it_is_repeatable(
    policy: RetryPolicy, repeatable: bool, script: list[Outcome], dice: list[float]
) -> None:
    run = drive(policy, repeatable, script, dice)
    assert repeatable or not any(outcome.executed for outcome in run.outcomes[:-1])


@runs
def test_no_repetition_comes_before_the_time_that_the_server_asked_for(
    policy: RetryPolicy, repeatable: bool, script: list[Outcome], dice: list[float]
) -> None:
    run = drive(policy, repeatable, script, dice)
    for outcome, before, after in zip(run.outcomes, run.sent_at, run.sent_at[1:], strict=False):
        if outcome.kind in ("passing", "refused"):
            # Added up in another order, so that the last bit may differ.
            assert after - (before + outcome.seconds) >= (outcome.asked or 0.0) - 1e-9


@runs
def test_nothing_begins_after_the_deadline(
    policy: RetryPolicy, repeatable: bool, script: list[Outcome], dice: list[float]
) -> None:
    run = drive(policy, repeatable, script, dice)
    behind_pauses = run.sent_at[1:] if not run.refreshed else []
    assert all(at <= policy.deadline + 1e-9 for at in behind_pauses)
    assert sum(pause.seconds for pause in run.pauses) <= policy.deadline


@runs
def test_failures_without_a_time_are_counted(
    policy: RetryPolicy, repeatable: bool, script: list[Outcome], dice: list[float]
) -> None:
    run = drive(policy, repeatable, script, dice)
    counted = [o for o in run.outcomes if o.kind == "passing" or (o.kind == "refused" and not o.asked)]
    assert len(counted) <= policy.attempts


@runs
def test_credentials_are_refreshed_once(
    policy: RetryPolicy, repeatable: bool, script: list[Outcome], dice: list[float]
) -> None:
    assert drive(policy, repeatable, script, dice).refreshed <= 1


@given(DICE)
def test_a_wait_without_a_time_is_drawn_from_zero_to_twice_as_much_each_time(roll: float) -> None:
    policy = RetryPolicy(attempts=6, base=0.5, cap=4)
    run = drive(policy, True, [Outcome("passing", executed=True)] * 9, [roll] * 9)
    assert [p.seconds for p in run.pauses] == [roll * most for most in (0.5, 1, 2, 4, 4)]
    assert not any(p.asked or p.shared for p in run.pauses)


def test_a_refusal_with_a_time_holds_for_the_account_and_is_no_failed_attempt() -> None:
    run = drive(RetryPolicy(attempts=1), False, [Outcome("refused", asked=2.0)] * 3, [0.0] * 3)
    assert run.pauses == [Pause(2.0, asked=True, shared=True)] * 3
    assert len(run.sent_at) == 4


def test_a_wait_that_would_end_after_the_deadline_is_not_begun() -> None:
    run = drive(RetryPolicy(deadline=10), True, [Outcome("refused", asked=10.5)], [])
    assert run.pauses == []
    assert len(run.sent_at) == 1


def test_a_server_that_asks_for_next_to_nothing_is_not_flooded() -> None:
    run = drive(RetryPolicy(deadline=120), True, [Outcome("refused", asked=0.001)] * 10_000, [0.5] * 10_000)
    assert len(run.sent_at) < 60


def test_stale_credentials_are_tried_again_at_once_and_then_given_up() -> None:
    run = drive(RetryPolicy(), False, [Outcome("stale"), Outcome("stale"), Outcome("final")], [])
    assert (len(run.sent_at), run.refreshed, run.pauses) == (2, 1, [])
