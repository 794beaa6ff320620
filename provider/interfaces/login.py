"""`apiql login`: a person grants access in a browser, or with a code on another device."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provider.interfaces.diagnostics import Diagnostics

if TYPE_CHECKING:
    from provider.catalog.catalog import Provider
    from provider.rest.auth.token import Prompt

#: The largest answer of a token endpoint, in bytes.
_MOST = 2**20


@click.command()
@click.argument("name", metavar="PROVIDER")
@click.option("--account", default="", metavar="NAME", help="One of several accounts of the provider.")
@click.option("--device", is_flag=True, help="Show a code to type on another device; no browser is needed here.")
@click.option(
    "--manifests",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Folder or file of manifests beside the bundled ones. Repeatable.",
)
@click.make_pass_decorator(Diagnostics)
def login(diagnostics: Diagnostics, name: str, account: str, device: bool, manifests: tuple[Path, ...]) -> None:
    """Log in to a provider as a person, in the browser.

    What the provider hands out is kept in a file that only you can read, and renewed from there.
    """
    from provider.catalog.loader import Catalog

    file = log_in(Catalog(manifests).provider(name), account, diagnostics.note, by_device=device)
    diagnostics.note(f"logged in to {name}; the token is in {file}")


def log_in(provider: Provider, account: str, note: Callable[[str], None], *, by_device: bool) -> Path:
    """Get a person's access and keep it; returns the token file. Raises as `provider.rest.auth.login.log_in`.

    Args:
        account: the account's name, '' for the provider's only one.
        note: tells the person something.
    """
    import asyncio
    import threading
    import webbrowser

    from provider.rest.auth import login
    from provider.rest.auth.certificate import certificate_of
    from provider.rest.auth.lookup import Lookup
    from provider.rest.auth.tokenfile import TokenFile, place
    from provider.rest.transport import Limits, Transport

    def show(prompt: Prompt) -> None:
        note(f"Open {prompt.url}" + (f"\nand type the code {prompt.code}" if prompt.code else ""))
        if not by_device:
            # A browser in the terminal would not return before it is left.
            threading.Thread(target=webbrowser.open, args=(prompt.url,), daemon=True).start()

    owner = f"{provider.name}/{account}" if account else provider.name
    lookup = Lookup(os.environ)
    base_url = os.environ.get(provider.base_url.env or "") or provider.base_url.default
    file = place(owner, lookup.text(f"{getattr(provider.auth, 'env', '')}_FILE"), os.environ)

    async def run() -> None:
        certificate = certificate_of(provider.client_certificate, owner, os.environ)
        transport = Transport(max_connections=1, limits=Limits(_MOST, _MOST), certificate=certificate)
        try:
            await login.log_in(
                provider, owner, lookup, TokenFile(file), base_url, transport.send, show, by_device=by_device
            )
        finally:
            await transport.aclose()

    asyncio.run(run())
    return file
