"""PEP 249's connection: a DuckDB database, a catalog, and a client for the APIs behind it."""

from __future__ import annotations

import os
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import duckdb

from provider.catalog.accounts import Accounts, check
from provider.catalog.loader import Catalog
from provider.engine import spill
from provider.engine.cursor import Cursor, Parameters, Result
from provider.engine.progress import Progress, telling
from provider.engine.report import Report
from provider.engine.results import DuckResult, interruption
from provider.engine.settings import SETTINGS, Settings
from provider.engine.watch import Watch
from provider.errors import BindError, Error, InterfaceError, did_you_mean
from provider.sql.scanner import Text, stands_alone

# What plans statements and sends requests is slow to import; it is imported where a first statement needs it.
if TYPE_CHECKING:
    import httpx

    from provider.engine.gateway import Gateway
    from provider.engine.guard import Confirm, Question
    from provider.engine.journal import Journal
    from provider.engine.sending import OnError
    from provider.engine.session import Session
    from provider.engine.staging import OnBadValue
    from provider.engine.waiting import Tell
    from provider.rest.cassette import Cassette, Recorder
    from provider.rest.client import Client
    from provider.rest.har import Entry
    from provider.rest.request import Exchange
    from provider.rest.tracing import Tracing


#: Tables and views that people have made. All databases have apiql's own, whose names begin with underscores.
_COLUMNS = """
SELECT table_name, list(column_name ORDER BY column_index)
FROM duckdb_columns()
WHERE NOT internal AND table_name NOT LIKE '\\_\\_apiql%' ESCAPE '\\'
GROUP BY table_name
ORDER BY table_name
"""


