"""The command `apiql`. Options become arguments here; the work is done elsewhere, and imported when needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TextIO, TypeVar

import click

from provider import __version__
from provider.errors import Error
from provider.interfaces import output
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.journal import journal
from provider.interfaces.login import login

if TYPE_CHECKING:
    from provider.catalog.loader import Catalog
    from provider.engine.connection import Connection
    from provider.engine.cursor import Cursor
    from provider.interfaces.render import Column, Row, Style, Write
    from provider.rest.tracing import Tracing

_Command = TypeVar("_Command", bound=Callable[..., Any])

pass_diagnostics = click.make_pass_decorator(Diagnostics)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `apiql` with these arguments (default: those of the process), and end the process."""
    if sys.stdin is not None:  # it may be closed
        sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    diagnostics = Diagnostics(sys.stderr, os.environ)
    sys.exit(
        diagnostics.exit_code(lambda: cli.main(arguments, prog_name="apiql", obj=diagnostics, standalone_mode=False))
    )


class _Pairs(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    def __init__(self, name: str, metavar: str) -> None:
        self.name = name
        self._metavar = metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return self._metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, rest = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not {self._metavar}", param, ctx)
        return name, rest


class _Parameter(_Pairs):
    """NAME=VALUE, where @FILE stands for the text of a file and @@ for a plain @."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, text = super().convert(value, param, ctx)
        if text.startswith("@@"):
            return name, text[1:]
        if text.startswith("@"):
            try:
                return name, Path(text[1:]).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as e:
                self.fail(f"cannot read {text[1:]}: {e}", param, ctx)
        return name, text


class _Account(click.ParamType[tuple[str, str, str]]):
    """PROVIDER.NAME[=PREFIX], as provider, name and prefix."""

    name = "account"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "PROVIDER.NAME[=PREFIX]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str, str]:
        from provider.catalog.accounts import prefix_of

        named, equals, prefix = str(value).partition("=")
        provider, _, account = named.partition(".")
        if not provider or not account or (equals and not prefix):
            self.fail(f"{value!r} is not PROVIDER.NAME or PROVIDER.NAME=PREFIX", param, ctx)
        return provider, account, prefix or prefix_of(account)


def _catalog_options(command: _Command) -> _Command:
    """The options that say which manifests there are."""
    manifests = click.option(
        "--manifests",
        multiple=True,
        type=click.Path(exists=True, path_type=Path),
        metavar="PATH",
        help="Folder or file of manifests beside the bundled ones. Repeatable.",
    )
    versions = click.option(
        "--api-version",
        "versions",
        multiple=True,
        type=_Pairs("version", "NAME=VERSION"),
        help="API version of a provider or of provider.service. Repeatable.",
    )
    return manifests(versions(command))


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="apiql %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """SQL for REST APIs.

    Data goes to stdout, everything else to stderr.

    \b
    Exit codes: 0 done, 1 error, 2 usage, 4 stopped by a guard,
    5 partly done, 130 interrupted.
    """
    ctx.ensure_object(Diagnostics).debug = debug
    if ctx.invoked_subcommand is None:
        with output.stdout() as write:
            write(ctx.get_help() + "\n")


@cli.command()
@click.argument("sql", required=False)
@click.option("-f", "--file", "script", type=click.File(encoding="utf-8"), help="Read the SQL from a file; - is stdin.")
@output.format_option
@click.option(
    "-p",
    "--param",
    "parameters",
    multiple=True,
    type=_Parameter("parameter", "NAME=VALUE"),
    help="Fill {{ NAME }} and $NAME. NAME=@FILE reads a file; @@ at the start is a plain @. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and the requests of writes; write nothing.")
@click.option("--yes", is_flag=True, help="Allow UPDATE and DELETE without WHERE, and COMMIT of what cannot be undone.")
@click.option(
    "--max-writes",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Objects that one UPDATE or DELETE may change.",
)
@click.option(
    "--on-error",
    type=click.Choice(("stop", "continue")),
    default="stop",
    show_default=True,
    help="What a write does with the rows that are left when one fails.",
)
@click.option(
    "--resume",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep a journal of writes, and leave out what it calls done.",
)
@click.option(
    "--last-writes",
    type=click.File("w", encoding="utf-8", lazy=False),
    metavar="FILE",
    help="Write apiql.last_writes to a CSV file at the end, also after an error: what became of each row.",
)
@click.option("--database", default=":memory:", metavar="FILE", help="DuckDB file for tables and views.")
@_catalog_options
@click.option(
    "--base-url",
    "base_urls",
    multiple=True,
    type=_Pairs("base_url", "PROVIDER=URL"),
    help="Where a provider answers. Repeatable.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    type=_Account(),
    help="An account of a provider, whose variables are those of the environment that begin with PREFIX "
    "(default: the name, as in WORK_). Repeatable.",
)
@click.option("--allow-plain-http", is_flag=True, help="Permit http:// to other machines; credentials travel in clear.")
@click.option(
    "--cache",
    default="off",
    show_default=True,
    metavar="TIME",
    help="How long an answer may be used again, such as 5m; on is as long as manifests say.",
)
@click.option(
    "--max-concurrency",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Requests in flight, per provider.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait for an answer to begin, and between two parts of it.",
)
@click.option("-v", "--verbose", count=True, help="Show each request on stderr; -vv: with its headers.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks on stderr, only warnings and errors.")
@click.option(
    "--har",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write requests and answers to a HAR file, without credentials and with the first MiB of each body.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a HAR file with whole bodies, for --replay.",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Let a recording answer; nothing is sent, and no credentials are needed.",
)
@click.option("--no-header", is_flag=True, help="No line of names: csv and table.")
@click.option("--null", metavar="TEXT", help="What stands for NULL: csv (nothing), table and markdown (NULL).")
@click.option(
    "--max-width",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Cut longer values of a table; 0 does not. Default: {output.TERMINAL_WIDTH} on a terminal, otherwise 0.",
)
@pass_diagnostics
def query(
    diagnostics: Diagnostics,
    sql: str | None,
    script: Any,
    format_name: str,
    parameters: tuple[tuple[str, str], ...],
    dry_run: bool,
    yes: bool,
    max_writes: int,
    on_error: Literal["stop", "continue"],
    resume: str | None,
    last_writes: TextIO | None,
    database: str,
    manifests: tuple[Path, ...],
    versions: tuple[tuple[str, str], ...],
    base_urls: tuple[tuple[str, str], ...],
    accounts: tuple[tuple[str, str, str], ...],
    allow_plain_http: bool,
    cache: str,
    max_concurrency: int,
    timeout: float,
    verbose: int,
    quiet: bool,
    har: str | None,
    record: str | None,
    replay: str | None,
    no_header: bool,
    null: str | None,
    max_width: int | None,
) -> None:
    """Run SQL and print the rows.

    SQL is one statement or several, divided by semicolons and run in order; - reads it from stdin. The first
    statement that fails ends the script.
    """
    if (sql is None) == (script is None):
        raise click.UsageError("give the SQL, or -f FILE")
    try:
        text = script.read() if script is not None else sys.stdin.read() if sql == "-" else str(sql)
    except UnicodeDecodeError as e:
        raise click.UsageError(f"the SQL is not UTF-8: {e}") from None

    import provider
    from provider.interfaces.render import Style
    from provider.sql.scanner import fill, spans

    diagnostics.quiet = quiet
    values = dict(parameters)
    width = 0
    if max_width is None:
        max_width, width = output.widths()
    style = Style(header=not no_header, null=null, max_width=max_width, width=width)
    script = fill(text, values)
    # Line ends in front of a statement keep its lines' numbers in the script.
    found = ["\n" * script.count("\n", 0, start) + script[start:end] for start, end in spans(script)]
    if not found:
        raise click.UsageError("there is no statement")
    connection = provider.connect(
        database,
        manifests=manifests,
        base_urls=dict(base_urls),
        versions=dict(versions),
        accounts=_accounts(accounts, manifests),
        allow_plain_http=allow_plain_http,
        cache=cache,
        max_concurrency=max_concurrency,
        timeout=timeout,
        max_writes=max_writes,
        unfiltered_writes=yes,
        irreversible_writes=yes,
        on_error=on_error,
        resume=resume,
        progress=diagnostics.progress if diagnostics.shows_progress else None,
        waiting=diagnostics.waiting,
        trace=diagnostics.exchange if verbose else None,
        wire=diagnostics.wire if verbose > 1 else None,
        tracing=_tracing(),
        har=har,
        record=record,
        replay=replay,
    )
    with connection, output.stdout() as write:
        session = _Session(connection, diagnostics, write, format_name, style, keeps=last_writes is None)
        try:
            for number, statement in enumerate(found, 1):
                try:
                    if dry_run:
                        session.preview(statement, values)
                    else:
                        session.run(statement, values)
                except provider.Error:
                    if len(found) > 1:
                        diagnostics.note(f"statement {number} of {len(found)} failed:")
                    raise
        finally:
            session.end()
            if last_writes is not None:
                session.account(last_writes)


def _tracing() -> Tracing | None:
    """What makes spans where OpenTelemetry is set up in this process already, as `opentelemetry-instrument` does."""
    trace = sys.modules.get("opentelemetry.trace")
    is_set_up = trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    if not is_set_up:
        return None
    import provider

    return provider.Tracing()


def _accounts(named: Sequence[tuple[str, str, str]], manifests: Sequence[Path]) -> dict[str, dict[str, dict[str, str]]]:
    """The accounts that options name, with their variables of the environment."""
    if not named:
        return {}
    from provider.catalog.accounts import from_environment
    from provider.catalog.loader import Catalog

    return from_environment(named, os.environ, Catalog(manifests))


class _Session:
    """Runs statements and prints what they give.

    Args:
        keeps: whether a way back that is too long for an error is kept in a file, since nothing else keeps it.
    """

    def __init__(
        self,
        connection: Connection,
        diagnostics: Diagnostics,
        write: Write,
        format_name: str,
        style: Style,
        *,
        keeps: bool,
    ) -> None:
        from provider.interfaces import render

        self._connection = connection
        self._diagnostics = diagnostics
        self._write = write
        self._render = render.FORMATS[format_name]
        self._is_for_people = format_name == "table"
        # Tables of several statements are divided for the eye; formats for machines have nothing between them.
        self._gap = "\n" if format_name in ("table", "markdown") else ""
        self._style = style
        self._keeps = keeps
        self._printed = False

    def preview(self, statement: str, values: Mapping[str, str]) -> None:
        self._divide()
        self._write(self._connection.dry_run(statement, values).rstrip("\n") + "\n")

    def run(self, statement: str, values: Mapping[str, str]) -> None:
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement, values)
        except Error as error:
            self._keep(error, cursor)
            raise
        if cursor.description is None:
            self._diagnostics.note(cursor.message)
            return
        self._divide()
        if cursor.is_text:
            self._print_text(cursor)
        elif cursor.is_lines and self._is_for_people:
            self._print_lines(cursor)
        else:
            self._print(cursor)

    def end(self) -> None:
        """Give up a transaction that the script did not end."""
        if self._connection.in_transaction:
            message = self._connection.execute("ROLLBACK").message
            self._diagnostics.warning(f"the script ended within a transaction: {message}")

    def account(self, file: IO[str]) -> None:
        """Write down what became of each row of the last write."""
        from provider.interfaces.render import Style, csv

        cursor = self._connection.execute("SELECT * FROM apiql.last_writes")
        csv(_columns(cursor), _batches(cursor), file.write, Style())
        file.flush()

    def _keep(self, error: Error, cursor: Cursor) -> None:
        """Put the way back into a file where the error has only a part of it: the tables end with the command."""
        from tempfile import NamedTemporaryFile

        from provider.engine.undoing import LISTED

        if self._keeps and sum(1 for row in cursor.report.writes if row.inverse is not None) > LISTED:
            with NamedTemporaryFile(
                "w", encoding="utf-8", prefix="apiql-last-writes-", suffix=".csv", delete=False
            ) as file:
                self.account(file)
            error.remedy += f"\nFor this command it is kept in {file.name}"

    def _print_text(self, cursor: Cursor) -> None:
        """A text in pieces, as it comes; and what became of the operation that wrote it."""
        end = ""
        try:
            for rows in _batches(cursor):
                text = "".join(piece for (piece,) in rows)
                self._write(text)
                end = text[-1:] or end
        finally:
            if end not in ("", "\n"):
                self._write("\n")
            output.flush()
        self._diagnostics.note(cursor.message)

    def _print_lines(self, cursor: Cursor) -> None:
        """A plan or a statement, whole: to be read, or copied, without a box."""
        for rows in _batches(cursor):
            self._write("".join(f"{str(row[-1]).rstrip()}\n" for row in rows))

    def _print(self, cursor: Cursor) -> None:
        written = self._render(_columns(cursor), _batches(cursor), self._write, self._style)
        requests = cursor.report.requests
        sent = f", {_count(requests, 'request')}" if requests else ""
        gap = "\n" if "\n" in cursor.message else " "
        done = cursor.message + gap if cursor.message else ""
        self._diagnostics.note(f"{done}({_count(written.rows, 'row')}{sent})")
        if written.cut:
            fitted = f" or to fit {self._style.width} columns" if self._style.width else ""
            self._diagnostics.note(
                f"{_count(written.cut, 'value')} cut at {self._style.max_width} characters{fitted};"
                " --max-width 0 shows all"
            )
        for scan in cursor.report.scans:
            for field, count in scan.bad_values.items():
                self._diagnostics.warning(f"{_count(count, 'value')} of {scan.resource}.{field} did not fit: NULL")
        if cursor.report.truncated:
            ended = "; ".join(f"{s.resource}: {s.ended}" for s in cursor.report.scans if s.ended != "complete")
            one_page = "EXEC gives one page of a list, and there are more; SELECT reads them all"
            why = f"a limit ended the reading ({ended})" if ended else one_page
            self._diagnostics.warning(f"rows are missing: {why}")

    def _divide(self) -> None:
        if self._printed:
            self._write(self._gap)
        self._printed = True


def _columns(cursor: Cursor) -> list[Column]:
    from provider.interfaces.render import Column

    return [Column(d[0], d[1]) for d in cursor.description or ()]


def _batches(cursor: Cursor) -> Iterator[list[Row]]:
    """The rows in batches, of which there is at least one; what is written is seen while the next one is waited for."""
    from provider.interfaces.render import BATCH

    output.flush()
    yield cursor.fetchmany(BATCH)
    output.flush()
    while rows := cursor.fetchmany(BATCH):
        yield rows
        output.flush()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8089, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep objects here, not in memory.",
)
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Added to each answer.",
)
@click.option(
    "--fail-rate",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of requests that are answered 500, 0 to 1.",
)
@click.option("--rate-limit", type=click.IntRange(min=1), metavar="N", help="Requests per minute before 429.")
def emulator(**options: Any) -> None:
    """Run a local server that speaks the Assistants API.

    It needs no key and no network. Latency, failures and a rate limit are for practice.
    """
    from provider.emulator import serve

    serve(**options)


@cli.command()
def demo() -> None:
    """A guided tour against an emulator of its own; needs no key."""
    from provider.interfaces.demo import tour

    with output.stdout() as write:
        tour(write)


cli.add_command(login)
cli.add_command(journal)


@cli.group()
def manifest() -> None:
    """Read, check and document manifests."""


@manifest.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@pass_diagnostics
def check(diagnostics: Diagnostics, paths: tuple[Path, ...]) -> None:
    """Load manifests completely, and list the resources in them.

    PATH is a folder of providers, one provider's folder, or a file. Mistakes are told on stderr, for all paths.
    """
    from provider.catalog import loader

    failure: Error | None = None
    with output.stdout() as write:
        for path in paths:
            try:
                write("".join(f"{name}\n" for name in loader.check(path)))
            except Error as error:
                if failure is not None:
                    diagnostics.error(failure)
                failure = error
    if failure is not None:
        raise failure


@manifest.command()
@click.argument("name", required=False)
@_catalog_options
def docs(name: str | None, manifests: tuple[Path, ...], versions: tuple[tuple[str, str], ...]) -> None:
    """Print the documentation of a resource as Markdown.

    NAME is provider.service.resource. Of a service its resources are listed, of a provider its services, and
    without a NAME all providers.
    """
    from provider.catalog.loader import Catalog
    from provider.interfaces.page import document

    catalog: Catalog = Catalog(manifests, dict(versions))
    with output.stdout() as write:
        write(document(catalog, name))


@manifest.command()
def schema() -> None:
    """Print the JSON Schema of a manifest document, for editors."""
    import json

    from provider.catalog.manifest import json_schema

    with output.stdout() as write:
        write(json.dumps(json_schema(), indent=2) + "\n")
