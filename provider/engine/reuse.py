"""What a statement takes from the cache instead of asking for it, and what it leaves there.

A call's answer serves the same call of the same asker. It serves two more. One is a call that differs only by
parameters which the manifest says to be exact narrowings by a field: the list without them has all of its rows, and
DuckDB checks each row again. The other is a call for one object, where the manifest says that a list has whole objects
and the list has this one. Only what was read to its end is left in the cache: nothing that was cut off, stopped, or
failed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, product

import duckdb
import msgspec

from provider.catalog.catalog import Method
from provider.catalog.lifetime import seconds_of
from provider.engine.cache import Cache, Held, Unit, told
from provider.engine.fetching import Arrived, Job
from provider.engine.gateway import Gateway
from provider.engine.running import Running
from provider.engine.staging import BATCH_BYTES
from provider.plan.physical import Given, Literal, Scan
from provider.plan.price import listing_of
from provider.rest.exact import Json
from provider.rest.freshness import forbids_keeping, good_for
from provider.rest.pagination import Answer, objects
from provider.rest.request import Call, Target, addresses_nothing, build
from provider.rest.revalidation import conditions, essence

#: Bytes of answers that wait to be kept; a list that does not fit is not kept.
_ROOM = 64 * 2**20
#: Kinds of paging in which a row that comes again says that the list has changed meanwhile.
_SHIFTING = frozenset({"offset", "page_number", "time_window"})


@dataclass(frozen=True, slots=True)
class Member:
    """The object of the list that `call` of `method` reads whose `field` is `key`."""

    method: Method
    call: Call
    field: str
    key: Json


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that a scan wants.

    `wider` is the same without what only narrows it, None where nothing does. `member` is where else the object is that
    it asks for, None where that is nowhere.
    """

    target: Target
    method: Method
    call: Call
    wider: Call | None = None
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A unit of the cache that serves a wanted call. It is the answer to `call`; `fresh` says that it may be used.

    Where it is a list of which one object is wanted, `body` is that object, and answers the call.
    """

    held: Held
    call: Call
    fresh: bool
    body: bytes | None = None


@dataclass(slots=True)
class _Reading:
    """A job's answers so far."""

    key: str
    began: float
    #: For how many seconds the API calls all of them good.
    good_for: float = math.inf
    pages: list[Answer] = field(default_factory=list)
    size: int = 0


