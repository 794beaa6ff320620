"""Runs a plan: fetches its scans in the order their keys appear, and stages the rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from provider.catalog.loader import Catalog
from provider.catalog.types import FieldType
from provider.engine.fetching import Fetcher, Finished, Job, Progress
from provider.engine.report import Report, ScanReport
from provider.engine.staging import Page
from provider.engine.tables import StagedTable
from provider.plan.physical import Given, Keys, Literal, Plan, Scan, Term
from provider.plan.rendering import key_cast
from provider.rest.request import Json, Target, addresses_nothing, build


class Executor:
    """Fills the staged tables of one plan in a DuckDB connection.

    Args:
        arguments: the statement's parameters by name.
    """

    def __init__(
        self,
        plan: Plan,
        duck: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        arguments: Mapping[str, object],
        report: Report,
        progress: Progress | None = None,
    ) -> None:
        self._plan = plan
        self._duck = duck
        self._arguments = arguments
        self._report = report
        self._progress = progress
        self._scans = {s.number: _Running(s, catalog) for s in plan.scans}
        report.scans = [r.report for r in self._scans.values()]

    def create_tables(self) -> None:
        """Create the empty staged tables, so that DuckDB can check the statement before anything is sent."""
        for running in self._scans.values():
            running.create(self._duck)

    def drop_tables(self) -> None:
        """Remove the staged tables."""
        for running in self._scans.values():
            if running.table is not None:
                running.table.drop()

    def fetch(self, fetcher: Fetcher) -> None:
        """Read all scans to their ends.

        Raises:
            Error: what the first failing request or page raised; the others are cancelled.
        """
        in_flight = 0
        in_flight += self._start_ready(fetcher)
        while in_flight:
            batch: dict[int, list[Page]] = {}
            waiting: list[Job] = []
            for event in fetcher.take():
                if isinstance(event, Finished):
                    in_flight -= 1
                    self._scans[event.job.scan].in_flight -= 1
                    if event.failure is not None:
                        raise event.failure
                    continue
                if event.body is not None:
                    batch.setdefault(event.job.scan, []).append(Page(event.body, event.job.echo))
                if event.waits:
                    waiting.append(event.job)
            for number, pages in batch.items():
                self._scans[number].stage(pages)
                self._end_early(self._scans[number], fetcher)
            for job in waiting:
                if not self._scans[job.scan].enough:
                    fetcher.go_on(job)
            if self._progress is not None:
                self._progress(self._report.requests, sum(r.report.rows for r in self._scans.values()))
            in_flight += self._start_ready(fetcher)
        for running in self._scans.values():
            running.report.ended = "enough rows" if running.enough else "complete"
            self._report.rows += running.report.rows

    def _end_early(self, running: _Running, fetcher: Fetcher) -> None:
        """Stop a scan whose staged rows prove that the rest cannot matter."""
        ending = running.scan.ending
        if ending is None or running.enough:
            return
        if ending.in_order and (running.report.keys > 1 or not running.settled):
            return
        arguments = {n: self._arguments[n] for n in ending.arguments}
        row = self._duck.execute(ending.sql, arguments or None).fetchone()
        if row is not None and row[0] is True:
            running.enough = True
            fetcher.stop(running.scan.number)

    def _start_ready(self, fetcher: Fetcher) -> int:
        """Start the requests of all keys that are known by now; the number of new jobs.

        A scan that sends nothing may settle another one, so this goes on until nothing changes.
        """
        started = 0
        changed = True
        while changed:
            changed = False
            for running in self._scans.values():
                before = running.evaluated_at
                jobs = list(self._new_jobs(running))
                changed = changed or running.evaluated_at != before
                running.in_flight += len(jobs)
                started += len(jobs)
                fetcher.add(jobs)
        return started

    def _new_jobs(self, running: _Running) -> Iterator[Job]:
        scan = running.scan
        assert running.table is not None
        sources = {n: self._scans[n] for n in scan.depends}
        staged = sum(s.report.rows for s in sources.values())
        settled = all(self._is_settled(s, set()) for n, s in sources.items() if n != scan.number)
        monotone = all(b.monotone for b in scan.bindings if isinstance(b, Keys))
        if running.evaluated_at is not None and (staged, settled) == running.evaluated_at:
            return
        if not settled and not (monotone and staged):
            return
        running.evaluated_at = (staged, settled)
        running.settled = settled
        parts = [self._values(b) for b in scan.bindings]
        names = [p.name for p in scan.parameters]
        paced = scan.ending is not None and scan.method.pages is not None
        for combination in itertools.product(*parts):
            key = tuple(itertools.chain.from_iterable(combination))
            if key in running.seen:
                continue
            running.seen.add(key)
            values: dict[str, Json] = dict(zip(names, key, strict=True))
            if addresses_nothing(scan.method, values):
                continue
            running.report.keys += 1
            call = build(scan.method, values)
            yield Job(scan.number, running.target, scan.method, call, running.table.echo(values), paced)

    def _is_settled(self, running: _Running, above: set[int]) -> bool:
        """Whether a scan will get no more rows: its keys are all known, and fetched."""
        if running.in_flight or not running.settled:
            return False
        return all(
            self._is_settled(self._scans[n], above | {running.scan.number})
            for n in running.scan.depends
            if n not in above and n != running.scan.number
        )

    def _values(self, binding: Given | Keys) -> Sequence[tuple[Any, ...]]:
        """The distinct key tuples of one binding, in order of appearance; NULL binds nothing."""
        if isinstance(binding, Keys):
            arguments = {n: self._arguments[n] for n in binding.arguments}
            return self._duck.execute(binding.sql, arguments or None).fetchall()
        found: dict[tuple[Any, ...], None] = {}
        types = [p.type for p in binding.parameters]
        for row in binding.rows:
            for key in itertools.product(*(self._evaluate(t, type_) for t, type_ in zip(row, types, strict=True))):
                if None not in key:
                    found[key] = None
        return list(found)

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


class _Running:
    """One scan while it runs."""

    def __init__(self, scan: Scan, catalog: Catalog) -> None:
        resource = scan.resource
        self.scan = scan
        self.target = Target(catalog.provider(resource.provider), catalog.service(resource.provider, resource.service))
        self.report = ScanReport(resource.id, scan.method.name)
        self.in_flight = 0
        self.settled = False
        self.enough = False
        self.seen: set[tuple[Any, ...]] = set()
        self.evaluated_at: tuple[int, bool] | None = None
        self.table: StagedTable | None = None

    def create(self, duck: duckdb.DuckDBPyConnection) -> None:
        scan, resource = self.scan, self.scan.resource
        bound = {p.name for p in scan.parameters}
        # A path parameter that is a field as well fills the field where the API leaves it out.
        echoes = [p for p in scan.parameters if p.location == "path" and resource.field(p.name) in scan.fields]
        echoes += [p for p in scan.echoes if p.name in bound and resource.key_field(p.name) is None]
        synonyms = {p.name: key for p in scan.echoes if (key := resource.key_field(p.name)) is not None}
        rows = scan.method.rows if scan.method.is_list else None
        self.table = StagedTable(duck, scan.table, resource.id, scan.fields, echoes, synonyms, rows)

    def stage(self, pages: list[Page]) -> None:
        assert self.table is not None
        self.report.rows += self.table.append(pages)
        self.report.pages += len(pages)
