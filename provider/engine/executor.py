"""Runs a plan: fetches its scans in the order their keys appear, and stages the rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import duckdb

from provider.catalog.loader import Catalog
from provider.catalog.types import FieldType
from provider.engine.fetching import Arrived, Fetcher, Finished, Job
from provider.engine.report import Report
from provider.engine.reuse import Found, Reuse, wants
from provider.engine.running import Reading, Rows, Running
from provider.engine.staging import OnBadValue, Page
from provider.errors import DataError
from provider.plan.physical import Check, Given, Keys, Literal, Plan, Term
from provider.plan.price import MANY
from provider.plan.rendering import bound_query, key_cast
from provider.plan.sharing import sharing
from provider.rest.exact import Json
from provider.rest.pagination import COMPLETE
from provider.rest.request import Call, addresses_nothing, build, sent

#: Calls that are made before the first of them are sent: as many as may be in flight, and a few that wait.
_AT_ONCE = 128


class Executor:
    """Fills the staged tables of one plan in a DuckDB connection.

    Args:
        arguments: the statement's parameters by name.
        redact: takes secrets out of what an error quotes of an answer.
    """

    def __init__(
        self,
        plan: Plan,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        arguments: Mapping[str, object],
        report: Report,
        on_bad_value: OnBadValue,
        redact: Callable[[str], str],
    ) -> None:
        self._plan = plan
        self._duck = duck
        self._arguments = arguments
        self._report = report
        self._on_bad_value = on_bad_value
        self._redact = redact
        self._scans = {s.number: Running(s, catalog) for s in plan.scans}
        self._circles = plan.circles()
        self._rows: list[Rows] = []
        self._readings: dict[Job, Reading] = {}
        self._lists: dict[Job, Running] = {}
        self._reuse: Reuse | None = None
        report.scans = [r.report for r in self._scans.values()]

    def create_tables(self) -> None:
        """Create the empty staged tables, so that DuckDB can check the statement before anything is sent."""
        for group in sharing(self._plan.scans):
            running = [self._scans[s.number] for s in group]
            by_list = any(s.ending is not None and s.ending.each and s.requests.several for s in group)
            numbered = len(group) > 1 or by_list or group[0].listing is not None
            self._rows.append(Rows(self._duck, running, self._on_bad_value, self._redact, numbered=numbered))

    def drop_tables(self) -> None:
        """Remove the staged tables."""
        for rows in self._rows:
            rows.drop()

    def fetch(self, fetcher: Fetcher, reuse: Reuse | None = None) -> None:
        """Read all scans to their ends, with `reuse` from the cache where it has what is wanted.

        Raises:
            Error: what the first failing request or page raised; the others are cancelled.
        """
        self._reuse = reuse
        try:
            self._read(fetcher)
        except DataError as e:
            # The frames below hold what the API has sent, in which it may quote a secret: see `redact`.
            e.__context__ = e.__cause__ = None
            raise e.with_traceback(None) from None

    def _read(self, fetcher: Fetcher) -> None:
        self._start_ready(fetcher)
        while self._readings:
            batch: dict[Rows, list[tuple[Reading, bytes]]] = {}
            waiting: list[Reading] = []
            listed: dict[Running, list[Page]] = {}
            ended: set[Running] = set()
            for event in fetcher.take():
                if (lister := self._lists.get(event.job)) is not None:
                    pages_ = listed.setdefault(lister, [])
                    if isinstance(event, Arrived) and event.body is not None:
                        pages_.append(Page(event.body, event.job.echo))
                    elif isinstance(event, Finished):
                        if event.failure is not None:
                            raise event.failure
                        ended.add(lister)
                    continue
                reading = self._readings[event.job]
                if isinstance(event, Finished):
                    self._finish(event)
                    continue
                if self._reuse is not None:
                    self._reuse.arrived(event)
                if event.body is not None:
                    reading.owners[0].report.repeated += event.repeated
                    batch.setdefault(reading.owners[0].rows, []).append((reading, event.body))
                if event.waits:
                    waiting.append(reading)
            for rows, pages in batch.items():
                rows.append(pages)
            if self._reuse is not None:
                self._reuse.leave()
            for running in dict.fromkeys(o for pages in batch.values() for reading, _ in pages for o in reading.owners):
                self._end_early(running, fetcher)
            for running, found in listed.items():
                self._compare(running, found, fetcher, over=running in ended)
            for reading in waiting:
                if not reading.stopped:
                    fetcher.go_on(reading.job)
            self._start_ready(fetcher)
        if self._reuse is not None:
            self._reuse.leave(last=True)
        for running in self._scans.values():
            cut_short = "enough rows" if running.cut_short else COMPLETE
            running.report.ended = "enough rows" if running.enough else running.cut_off or cut_short
            self._report.truncated |= bool(running.cut_off) and not running.enough
            self._report.rows += running.listed.count if running.listed is not None else 0
        self._report.rows += sum(rows.count for rows in self._rows)

    def _finish(self, event: Finished) -> None:
        """A reading is over."""
        if event.failure is not None:
            raise event.failure
        reading = self._readings.pop(event.job)
        reading.over = True
        reading.cut_off = "" if event.ended == COMPLETE else event.ended
        if self._reuse is not None:
            self._reuse.ended(event.job, whole=event.ended == COMPLETE and not reading.stopped)
        for owner in reading.owners:
            owner.in_flight -= 1
            owner.cut_off = owner.cut_off or reading.cut_off

    def _compare(self, running: Running, pages: list[Page], fetcher: Fetcher, *, over: bool) -> None:
        """Go on with a list as long as that is worth while, else ask for what is missing one by one."""
        listed = running.listed
        if listed is None or not listed.held:
            return
        missing = listed.append(pages)
        running.report.pages += len(pages)
        running.count()
        job = next(j for j, r in self._lists.items() if r is running)
        if not over and listed.fruitless < len(missing):
            fetcher.go_on(job)
            return
        fetcher.stop([job])
        fetcher.add([held for key, held in listed.held.items() if key in missing])
        for key, held in listed.held.items():
            if key not in missing:
                self._finish(Finished(held))
        listed.held = {}

    def _list_instead(self, running: Running, jobs: list[Job], keys: list[dict[str, Json]]) -> list[Job]:
        """What to begin with in place of many jobs: a list that may have their objects."""
        listed = running.listed
        if listed is None or len(jobs) < MANY or running in self._lists.values():
            return jobs
        listing = listed.listing
        parents = {tuple((n, v) for n, v in values.items() if n != listing.key.name) for values in keys}
        if len(parents) > 1:
            return jobs
        listed.hold({values[listing.key.name]: job for values, job in zip(keys, jobs, strict=True)})
        values = dict(next(iter(parents)))
        call = build(listing.method, values)
        echo = tuple(sent(values[p.name], p.type) for p in listed.echoes)
        job = Job(running.report, running.target.of(call), listing.method, call, echo, paced=True)
        self._lists[job] = running
        return [job]

    def _end_early(self, running: Running, fetcher: Fetcher) -> None:
        """Stop a scan whose staged rows prove that the rest cannot matter."""
        ending = running.scan.ending
        if ending is None or running.enough:
            return
        own = [r for r in self._readings.values() if running in r.owners]
        if not ending.in_order or (running.report.keys == 1 and running.settled):
            running.enough = self._checked(ending.enough) == [(True,)]
        elif ending.each is not None and running.share is not None:
            full = {number for (number,) in self._checked(ending.each)}
            for reading in own:
                if reading.number in full:
                    running.sated.add(reading)
                    running.cut_short = True
        needless = [r for r in own if not r.stopped and not r.is_wanted]
        for reading in needless:
            reading.stopped = True
        if needless:
            fetcher.stop(r.job for r in needless)

    def _checked(self, check: Check) -> list[tuple[Any, ...]]:
        return self._duck.execute(check.sql, {n: self._arguments[n] for n in check.arguments} or None).fetchall()

    def _start_ready(self, fetcher: Fetcher) -> None:
        """Start the requests of all keys that are known by now.

        A scan that sends nothing may settle another one, so this goes on until nothing changes.
        """
        changed = True
        while changed:
            changed = False
            for running in self._scans.values():
                before, cached = running.evaluated_at, running.report.cached
                for jobs in self._new_jobs(running):
                    fetcher.add(jobs)
                changed = changed or running.evaluated_at != before
                if running.report.cached > cached:
                    self._end_early(running, fetcher)

    def _new_jobs(self, running: Running) -> Iterator[list[Job]]:
        """The calls that a scan wants by now, and that no reading has; the first are sent while the rest is made."""
        scan, rows = running.scan, running.rows
        sources = {n: self._scans[n] for n in scan.depends}
        staged = self._staged(running)
        circle = self._circles[scan.number]
        settled = all(self._is_settled(s) for n, s in sources.items() if n not in circle)
        monotone = all(b.monotone for b in scan.bindings if isinstance(b, Keys))
        if running.evaluated_at is not None and (staged, settled) == running.evaluated_at:
            return
        if not settled and not (monotone and staged):
            return
        running.evaluated_at = (staged, settled)
        running.settled = settled
        if running.enough:
            return
        parts = [self._values(b) for b in scan.bindings]
        names = [p.name for p in scan.parameters]
        paced = scan.ending is not None and scan.method.pages is not None
        combinations = list(itertools.product(*parts))
        alone = settled and not scan.depends & circle and not running.seen and len(combinations) == 1
        new: list[dict[str, Json]] = []
        for combination in combinations:
            key = tuple(itertools.chain.from_iterable(combination))
            if key in running.seen:
                continue
            running.seen.add(key)
            values: dict[str, Json] = dict(zip(names, key, strict=True))
            if not addresses_nothing(scan.method, values):
                new.append(values)
        running.report.keys += len(new)
        jobs: list[Job] = []
        keys: list[dict[str, Json]] = []
        wanted: list[int] = []
        cached: list[tuple[Reading, Found]] = []
        for values, (call, found) in zip(new, self._served(running, new), strict=True):
            echo = rows.echo(values)
            reading = rows.known(call, echo)
            if reading is not None and running in reading.owners:
                continue  # of the cache, and as wide as both keys
            if reading is not None:
                running.report.shared += 1
                reading.owners.append(running)
                running.cut_off = running.cut_off or reading.cut_off
            else:
                fields = tuple(scan.resource.key)
                target = running.target.of(call)
                kept = self._reuse.kept(found) if self._reuse is not None and found is not None else None
                job = Job(running.report, target, scan.method, call, echo, paced, fields, alone and not paced, kept)
                reading = rows.new(job, running)
                if found is not None and found.fresh:
                    reading.over = True
                    cached.append((reading, found))
                else:
                    self._readings[job] = reading
                    if self._reuse is not None:
                        self._reuse.begin(job)
                    jobs.append(job)
                    keys.append(values)
            running.in_flight += not reading.over
            wanted.append(reading.number)
            if len(jobs) == _AT_ONCE and running.listed is None:
                yield jobs
                jobs, keys = [], []
        self._take(running, cached)
        running.show(wanted)
        yield self._list_instead(running, jobs, keys)

    def _served(self, running: Running, new: Sequence[dict[str, Json]]) -> Iterator[tuple[Call, Found | None]]:
        """For each new key the call that has its rows, and the unit of the cache with its answer, if there is one."""
        if self._reuse is None:
            yield from ((build(running.scan.method, values), None) for values in new)
            return
        wanted = wants(running, new, running.rows.echoed)
        for w, found in zip(wanted, self._reuse.find(wanted), strict=True):
            if found is not None and found.fresh:
                running.report.cached += 1
                running.report.age = max(running.report.age or 0, self._reuse.age(found))
            yield (w.call if found is None else found.call), found

    def _take(self, running: Running, cached: Sequence[tuple[Reading, Found]]) -> None:
        """Stage the rows of readings that the cache has."""
        readings: dict[Found, list[Reading]] = {}
        for reading, found in cached:
            readings.setdefault(found, []).append(reading)
        if self._reuse is not None and cached:
            for pages in self._reuse.bodies(list(readings)):
                running.rows.append([(reading, body) for found, body in pages for reading in readings[found]])

    def _is_settled(self, running: Running) -> bool:
        """Whether a scan will get no more rows: its keys, and those of all that feed it in a circle, are fetched."""
        circle = [self._scans[n] for n in self._circles[running.scan.number]]
        return all(r.settled and not r.in_flight and r.evaluated_at == (self._staged(r), True) for r in circle)

    def _staged(self, running: Running) -> int:
        """How many rows the scans have by now that a scan's keys come from."""
        return sum(self._scans[n].report.rows for n in running.scan.depends)

    def _values(self, binding: Given | Keys) -> Sequence[tuple[Any, ...]]:
        """The distinct key tuples of one binding, in order of appearance; NULL binds nothing."""
        if isinstance(binding, Keys):
            arguments = {n: self._arguments[n] for n in binding.arguments}
            return self._duck.execute(binding.sql, arguments or None).fetchall()
        if binding.operator != "=":
            return self._bound(binding)
        found: dict[tuple[Any, ...], None] = {}
        types = [p.type for p in binding.parameters]
        for row in binding.rows:
            for key in itertools.product(*(self._evaluate(t, type_) for t, type_ in zip(row, types, strict=True))):
                if None not in key:
                    found[key] = None
        return list(found)

    def _bound(self, binding: Given) -> Sequence[tuple[Any, ...]]:
        """The key of a bound, in which None stands for a parameter that is not sent."""
        ((parameter,), ((term,),)) = (binding.parameters, binding.rows)
        if isinstance(term, Literal):
            return [(term.value,)] if term.value is not None else []
        arguments = {n: self._arguments[n] for n in term.arguments}
        query = bound_query(term.sql, parameter.type, binding.operator)
        return self._duck.execute(query, arguments or None).fetchall()

    def _evaluate(self, term: Term, type_: FieldType) -> list[Any]:
        """The value of a constant, or its values where it is an unnested list."""
        if isinstance(term, Literal):
            return [term.value]
        arguments = {n: self._arguments[n] for n in term.arguments}
        if type_.base == "string" and [term.sql] == [f"${n}" for n in arguments]:
            (value,) = arguments.values()
            if isinstance(value, str) or value is None:
                return [value]
        # A value that the type cannot hold, such as 1.5 for an integer, equals none of the API's.
        cast = key_cast("v", type_)
        sql = f"SELECT {cast} FROM (SELECT {term.sql} AS v) AS term WHERE {cast} = v"
        return [row[0] for row in self._duck.execute(sql, arguments or None).fetchall()]
