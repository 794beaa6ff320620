"""The scans of a statement while they run, the tables that they fill, and the calls that are read for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from provider.catalog.catalog import Field, Parameter
from provider.catalog.loader import Catalog
from provider.engine.fetching import Job
from provider.engine.listed import Listed
from provider.engine.report import ScanReport
from provider.engine.staging import OnBadValue, Page
from provider.engine.tables import NUMBER, Share, StagedTable, leaving_nothing
from provider.plan.physical import Scan
from provider.rest.exact import Json
from provider.rest.request import Call, Target, sent


@dataclass(eq=False, slots=True)
class Reading:
    """A job, and the scans that want its rows. `number` is its call's in a table that scans share."""

    job: Job
    number: int
    owners: list[Running]
    over: bool = False
    stopped: bool = False
    #: Why it was cut off, '' if it was not.
    cut_off: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether a scan needs its further pages."""
        return not all(o.enough or self in o.sated for o in self.owners)


class Running:
    """One scan while it runs."""

    def __init__(self, scan: Scan, catalog: Catalog) -> None:
        resource = scan.resource
        self.scan = scan
        self.target = Target(catalog.provider(resource.provider), catalog.service(resource.provider, resource.service))
        self.report = ScanReport(resource.id, scan.method.name)
        self.in_flight = 0
        self.settled = False
        self.enough = False
        #: Whether some of its lists had enough before they ended.
        self.cut_short = False
        #: The readings of which it needs no more than is there.
        self.sated: set[Reading] = set()
        #: Why reading was cut off, '' while it was not.
        self.cut_off = ""
        self.seen: set[tuple[Any, ...]] = set()
        self.evaluated_at: tuple[int, bool] | None = None
        #: Its part of a table that is shared; None where the table is its own.
        self.share: Share | None = None
        #: The list that may have what it wants.
        self.listed: Listed | None = None
        self.rows: Rows

    @property
    def account(self) -> Parameter | None:
        """The parameter that says whose rows they are."""
        return next((p for p in self.scan.parameters if p.location == "account"), None)

    @property
    def fields(self) -> list[Field]:
        """The fields to read; what an API calls as the account's column is called is none of it."""
        account = self.account
        return [f for f in self.scan.fields if account is None or f.name != account.name]

    @property
    def echoes(self) -> list[Parameter]:
        """The parameters whose sent values are columns, or fill a field that the API leaves out."""
        scan, resource = self.scan, self.scan.resource
        found = [p for p in scan.parameters if p.location == "path" and resource.field(p.name) in scan.fields]
        found += [p for p in scan.parameters if p == self.account and resource.field(p.name) in scan.fields]
        bound = {p.name for p in scan.parameters}
        return found + [p for p in scan.echoes if p.name in bound and resource.key_field(p.name) is None]

    @property
    def addressed(self) -> list[tuple[Parameter, str]]:
        """The key fields that the path of one object tells, where its answer leaves them out, and their parameters."""
        scan, resource = self.scan, self.scan.resource
        if scan.method.is_list:
            return []
        keys = [(p, resource.key_field(p.name)) for p in scan.parameters if p.location == "path"]
        read = {f.name for f in scan.fields}
        return [(replace(p, name=key), p.name) for p, key in keys if key != p.name and key in read]

    @property
    def synonyms(self) -> dict[str, str]:
        """Key parameters under their own names: parameter -> field."""
        resource = self.scan.resource
        return {p.name: key for p in self.scan.echoes if (key := resource.key_field(p.name)) is not None}

    @property
    def columns(self) -> list[str]:
        """The columns of its table, without synonyms."""
        return list(dict.fromkeys([f.name for f in self.fields] + [p.name for p in self.echoes]))

    def show(self, calls: Sequence[int]) -> None:
        """Let its table have the rows of further calls."""
        if self.share is not None and calls:
            self.share.want(calls)
            self.count()

    def count(self) -> None:
        """Tell the report how many rows its table has by now."""
        if self.share is not None and self.rows.is_shared:
            self.report.rows = self.share.count()
        else:
            self.report.rows = self.rows.count + (self.listed.found if self.listed is not None else 0)


