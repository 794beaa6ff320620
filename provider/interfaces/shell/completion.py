"""What may stand at the cursor, as far as the catalog and the local tables tell. Nothing is sent for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provider.catalog.catalog import Resource
from provider.catalog.loader import Catalog
from provider.errors import Error
from provider.interfaces.output import FORMATS
from provider.interfaces.shell.commands import COMMANDS, OPTIONS
from provider.interfaces.shell.keywords import KEYWORDS
from provider.sql.scanner import finished, is_open

#: The word at the cursor, and the one before it.
_HERE = re.compile(r"@{0,2}[\w.]*$")
_BEFORE = re.compile(r"(\w+)\s*$")
#: A resource in a statement, and what it is called there.
_NAMED = re.compile(r"\b(\w+)\.(\w+)\.(\w+)(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)
_LOCAL = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)
_EXEC = re.compile(r"\s*EXEC(?:UTE)?\s+(?:/\*.*?\*/\s*)?(\w+)\.(\w+)\.(\w+)\.(\w+)\b", re.IGNORECASE | re.DOTALL)
#: The words behind which a table's name stands.
_TABLES = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "DESCRIBE", "EXTENDED", "SUMMARIZE", "USING"})
_SCOPES = frozenset({"IN", "USE", "REFRESH"})
_SHOWN = ("PROVIDERS", "SERVICES IN", "RESOURCES IN", "METHODS IN", "INSERT INTO", "SETTINGS", "TABLES")

#: The local tables and views, with their columns.
Tables = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text for the cursor, in place of the last `replaced` characters; `shown` and `kind` are for the menu."""

    text: str
    replaced: int
    shown: str
    kind: str


def candidates(before: str, after: str, catalog: Catalog, tables: Tables) -> list[Candidate]:
    """What may stand between two texts, of which the first ends at the cursor."""
    if before.lstrip().startswith("\\"):
        return list(_of_command(before.lstrip(), catalog, tables))
    statement = before[finished(before) :]
    if is_open(statement):
        return []
    here = _HERE.search(statement)
    word = here[0] if here is not None else ""
    ahead = statement[: len(statement) - len(word)]
    found = _at(word, ahead, statement + after.partition(";")[0], catalog, tables)
    return _matching(word, found)


def _matching(word: str, found: Iterator[tuple[str, str]]) -> list[Candidate]:
    """The texts that a word begins, in the case in which keywords are typed; each once."""
    listed: dict[str, Candidate] = {}
    for text, kind in found:
        if text.lower().startswith(word.lower()) and text != word:
            if kind == "keyword" and word.islower():
                text = text.lower()
            shown = text.rstrip(".").rpartition(".")[2] or text
            listed.setdefault(text, Candidate(text, len(word), shown, kind))
    return list(listed.values())


def _at(word: str, ahead: str, statement: str, catalog: Catalog, tables: Tables) -> Iterator[tuple[str, str]]:
    """All texts, with their kinds, that may stand behind `ahead`; `statement` is what surrounds the cursor."""
    last = _BEFORE.search(ahead)
    previous = last[1].upper() if last is not None else ""
    if word.startswith("@"):
        yield from _arguments(statement, catalog)
    elif previous == "SHOW":
        yield from ((text, "keyword") for text in _SHOWN)
    elif previous in ("SET", "RESET") and ahead.split()[0].upper() == previous:
        from provider.engine.settings import SETTINGS

        yield from ((name, "setting") for name in SETTINGS)
    elif previous in ("EXEC", "EXECUTE") or re.search(r"\bEXEC\s*/\*[^*]*\*/\s*$", ahead, re.IGNORECASE):
        yield from _paths(word, catalog, methods=True)
    elif previous in _TABLES or previous in _SCOPES:
        yield from ((name, "table") for name in tables)
        yield from _paths(word, catalog)
    elif not ahead.strip():
        yield from ((text, "keyword") for text in sorted(KEYWORDS))
    else:
        yield from _columns(word, statement, catalog, tables)
        yield from ((text, "keyword") for text in sorted(KEYWORDS))
        yield from _paths(word, catalog)


