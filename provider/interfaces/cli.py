"""The command `apiql`. Options become arguments here; the work is done elsewhere, and imported when needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provider import __version__
from provider.interfaces import output
from provider.interfaces.connecting import catalog_options
from provider.interfaces.diagnostics import Diagnostics
from provider.interfaces.journal import journal
from provider.interfaces.login import login
from provider.interfaces.query import query
from provider.interfaces.shell.command import shell

if TYPE_CHECKING:
    from provider.catalog.loader import Catalog

pass_diagnostics = click.make_pass_decorator(Diagnostics)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `apiql` with these arguments (default: those of the process), and end the process."""
    # DuckDB imports pandas, where it is installed, with the first parameter of a process: half a second and 100 MB for
    # what no command uses.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    if sys.stdin is not None:  # it may be closed
        sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]
    diagnostics = Diagnostics(sys.stderr, os.environ, sys.stdin)
    sys.exit(
        diagnostics.exit_code(lambda: cli.main(arguments, prog_name="apiql", obj=diagnostics, standalone_mode=False))
    )


class _Commands(click.Group):
    """The commands, of which the shell is meant where an option of its own stands in place of a name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, ["shell", *args] if args[0].startswith("-") else args)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True},
)
@click.version_option(__version__, message="apiql %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """SQL for REST APIs.

    Without a command, or with options of `apiql shell`, it is the interactive shell.
    Data goes to stdout, everything else to stderr.

    \b
    Exit codes: 0 done, 1 error, 2 usage, 4 stopped by a guard,
    5 partly done, 130 interrupted.
    """
    ctx.ensure_object(Diagnostics).debug = debug
    if ctx.invoked_subcommand is None:
        ctx.invoke(shell)


cli.add_command(query)
cli.add_command(shell)


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
    from provider.errors import Error

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
@catalog_options
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