class Rows:
    """The table that the answers to calls of one method go into, for one scan or for several that share it.

    Args:
        scans: the scans; they bind the same parameters.
        numbered: whether each row has the number of its call, and each scan sees the rows of its own calls. It must
            be so for several scans.
        redact: takes secrets out of what an error quotes of an answer.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        scans: Sequence[Running],
        on_bad_value: OnBadValue,
        redact: Callable[[str], str],
        *,
        numbered: bool,
    ) -> None:
        first = scans[0].scan
        self._scans = scans
        self._numbered = numbered
        self._readings: dict[tuple[Call, tuple[object, ...]], Reading] = {}
        self._numbers = itertools.count()
        #: How many rows there are.
        self.count = 0
        used = {f.name for s in scans for f in s.fields}
        fields = [f for f in first.resource.fields if f.name in used]
        echoes = list({p.name: p for s in scans for p in s.echoes}.values())
        addressed = list({p.name: (p, name) for s in scans for p, name in s.addressed}.values())
        name = f"{first.table}_shared" if numbered else first.table
        synonyms = {} if numbered else scans[0].synonyms
        echoed = [*echoes, *(p for p, _ in addressed), *([NUMBER] if numbered else [])]
        self._echoes = echoes
        self._sent = [(p.name, p.type) for p in echoes] + [(name, p.type) for p, name in addressed]
        self._table = StagedTable(
            duck,
            name,
            first.resource.id,
            fields,
            echoed,
            synonyms,
            first.method.rows,
            on_bad_value,
            one_row=not first.method.is_list,
            rows_omitted=first.method.rows_omitted,
            binary=first.method.binary,
            known=[f.name for f in first.resource.fields],
            redact=redact,
        )
        with leaving_nothing(duck, self.drop):
            for running in scans:
                running.rows = self
                also = ""
                if running.scan.listing is not None and len(scans) == 1:
                    running.listed = Listed(duck, running.scan, fields, echoes, on_bad_value, redact)
                    also = running.listed.source
                if numbered:
                    running.share = Share(duck, running.scan.table, name, running.columns, running.synonyms, also)

    @property
    def is_shared(self) -> bool:
        """Whether it has rows of several scans."""
        return len(self._scans) > 1

    def echo(self, values: dict[str, Json]) -> tuple[object, ...]:
        """What the rows of a call show of its values."""
        return tuple(sent(values[name], type_) for name, type_ in self._sent)

    @property
    def echoed(self) -> list[str]:
        """The parameters whose values are columns."""
        return [p.name for p in self._echoes]

    def known(self, call: Call, echo: tuple[object, ...]) -> Reading | None:
        """The reading that has, or will have, all rows of a call."""
        found = self._readings.get((call, echo))
        return found if found is not None and not found.stopped else None

    def new(self, job: Job, owner: Running) -> Reading:
        """A reading of a call that no scan has asked for."""
        reading = Reading(job, next(self._numbers), [owner])
        self._readings[job.call, job.echo] = reading
        return reading

    def append(self, pages: Iterable[tuple[Reading, bytes]]) -> None:
        """Stage page bodies."""
        staged = []
        for reading, body in pages:
            reading.owners[0].report.pages += 1
            staged.append(Page(body, (*reading.job.echo, reading.number) if self._numbered else reading.job.echo))
        self.count += self._table.append(staged)
        self._scans[0].report.bad_values = self._table.bad_values
        for running in self._scans:
            running.count()

    def drop(self) -> None:
        """Remove the table, and what its scans see of it."""
        for running in self._scans:
            if running.share is not None:
                running.share.drop()
            if running.listed is not None:
                running.listed.drop()
        # They name their scans, and these the table: what goes in a circle would stay until Python looks for circles.
        self._readings.clear()
        self._table.drop()
