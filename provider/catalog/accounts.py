"""Named accounts of providers: which variables each of them sets for itself, or has in the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from provider.catalog.loader import Catalog
from provider.errors import BindError, InterfaceError, did_you_mean

#: Variables by provider and account's name.
Accounts = Mapping[str, Mapping[str, Mapping[str, str]]]

#: Also a part of a file's name.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", re.ASCII)


def check(accounts: Accounts, catalog: Catalog) -> None:
    """Refuse accounts that could not be meant.

    Raises:
        BindError: no such provider.
        InterfaceError: a name that is none, or a variable that the provider's manifest does not name.
    """
    for provider, named in accounts.items():
        if not catalog.has_provider(provider):
            raise BindError(f'no provider "{provider}" for accounts', remedy=did_you_mean(provider, catalog.providers))
        known = _variables(provider, catalog)
        for account, variables in named.items():
            if not _NAME.fullmatch(account):
                raise InterfaceError(
                    f'"{account}" is no name for an account of {provider}',
                    remedy="A name has letters, digits, and . _ @ + - behind the first of them.",
                )
            for variable in variables:
                if variable not in known:
                    raise InterfaceError(
                        f'{provider} has no variable "{variable}", which its account {account} sets',
                        remedy=did_you_mean(variable, known),
                    )


def prefix_of(account: str) -> str:
    """What an account's variables begin with in an environment, unless somebody says otherwise: WORK_ of work."""
    return re.sub(r"[^A-Z0-9]", "_", account.upper()) + "_"


def from_environment(
    named: Iterable[tuple[str, str, str]], environ: Mapping[str, str], catalog: Catalog
) -> dict[str, dict[str, dict[str, str]]]:
    """Accounts whose variables stand in an environment behind prefixes of their own.

    Args:
        named: provider, account's name and prefix: with `WORK_`, OPENAI_API_KEY is what WORK_OPENAI_API_KEY says.

    Raises:
        BindError: no such provider.
        InterfaceError: an account that comes twice, or of which the environment has no variable.
    """
    accounts: dict[str, dict[str, dict[str, str]]] = {}
    for provider, account, prefix in named:
        if not catalog.has_provider(provider):
            raise BindError(f'no provider "{provider}" for accounts', remedy=did_you_mean(provider, catalog.providers))
        known = _variables(provider, catalog)
        found = {name: environ[prefix + name] for name in known if prefix + name in environ}
        if not found:
            raise InterfaceError(
                f"the account {account} of {provider} has no variable in the environment",
                remedy=f"Set one of {', '.join(prefix + name for name in known)}.",
            )
        if account in accounts.setdefault(provider, {}):
            raise InterfaceError(f"{provider} has two accounts of the name {account}")
        accounts[provider][account] = found
    return accounts


def _variables(provider: str, catalog: Catalog) -> list[str]:
    """The variables that a provider's manifest names, in all the ways that their values may be given."""
    from provider.catalog.credentials import variables

    found = catalog.provider(provider)
    secrets = list(variables(found.auth))
    if found.client_certificate is not None:
        secrets += variables(found.client_certificate)
    plain = [*found.env_headers.values(), *([found.base_url.env] if found.base_url.env else [])]
    return [*(n + suffix for n in secrets for suffix in ("", "_FILE", "_COMMAND")), *plain]
