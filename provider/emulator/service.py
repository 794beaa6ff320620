"""What all operations stand on: the store, the clock, and runs that move on as time passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from provider.emulator import refusal, runs
from provider.emulator.objects import FILE, MESSAGE, RUN, STEP, THREAD, Kind, as_v1, encode
from provider.emulator.runs import Change, Event, Turn
from provider.emulator.store import Record, Store


class Service:
    """One store at the present moment: what is due by the clock has happened.

    Args:
        clock: answers unix seconds.
        step_seconds: how long a run stays queued, in progress, or cancelling.
        publish: told every event of a run after its commit, as (run id, event).
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        step_seconds: float,
        publish: Callable[[str, Event], None],
    ) -> None:
        self.store = store
        self.clock = clock
        self.step_seconds = step_seconds
        self._publish = publish
        self._happened: list[tuple[str, Event]] = []

    def settle(self, thread_id: str) -> Turn | None:
        """Brings the thread's active run up to the present; answers it, or None when there is none."""
        record = self.store.active_run(thread_id)
        if record is None:
            return None
        turn = self.turn(record)
        now = self.clock()
        if runs.due(turn, self.step_seconds) > now:
            return turn
        with self.writing():
            # Once more under the write lock: another process may have been faster.
            record = self.store.active_run(thread_id)
            if record is not None:
                turn = self.turn(record)
                turn = self.apply(runs.advance(turn, now, self.step_seconds, self.fresh_id))
        return None if turn.run["status"] in runs.TERMINAL else turn

    def turn(self, record: Record) -> Turn:
        """A stored run with the step and the message that it has open."""
        run, state = record.object, record.kept
        step = self.store.get(STEP, state["step"], run["id"]) if state.get("step") else None
        message = self.store.get(MESSAGE, state["message"], run["thread_id"]) if state.get("message") else None
        return Turn(run, state, step and step.object, message and message.object)

    def apply(self, change: Change) -> Turn:
        """Stores what a transition changed; its events are told after the commit."""
        turn, events = change
        last = {event.object["id"]: event.object for event in events}
        for found in last.values():
            match found["object"]:
                case MESSAGE.name:
                    self.store.put(found, parent=found["thread_id"], label=found["run_id"], state={})
                case STEP.name:
                    self.store.put(found, parent=found["run_id"], state={})
        run = turn.run
        active = run["status"] not in runs.TERMINAL
        self.store.put(run, parent=run["thread_id"], state=turn.state, active=active)
        self._happened += [(run["id"], event) for event in events]
        return turn

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction whose events are told once it is committed, and forgotten when it is not."""
        try:
            with self.store.transaction():
                yield
            for run_id, event in self._happened:
                self._publish(run_id, event)
        finally:
            self._happened.clear()

    def fresh_id(self, kind: Kind) -> str:
        """An id for a new object."""
        return self.store.fresh_id(kind.prefix)

    def find(self, ids: Mapping[str, str], kind: Kind) -> Record:
        """The object that the path names; 404 names the first that is missing on the way there."""
        parent = ""
        if kind in (MESSAGE, RUN, STEP):
            parent = ids[THREAD.param]
            if not self.store.exists(THREAD, parent):
                raise refusal.not_found(THREAD.noun, parent)
        if kind is STEP:
            run_id = ids[RUN.param]
            if self.store.get(RUN, run_id, parent) is None:
                raise refusal.not_found(RUN.noun, run_id)
            parent = run_id
        return self.one(kind, ids[kind.param], parent)

    def one(self, kind: Kind, identifier: str, parent: str = "") -> Record:
        """A stored object; raises `Refusal` where there is none."""
        record = self.store.get(kind, identifier, parent)
        if record is None:
            raise refusal.no_file(identifier) if kind is FILE else refusal.not_found(kind.noun, identifier)
        return record

    def show(self, record: Record, version: int) -> str:
        """The JSON text of a stored object for a version of the API."""
        return record.body if version == 2 else encode(as_v1(record.object, record.kept))