class Reuse:
    """The use that one statement makes of the cache.

    Args:
        lifetime: `on`, for as long as manifests say, or a time such as `5m`, and less where a manifest says so.
        gateway: knows who asks.
    """

    def __init__(self, cache: Cache, lifetime: str, gateway: Gateway) -> None:
        self._cache = cache
        self._snapshot = cache.snapshot()
        self._most = None if lifetime == "on" else seconds_of(lifetime)
        self._gateway = gateway
        self._askers: dict[tuple[str, str], bytes] = {}
        self._readings: dict[Job, _Reading] = {}
        self._whole: list[Unit] = []
        self._used: set[int] = set()
        self._waiting = 0

    def find(self, wanted: Sequence[Wanted]) -> list[Found | None]:
        """For each wanted call the unit that serves it: of those that are fresh the youngest, else its own; or None."""
        keys = [
            (
                self._key(w.target, w.method, w.call),
                self._key(w.target, w.method, w.wider),
                self._key(w.target, w.member.method, w.member.call) if w.member is not None else None,
            )
            for w in wanted
        ]
        held = self._snapshot.find([key for each in keys for key in each if key is not None])
        listed: dict[Held, list[tuple[Member, Wanted]]] = {}
        for w, (_, _, members) in zip(wanted, keys, strict=True):
            unit = held.get(members or "")
            if unit is not None and w.member is not None and self._is_fresh(unit, w.member.method):
                listed.setdefault(unit, []).append((w.member, w))
        objects = {w.call: Found(u, w.call, self._is_fresh(u, w.method), body) for u, w, body in self._objects(listed)}
        found: list[Found | None] = []
        for w, (own, wide, _) in zip(wanted, keys, strict=True):
            same = Found(unit, w.call, self._is_fresh(unit, w.method)) if (unit := held.get(own or "")) else None
            wider = held.get(wide or "")
            others = [Found(wider, w.wider, self._is_fresh(wider, w.method))] if wider and w.wider is not None else []
            fresh = [f for f in (*others, objects.get(w.call), same) if f is not None and f.fresh]
            found.append(max(fresh, key=lambda f: f.held.read_at) if fresh else same)
        return found

    def _objects(self, listed: Mapping[Held, Sequence[tuple[Member, Wanted]]]) -> Iterator[tuple[Held, Wanted, bytes]]:
        """The wanted objects that lists have, each as the text that stands in its list."""
        for batch in self._snapshot.pages(list(listed)):
            for held, answer in batch:
                # With their types, since 1 equals True, and 1.0 too.
                by_key: dict[object, Wanted] = {(type(m.key), m.key): w for m, w in listed[held]}
                member, _ = listed[held][0]
                # A body without rows may lack their array.
                with suppress(msgspec.DecodeError):
                    for key, text in objects(answer.body, member.method.rows or (), member.field):
                        if (wanted := by_key.get((type(key), key))) is not None:
                            yield held, wanted, text

    def foresee(self, running: Running) -> dict[str, float] | None:
        """How many keys of a scan the cache would serve, where the statement's own text says which keys there are.

        Returns:
            `cached` of `keys`, and the `age` of the oldest unit in seconds; None where none is served.
        """
        scan = running.scan
        rows = [b.rows for b in scan.bindings if isinstance(b, Given)]
        if len(rows) < len(scan.bindings) or not all(isinstance(t, Literal) for b in rows for r in b for t in r):
            return None
        keys: list[dict[str, Json]] = []
        for combination in product(*rows):
            values = [t.value for t in chain.from_iterable(combination) if isinstance(t, Literal)]
            named: dict[str, Json] = dict(zip((p.name for p in scan.parameters), values, strict=True))
            if not addresses_nothing(scan.method, named):
                keys.append(named)
        wanted = wants(running, keys, [p.name for p in running.echoes])
        ages = [self.age(f) for f in self.find(wanted) if f is not None and f.fresh]
        return {"cached": len(ages), "keys": len(wanted), "age": max(ages)} if ages else None

    def age(self, found: Found) -> float:
        """How old a unit is, in seconds."""
        return self._snapshot.now - found.held.read_at

    def bodies(self, found: Sequence[Found]) -> Iterator[list[tuple[Found, bytes]]]:
        """The pages of fresh units, about as many at a time as are staged together."""
        self._used.update(f.held.id for f in found)
        yield [(f, f.body) for f in found if f.body is not None]
        whole: dict[Held, list[Found]] = {}
        for f in found:
            if f.body is None:
                whole.setdefault(f.held, []).append(f)
        for batch in self._snapshot.pages(list(whole)):
            yield [(f, answer.body) for held, answer in batch for f in whole[held]]

    def kept(self, found: Found | None) -> Mapping[Call, Answer]:
        """The answers of an old unit of which the API can say whether they still hold, by their calls."""
        if found is None or not found.held.shows_changes:
            return {}
        answers = (answer for batch in self._snapshot.pages([found.held]) for _, answer in batch)
        return {answer.call: answer for answer in answers if conditions(answer)}

    def begin(self, job: Job) -> None:
        """A job is about to be read."""
        key = self._key(job.target, job.method, job.call)
        if key is not None:
            self._readings[job] = _Reading(key, self._cache.clock())

    def arrived(self, event: Arrived) -> None:
        """A page of a job has arrived."""
        reading = self._readings.get(event.job)
        if reading is None:
            return
        rule = event.job.method.pages
        shifted = event.repeated and rule is not None and rule.kind in _SHIFTING
        if event.answer is None or event.body is None or shifted or forbids_keeping(event.answer):
            self._forget(event.job)
            return
        reading.good_for = min(reading.good_for, good_for(event.answer, self._cache.clock()))
        answer = essence(event.job.method, event.answer)
        if event.repeated:
            answer = replace(answer, body=event.body, headers=())  # no longer what the API calls by its tag
        reading.pages.append(answer)
        reading.size += len(answer.body)
        self._waiting += len(answer.body)
        if self._waiting > _ROOM or self._gives_away(event.job.target, answer):
            self._forget(event.job)

    def ended(self, job: Job, *, whole: bool) -> None:
        """A job is over; `whole` says that its pages are all that there is."""
        reading = self._readings.get(job)
        shows = reading is not None and any(conditions(page) for page in reading.pages)
        if reading is not None and whole and reading.pages and (shows or reading.good_for > 0):
            place = (job.target.provider.name, job.method.resource, job.call.path)
            pages = tuple(reading.pages)
            self._whole.append(Unit(reading.key, *place, reading.began, reading.good_for, pages, shows))
            del self._readings[job]
        else:
            self._forget(job)

    def leave(self, *, last: bool = False) -> None:
        """Keep what is whole and staged by now, if it is worth a transaction; `last` says that nothing follows.

        The answer does not depend on it: where the database cannot take it, nothing is kept.
        """
        size = sum(u.size for u in self._whole)
        if self._whole and (last or size >= BATCH_BYTES):
            units, self._whole = self._whole, []
            self._waiting -= sum(len(page.body) for u in units for page in u.pages)
            with suppress(duckdb.Error):
                self._cache.keep(units, self._snapshot.drops)
        if last and self._used:
            with suppress(duckdb.Error):
                self._cache.used(sorted(self._used), self._snapshot.now)

    def close(self) -> None:
        """Give up what was begun."""
        self._snapshot.close()
        self._cache.tidy()

    def _lifetime(self, method: Method) -> float:
        """For how many seconds a method's answers are of use."""
        told = [t for t in (self._most, method.lifetime) if t is not None]
        return min(told, default=0)

    def _is_fresh(self, held: Held, method: Method) -> bool:
        # What is from the future was read by another clock.
        return 0 <= self._snapshot.now - held.read_at < min(self._lifetime(method), held.good_for)

    def _key(self, target: Target, method: Method, call: Call | None) -> str | None:
        """The key of a call's unit; None for what is never kept."""
        if call is None or method.binary or call.form is not None or self._lifetime(method) <= 0:
            return None
        place = (target.pool, target.service.name)
        if place not in self._askers:
            self._askers[place] = self._gateway.asker(target)
        asked = (call.http_method, call.path, _conditions(method, call), call.body, call.link)
        return self._snapshot.key(self._askers[place], method.resource, method.name, *asked)

    def _gives_away(self, target: Target, answer: Answer) -> bool:
        holds = partial(self._gateway.gives_away, target)
        return holds(answer.body) or holds(told(answer).encode())

    def _forget(self, job: Job) -> None:
        reading = self._readings.pop(job, None)
        if reading is not None:
            self._waiting -= reading.size