def _paths(word: str, catalog: Catalog, *, methods: bool = False) -> Iterator[tuple[str, str]]:
    """The names of what is in the catalog, one step beyond the points of a word."""
    path = word.split(".")[:-1]
    with suppress(Error):  # a name that does not exist, or a manifest that cannot be read
        match path:
            case []:
                yield from ((f"{name}.", "provider") for name in catalog.providers)
            case [provider]:
                yield from ((f"{provider}.{name}.", "service") for name in catalog.services(provider))
            case [provider, service]:
                end = "." if methods else ""
                resources = catalog.service(provider, service).resources
                yield from ((f"{provider}.{service}.{name}{end}", "resource") for name in resources)
            case [provider, service, name] if methods:
                resource = catalog.resource(provider, service, name)
                yield from ((f"{word.rpartition('.')[0]}.{m.name}", m.verb) for m in resource.methods)


def _arguments(statement: str, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """The parameters of the method that a statement executes."""
    m = _EXEC.match(statement)
    with suppress(Error):
        method = catalog.resource(m[1], m[2], m[3]).method(m[4]) if m is not None else None
        for parameter in method.parameters if method is not None else ():
            yield f"@{parameter.name}=", f"{parameter.type}{', required' if parameter.required else ''}"
        if method is not None and any(p.location == "body" for p in method.parameters):
            yield "@@json=", "further members of the body"


def _columns(word: str, statement: str, catalog: Catalog, tables: Tables) -> Iterator[tuple[str, str]]:
    """The columns of the tables that a statement names; behind an alias and a point, those of that one."""
    owner, point, _ = word.rpartition(".")
    for names, columns in _sources(statement, catalog, tables):
        if not point:
            yield from columns
            yield from ((f"{name}.", "table") for name in names[:1])
        elif owner in names:
            yield from ((f"{owner}.{name}", kind) for name, kind in columns)


def _sources(statement: str, catalog: Catalog, tables: Tables) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """What each table of a statement is called, its alias first, and its columns with their kinds."""
    for m in _NAMED.finditer(statement):
        with suppress(Error):
            if catalog.has_provider(m[1]):
                resource = catalog.resource(m[1], m[2], m[3])
                yield [*_alias(m[4]), m[3]], _fields(resource)
    for m in _LOCAL.finditer(statement):
        if m[1] in tables:
            yield [*_alias(m[2]), m[1]], [(name, "column") for name in tables[m[1]]]


def _alias(name: str | None) -> list[str]:
    return [name] if name and name.upper() not in KEYWORDS else []


def _fields(resource: Resource) -> list[tuple[str, str]]:
    """The fields of a resource and the parameters that WHERE may name."""
    fields = [(f.name, str(f.type)) for f in resource.fields]
    known = {name for name, _ in fields}
    return fields + [
        (name, f"{p.type}, parameter") for name, p in resource.select_parameters().items() if name not in known
    ]


def _of_command(line: str, catalog: Catalog, tables: Tables) -> Iterator[Candidate]:
    """What may stand at the end of a backslash command."""
    name, blank, rest = line.partition(" ")
    if not blank:
        yield from (Candidate(c.name, len(line), c.name, c.help) for c in COMMANDS if c.name.startswith(line))
        return
    word = rest.rpartition(" ")[2]
    match name, rest.split(" ")[:-1]:
        case "\\d", []:
            yield from _matching(word, (pair for pair in [*_paths(word, catalog), *((t, "table") for t in tables)]))
        case "\\pset", []:
            yield from _matching(word, ((option, "") for option in OPTIONS))
        case "\\pset", ["format"]:
            yield from _matching(word, ((format_name, "") for format_name in FORMATS))
        case (("\\x" | "\\timing"), []):
            yield from _matching(word, ((switch, "") for switch in ("on", "off")))
        case "\\i", []:
            yield from _matching(word, _files(word))


def _files(word: str) -> Iterator[tuple[str, str]]:
    """The files and folders that a path may go on with."""
    head = word[: len(word) - len(word.rpartition("/")[2])]
    with suppress(OSError):
        for path in sorted(Path(head or ".").expanduser().iterdir()):
            yield f"{head}{path.name}{'/' if path.is_dir() else ''}", ""