class Connection:
    """Runs SQL over REST resources and over a DuckDB database. One thread at a time may use it.

    Args:
        database: a DuckDB file for tables and views, or ':memory:'.
        manifests: folders or files of manifests in addition to the bundled ones.
        base_urls: base URL by provider; wins over the environment and the manifest.
        versions: API version by service: `{"openai.assistants": "v1"}`.
        environ: where credentials and base URLs are looked up; os.environ by default.
        accounts: named accounts of a provider, each with the variables that it sets instead of `environ`:
            `{"openai": {"work": {"OPENAI_API_KEY_FILE": "work.key"}, "home": {...}}}`. Each resource of that
            provider has a column `account` then.
        max_concurrency: requests in flight, per account.
        timeout: seconds to wait for an answer to begin, and between two parts of it.
        statement_timeout: seconds that a statement may take, the reading of its rows included; None for no end.
        retries: how often a read is repeated after a fault that may pass; of the writes only those with an
            idempotency key are.
        retry_seconds: how long a call may take with its repetitions; a wait that would end later is not begun.
        on_bad_value: what becomes of a value that does not fit its field: an error, NULL (counted in the report), or
            'text', with which all fields are text.
        cache: how long answers may be used again: a time such as '5m', 'on' for as long as manifests say, or 'off'.
        max_writes: how many objects one UPDATE, REPLACE or DELETE may change.
        unfiltered_writes: permit UPDATE and DELETE without WHERE.
        irreversible_writes: permit COMMIT of writes that no statement undoes.
        confirm: asked, before anything is written, whether a statement may do what the three above do not permit: it
            gets a `Question`, whose text says how many objects of what would be changed, and answers true or false.
            Without it such a statement is an error. The time that it takes does not count for `statement_timeout`.
        on_error: whether a write statement stops at the first row that fails, or goes on with the others.
        resume: a journal of writes; it is made, or continued: rows that it calls done are not sent again.
        allow_plain_http: permit http:// to hosts other than this machine; credentials travel in clear.
        http_client: an `httpx.AsyncClient` to send through, with its own transport, hooks, proxies and timeouts.
        progress: called ten times a second with how far a statement is (requests, rows, waits, writes), and when it has
            ended; on another thread. `provider.progress_display()` makes one that shows it.
        waiting: called with a line on how an operation stands, while AWAIT waits for it; on another thread.
        trace: called with each request that was sent, without secrets; on another thread.
        clock: Unix time in seconds, by which answers in the cache age.
        wire: called with the heads of each request and its answer, without secrets; on another thread.
        har: a HAR file that is written: requests and answers, without credentials and with the first MiB of each body.
        record: a HAR file that is written with whole bodies, so that it can be replayed.
        replay: a recording that answers instead of the APIs. Nothing is sent, and no credentials are needed.
        tracing: makes OpenTelemetry's spans of statements and requests: `provider.Tracing()`; needs the extra `otel`.

    Raises:
        InterfaceError: an argument that cannot be used.
        OperationalError: the database cannot be opened.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] = ":memory:",
        *,
        manifests: Sequence[str | os.PathLike[str]] = (),
        base_urls: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        accounts: Accounts | None = None,
        max_concurrency: int = 16,
        timeout: float = 60.0,
        statement_timeout: float | None = None,
        retries: int = 6,
        retry_seconds: float = 120.0,
        on_bad_value: OnBadValue = "error",
        cache: str = "off",
        max_writes: int = 100,
        unfiltered_writes: bool = False,
        irreversible_writes: bool = False,
        confirm: Confirm | None = None,
        on_error: OnError = "stop",
        resume: str | os.PathLike[str] | None = None,
        allow_plain_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
        progress: Callable[[Progress], None] | None = None,
        waiting: Tell | None = None,
        trace: Callable[[Exchange], None] | None = None,
        clock: Callable[[], float] = time.time,
        wire: Callable[[Entry], None] | None = None,
        har: str | os.PathLike[str] | None = None,
        record: str | os.PathLike[str] | None = None,
        replay: str | os.PathLike[str] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        if max_concurrency < 1:
            raise InterfaceError(f"max_concurrency is {max_concurrency}; it must be at least 1")
        if on_error not in ("stop", "continue"):
            raise InterfaceError(f'on_error is {on_error!r}; it must be "stop" or "continue"')
        environ = os.environ if environ is None else environ
        if statement_timeout is not None and statement_timeout <= 0:
            raise InterfaceError(f"statement_timeout is {statement_timeout}; it must be more than 0 seconds")
        try:
            bad_values = SETTINGS["on_bad_value"].read(on_bad_value)
        except ValueError as e:
            raise InterfaceError(f'on_bad_value is "{on_bad_value}"', remedy=str(e)) from None
        try:
            lifetime = SETTINGS["cache"].read(cache)
        except ValueError as e:
            raise InterfaceError(f'cache is "{cache}"', reason=str(e)) from None
        self._closed = True
        accounts = accounts or {}
        self.catalog = Catalog(manifests, versions, environ, {name: tuple(named) for name, named in accounts.items()})
        check(accounts, self.catalog)
        for name in base_urls or {}:
            if not self.catalog.has_provider(name):
                raise BindError(
                    f'no provider "{name}" for the base URL', remedy=did_you_mean(name, self.catalog.providers)
                )

        settings = Settings(
            {
                "max_concurrency": max_concurrency,
                "timeout": timeout,
                "max_writes": max_writes,
                "statement_timeout": statement_timeout or 0.0,
                "retries": retries,
                "retry_seconds": retry_seconds,
                "on_bad_value": bad_values,
                "cache": lifetime,
            }
        )

        self._settings = settings
        self._progress = progress
        tracing = None if tracing is None else tracing.of_connection()
        cassette = _cassette(replay, record, http_client)

        def new_client(observe: Callable[[Exchange], None], moved: Callable[[int], None]) -> Client:
            from provider.rest.client import Client
            from provider.rest.retry import RetryPolicy

            return Client(
                environ=environ,
                accounts=accounts,
                base_urls=dict(base_urls or {}),
                max_concurrency=settings.integer("max_concurrency"),
                timeout=settings.number("timeout"),
                retry=RetryPolicy(settings.integer("retries") + 1, settings.number("retry_seconds")),
                observe=observe,
                moved=moved,
                allow_plain_http=allow_plain_http,
                http_client=http_client,
                recorder=self._recorder,
                replay=cassette,
                tracing=tracing,
            )

        def new_gateway() -> Gateway:
            from provider.engine.gateway import Gateway

            return Gateway(new_client, max_concurrency, trace, waiting)

        def new_session() -> Session:
            from provider.engine.cache import Cache
            from provider.engine.guard import Guard
            from provider.engine.macros import Macros
            from provider.engine.session import Session
            from provider.engine.writer import WritePolicy

            macros = Macros(self._duck, may_hold=in_file)
            asking = None if confirm is None else partial(self._ask, confirm)
            guard = Guard(max_writes, unfiltered_writes, irreversible_writes, asking)
            policy = WritePolicy(guard, on_error, journal)
            cache = Cache(self._duck, clock)
            self._opened.callback(cache.close)
            return Session(self._duck, self.catalog, self._gateway, policy, settings, macros, cache, tracing)

        self._new_gateway = new_gateway
        self._new_session = new_session
        in_file = os.fspath(database) != ":memory:"
        #: A file may have views and macros, which give names a meaning; a trace has a span of each statement; and
        #: the clock of a timeout is the gateway's.
        self._plans_all = in_file or tracing is not None or statement_timeout is not None
        self._unplanned: DuckResult | None = None
        with ExitStack() as opened:
            self._recorder = _recorder(har, record, wire)
            if self._recorder is not None:
                opened.callback(self._recorder.close)
            journal = _journal(resume) if resume is not None else None
            if journal is not None:
                opened.callback(journal.close)
            config: dict[str, str | bool | int | float | list[str]] = {}
            if not in_file and (folder := spill.make()) is not None:
                # At the latest when the process ends, as not everybody closes.
                opened.callback(weakref.finalize(self, spill.remove, folder))
                config["temp_directory"] = str(folder)
            try:
                self._duck = duckdb.connect(os.fspath(database), config=config)
            except duckdb.Error as e:
                raise _translated(e) from None
            opened.callback(self._duck.close)
            # DuckDB would carry a query that Ctrl-C has stopped to its end before it closes.
            opened.callback(self._duck.interrupt)
            self._opened = opened.pop_all()
        self._closed = False
        # A name that is no table must be an error, not whatever Python variable happens to have that name.
        self._duck.execute("SET python_enable_replacements = false")
        # DuckDB draws on stdout, where answers go, where it thinks that somebody looks on: in Jupyter and `python -c`.
        with suppress(duckdb.InvalidInputException):  # in Jupyter without ipywidgets, where it cannot draw anyway
            self._duck.execute("SET enable_progress_bar = false")
        # DuckDB 1.5 filters rows by a join's keys below ORDER BY ... LIMIT, which then lets others through, and below
        # aggregates: wrong rows, now and then, with several threads
        # (`test_a_join_filters_nothing_below_the_limit_of_one_side`).
        self._duck.execute("SET disabled_optimizers = 'join_filter_pushdown'")

    def cursor(self) -> Cursor:
        """A new cursor."""
        self._check_open()
        return Cursor(self)

    def execute(self, sql: str, parameters: Parameters = None) -> Cursor:
        """A new cursor that has run `sql`; see `Cursor.execute`."""
        return self.cursor().execute(sql, parameters)

    def register(self, name: str, frame: object) -> None:
        """Let statements read a data frame as the table `name`, in place of a table of that name.

        Its values bind parameters as those of a table do. A transaction's end by ROLLBACK takes it back.

        Args:
            name: as it is written without quotes.
            frame: of pandas, polars or pyarrow, or whatever else DuckDB reads. It is read anew by each statement; a
                pyarrow RecordBatchReader, which can be read only once, is read into memory now.

        Raises:
            InterfaceError: DuckDB cannot read it.
        """
        self._check_open()
        self._detach()
        # Keys are read before the answer is, so that a stream would be empty by then.
        rows = frame.read_all() if hasattr(frame, "read_all") else frame
        try:
            self._duck.register(name, rows)
        except duckdb.Error as e:
            kind = f"{type(frame).__module__}.{type(frame).__qualname__}"
            raise InterfaceError(f'"{name}" cannot be a table of {kind}', detail=str(e)) from None

    def unregister(self, name: str) -> None:
        """Take back a `register`; nothing happens where there was none."""
        self._check_open()
        self._detach()
        self._duck.unregister(name)

    def tables(self) -> dict[str, tuple[str, ...]]:
        """The tables and views of the database, by name, each with its columns; nothing is sent."""
        self._check_open()
        self._detach()
        try:
            rows = self._duck.execute(_COLUMNS).fetchall()
        except duckdb.Error:  # within a transaction that was given up
            return {}
        return {name: tuple(columns) for name, columns in rows}

    def __repr__(self) -> str:
        return f"<provider.Connection: {'closed' if self._closed else 'open'}>"

    def commit(self) -> None:
        """COMMIT the open transaction, and do nothing where none is open: send the writes that it has collected.

        Raises:
            Guarded: it would do what cannot be undone; the transaction stays open.
            PartlyDone: some writes were done and others not; it lists them, and the statements that undo them.
            Error: as `execute`.
        """
        self._end("COMMIT")

    def rollback(self) -> None:
        """ROLLBACK the open transaction, and do nothing where none is open: its writes are not sent."""
        self._end("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: there was a BEGIN, and no COMMIT or ROLLBACK since."""
        return "_session" in vars(self) and self._session.in_transaction

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """A transaction around a `with` block: COMMIT at its end, ROLLBACK when it raises.

        Raises:
            Error: as `execute`, and as `commit`; the transaction has ended then.
        """
        self.execute("BEGIN")
        try:
            yield self
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def close(self) -> None:
        """Close the database and all connections to APIs."""
        if self._closed:
            return
        self._closed = True
        if self._unplanned is not None:
            self._unplanned.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn("a provider.Connection was not closed", ResourceWarning, stacklevel=2)

    def explain(self, sql: str) -> str:
        """The plan of each statement of a script as text: methods, requests, and where values come from.

        Nothing is sent, and parameters need no values.

        Raises:
            Error: as `execute`, for what can be known without sending anything.
        """
        self._check_open()
        return self._session.explain(sql)

    def dry_run(self, sql: str, parameters: Parameters = None) -> str:
        """The plan of each statement of a script, and every request with its body that its writes would send.

        The rows of writes are read and checked as `execute` does; nothing is written, and queries are not run.

        Raises:
            Error: as `execute`, for what can be known before the first write.
        """
        self._check_open()
        report = Report()
        session = self._session
        with self._watch(report) as watch, self._told(report):
            return session.dry_run(sql, parameters, report, watch)

    def _watch(self, report: Report) -> Watch:
        """A watch over a statement that a cursor is about to run."""
        seconds = self._settings.number("statement_timeout") or None
        return Watch(self._duck, lambda *what: self._gateway.call_later(*what), report, seconds)

    def _run(self, sql: str, parameters: Parameters, report: Report, watch: Watch) -> tuple[Result, str]:
        """Run a script for a cursor."""
        self._check_open()
        if self._stands_alone(sql, parameters) and (found := self._as_it_stands(sql)) is not None:
            return found, ""
        with self._told(report):
            return self._session.run(sql, parameters, report, watch)

    def _prepare(self, sql: str, parameters: Parameters) -> None:
        """Make what runs a script, which is no part of the time that the script takes."""
        self._check_open()
        if not self._stands_alone(sql, parameters):
            _ = self._session

    def _stands_alone(self, sql: str, parameters: Parameters) -> bool:
        """Whether nothing of ours stands in a text, and neither session nor database give its names a meaning."""
        return not (parameters or self._plans_all or "_session" in vars(self)) and stands_alone(sql)

    def _as_it_stands(self, sql: str) -> DuckResult | None:
        """The rows of a query that needs no planning, and so not what plans.

        None where DuckDB refuses it: then the session knows better, or says why in our words.
        """
        if self._unplanned is not None:
            self._unplanned.detach()
        try:
            self._duck.execute(sql)
        except duckdb.Error:
            return None
        except RuntimeError as e:
            raise interruption(e) from None
        self._unplanned = DuckResult(self._duck, _translated, lambda: None)
        return self._unplanned

    @cached_property
    def _session(self) -> Session:
        """What plans and runs statements."""
        if self._unplanned is not None:
            self._unplanned.detach()
        try:
            session = self._new_session()
        except RuntimeError as e:
            raise interruption(e) from None
        self._opened.callback(session.close)
        return session

    @cached_property
    def _gateway(self) -> Gateway:
        """What sends requests."""
        gateway = self._new_gateway()
        self._opened.callback(gateway.close)
        return gateway

    def _ask(self, confirm: Confirm, question: Question) -> bool:
        """Let a person answer, who may take their time."""
        with self._gateway.pausing():
            return confirm(question)

    def _detach(self) -> None:
        """Free DuckDB's connection of an earlier cursor's rows."""
        if self._unplanned is not None:
            self._unplanned.detach()
        if "_session" in vars(self):
            self._session.detach()

    def _told(self, report: Report) -> AbstractContextManager[None]:
        """Within the block, whoever wants to know is told how far a statement is."""
        began_at = time.monotonic()
        if self._progress is None:
            return nullcontext()
        return telling(self._progress, lambda over: self._gateway.progress(report, began_at, over=over))

    def _end(self, command: str) -> None:
        self._check_open()
        if self.in_transaction:
            self.execute(command)

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the connection is closed")


