"""What a command line says of a connection: the options, their types, and the connection that they make."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from provider.interfaces.diagnostics import Diagnostics

if TYPE_CHECKING:
    from provider.engine.connection import Connection
    from provider.rest.tracing import Tracing

Command = TypeVar("Command", bound=Callable[..., Any])


class Pairs(click.ParamType[tuple[str, str]]):
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


class Parameter(Pairs):
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


class Account(click.ParamType[tuple[str, str, str]]):
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


def options(*listed: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator; help lists them in this order."""
    return lambda command: reduce(lambda made, option: option(made), reversed(listed), command)


_MANIFESTS = click.option(
    "--manifests",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Folder or file of manifests beside the bundled ones. Repeatable.",
)
_VERSIONS = click.option(
    "--api-version",
    "versions",
    multiple=True,
    type=Pairs("version", "NAME=VERSION"),
    help="API version of a provider or of provider.service. Repeatable.",
)

#: Which manifests there are.
catalog_options = options(_MANIFESTS, _VERSIONS)

#: Values for SQL text: `parameters`.
parameter_option = click.option(
    "-p",
    "--param",
    "parameters",
    multiple=True,
    type=Parameter("parameter", "NAME=VALUE"),
    help="Fill {{ NAME }} and $NAME. NAME=@FILE reads a file; @@ at the start is a plain @. Repeatable.",
)

#: What writes may do.
write_options = options(
    click.option(
        "--yes",
        is_flag=True,
        help="Allow UPDATE and DELETE without WHERE, and COMMIT of what cannot be undone, unasked.",
    ),
    click.option(
        "--max-writes",
        type=click.IntRange(min=0),
        default=100,
        show_default=True,
        metavar="N",
        help="Objects that one UPDATE or DELETE may change unasked.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(("stop", "continue")),
        default="stop",
        show_default=True,
        help="What a write does with the rows that are left when one fails.",
    ),
)

#: Where statements run, and what they ask.
connection_options = options(
    click.option("--database", default=":memory:", metavar="FILE", help="DuckDB file for tables and views."),
    _MANIFESTS,
    _VERSIONS,
    click.option(
        "--base-url",
        "base_urls",
        multiple=True,
        type=Pairs("base_url", "PROVIDER=URL"),
        help="Where a provider answers. Repeatable.",
    ),
    click.option(
        "--account",
        "accounts",
        multiple=True,
        type=Account(),
        help="An account of a provider, whose variables are those of the environment that begin with PREFIX "
        "(default: the name, as in WORK_). Repeatable.",
    ),
    click.option(
        "--allow-plain-http", is_flag=True, help="Permit http:// to other machines; credentials travel in clear."
    ),
    click.option(
        "--cache",
        default="off",
        show_default=True,
        metavar="TIME",
        help="How long an answer may be used again, such as 5m; on is as long as manifests say.",
    ),
    click.option(
        "--max-concurrency",
        type=click.IntRange(min=1),
        default=16,
        show_default=True,
        help="Requests in flight, per provider.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="Wait for an answer to begin, and between two parts of it.",
    ),
    click.option("-v", "--verbose", count=True, help="Show each request on stderr; -vv: with its headers."),
    click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks on stderr, only warnings and errors."),
    click.option(
        "--har",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Write requests and answers to a HAR file, without credentials and with the first MiB of each body.",
    ),
    click.option(
        "--record",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Write a HAR file with whole bodies, for --replay.",
    ),
    click.option(
        "--replay",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="Let a recording answer; nothing is sent, and no credentials are needed.",
    ),
)


def connect(
    diagnostics: Diagnostics,
    *,
    yes: bool,
    max_writes: int,
    on_error: Literal["stop", "continue"],
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
    resume: str | None = None,
) -> Connection:
    """The connection that `write_options` and `connection_options` ask for; it tells `diagnostics` what happens.

    Raises:
        Error: as `provider.connect`.
    """
    import provider

    diagnostics.quiet = quiet
    return provider.connect(
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
        confirm=diagnostics.confirm if diagnostics.can_ask else None,
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
