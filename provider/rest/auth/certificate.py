"""The certificate by which a provider knows its caller (mutual TLS)."""

from __future__ import annotations

from collections.abc import Mapping

from provider.catalog.credentials import ClientCertificate
from provider.errors import InterfaceError
from provider.rest.transport import Certificate


def certificate_of(model: ClientCertificate | None, owner: str, environ: Mapping[str, str]) -> Certificate | None:
    """The client certificate of an account, None where the provider asks for none.

    Args:
        owner: whose it is, for messages.

    Raises:
        InterfaceError: a variable of the manifest is not set.
    """
    if model is None:
        return None
    for name in (model.certificate_env, model.key_env):
        if name is not None and not environ.get(name):
            raise InterfaceError(
                f"no client certificate for {owner}: {name} is not set",
                remedy=f"export {name}=PATH, the path of a PEM file",
            )
    password = environ.get(model.password_env) if model.password_env else None
    return Certificate(environ[model.certificate_env], environ[model.key_env] if model.key_env else None, password)