@contextmanager
def reusing(cache: Cache, lifetime: str, gateway: Gateway) -> Iterator[Reuse | None]:
    """The use of the cache for one statement; None where it is off, or where the database cannot have one."""
    reuse = None
    if lifetime != "off":
        with suppress(duckdb.Error):
            reuse = Reuse(cache, lifetime, gateway)
    try:
        yield reuse
    finally:
        if reuse is not None:
            reuse.close()


def _conditions(method: Method, call: Call) -> tuple[tuple[str, str], ...]:
    """What a call says of the rows that it wants; the size of pages and the order of a list do not change them."""
    size = method.pages.size if method.pages is not None else None
    order = method.parameter(method.sorted_by.param) if method.sorted_by and method.sorted_by.param else None
    left_out = {size.param if size is not None else None, order.wire if order is not None else None}
    return tuple((name, value) for name, value in call.query if name not in left_out)


def wants(running: Running, keys: Sequence[Mapping[str, Json]], echoed: Sequence[str]) -> list[Wanted]:
    """What a scan wants with its keys, and what else may have it.

    Args:
        echoed: the parameters whose values are columns.
    """
    scan = running.scan
    listing = listing_of(scan.resource, scan.method, scan.bindings)
    wanted = []
    for values in keys:
        call = build(scan.method, values)
        member = None
        if listing is not None:
            others = {name: value for name, value in values.items() if name != listing.key.name}
            list_call = build(listing.method, others)
            member = Member(listing.method, list_call, listing.field.name, values[listing.key.name])
        wanted.append(Wanted(running.target.of(call), scan.method, call, wider(scan, values, echoed), member))
    return wanted


def wider(scan: Scan, values: Mapping[str, Json], echoed: Sequence[str]) -> Call | None:
    """A call without the parameters that only narrow it; None where it has none.

    A parameter only narrows where the manifest calls it exact for a field that the scan reads, where the API assumes
    nothing in its absence, and where its value is no column of the rows.

    Args:
        echoed: the parameters whose values are columns.
    """
    fields = {f.name for f in scan.fields}
    exact = {p.param for f, rules in scan.method.pushdown.items() if f in fields for p in rules if p.match == "exact"}
    narrowing = {
        p.name
        for p in scan.parameters
        if p.name in exact - set(echoed) and p.location in ("query", "body") and not p.required and not p.has_default
    }
    if not any(values[name] is not None for name in narrowing):
        return None
    return build(scan.method, {name: value for name, value in values.items() if name not in narrowing})