#: PEP 249's constructor.
connect = Connection


def _translated(error: duckdb.Error, sql: str = "") -> Error:
    """An error of DuckDB's as ours, behind a text that was not planned."""
    from provider.engine.failures import translate

    return translate(error, Text(sql, sql), None)


def _journal(path: str | os.PathLike[str]) -> Journal:
    """The journal of writes in a file."""
    from provider.engine.journal import Journal

    return Journal(path)


def _recorder(
    har: str | os.PathLike[str] | None, record: str | os.PathLike[str] | None, wire: Callable[[Entry], None] | None
) -> Recorder | None:
    """What is told of all that goes over the wire, None where nobody wants to know."""
    if har is None and record is None and wire is None:
        return None
    from provider.rest.cassette import LOGGED, WHOLE, Recorder
    from provider.rest.har import HarFile

    files = [HarFile(path, most) for path, most in ((har, LOGGED), (record, WHOLE)) if path is not None]
    return Recorder(files, wire)


def _cassette(
    replay: str | os.PathLike[str] | None, record: str | os.PathLike[str] | None, http_client: httpx.AsyncClient | None
) -> Cassette | None:
    """What answers instead of the network, None where the network does."""
    if replay is None:
        return None
    if http_client is not None:
        raise InterfaceError("replay and http_client exclude each other: what is replayed is not sent")
    if record is not None and os.path.exists(record) and os.path.samefile(replay, record):
        raise InterfaceError(f"{os.fspath(replay)} would be replayed and recorded at once")
    from provider.rest.cassette import Cassette

    return Cassette(replay)
