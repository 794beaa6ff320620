"""YAML with positions: safe loading that can say where in the file each value stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from provider.errors import ManifestError, Place

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: A document larger than this after aliases are followed is an attack or a mistake.
_MAX_NODES = 500_000
_MAX_DEPTH = 50
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


class _Core(_Loader):  # type: ignore[misc, valid-type]
    """YAML 1.2's core scalars: `no`, `on`, `=`, `1:30` and `007` are text, as people expect."""


_Core.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag.rsplit(":", 1)[1] in ("null", "merge")]
    for first, rules in _Loader.yaml_implicit_resolvers.items()
}
for _tag, _regexp, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_regexp), list(_first))

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its data, and the place of each key and element in its file."""

    file: str
    text: str
    data: dict[str, Any]
    _keys: dict[Keys, tuple[int, int]] = field(repr=False)
    _scalars: dict[Keys, tuple[int, int]] = field(repr=False)

    def place(self, keys: Keys) -> Place:
        """The place of the last of `keys`, or of its nearest parent that stands in the file."""
        while keys and keys not in self._keys:
            keys = keys[:-1]
        return Place(self.text, *self._keys[keys], self.file)

    def value_place(self, keys: Keys) -> Place:
        """The place of the single value at `keys`; where there is none, that of the key."""
        return Place(self.text, *self._scalars[keys], self.file) if keys in self._scalars else self.place(keys)


def documents(text: str, file: str) -> list[Document]:
    """All documents of a YAML text.

    Raises:
        ManifestError: no YAML, a duplicate key, too many aliases, or a document that is no mapping.
    """
    found = []
    try:
        _refuse_depth(text, file)
        loader = _Core(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                walk = _Walk(text, file)
                walk.visit(node, ())
                data = loader.construct_document(node)
                if data is None:
                    continue
                if not isinstance(data, dict):
                    raise ManifestError(
                        "a manifest document is a mapping of keys", place=Place(text, *_span(node), file)
                    )
                found.append(Document(file, text, data, walk.keys, walk.scalars))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        at = mark.index if mark else 0
        raise ManifestError(f"not YAML: {e.problem or e.context}", place=Place(text, at, at + 1, file)) from None
    except yaml.YAMLError as e:
        raise ManifestError(f"not YAML: {e}", place=Place(text, 0, 1, file)) from None
    return found


def _span(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index


def _refuse_depth(text: str, file: str) -> None:
    """Refuse deep nesting before libyaml composes nodes: it recurses in C and takes the process down."""
    depth = 0
    for event in yaml.parse(text, Loader=_Core):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            at = event.start_mark.index if event.start_mark else 0
            raise _too_deep(Place(text, at, at + 1, file))


def _too_deep(place: Place) -> ManifestError:
    return ManifestError(f"nested deeper than {_MAX_DEPTH} levels", place=place)


class _Walk:
    """Follows aliases through one document and notes where keys and values stand.

    It refuses duplicate keys (PyYAML keeps the last in silence), keys that are no text, and alias bombs.
    """

    def __init__(self, text: str, file: str) -> None:
        self.keys: dict[Keys, tuple[int, int]] = {}
        self.scalars: dict[Keys, tuple[int, int]] = {}
        self._text = text
        self._file = file
        self._count = 0

    def visit(self, node: yaml.Node, keys: Keys, depth: int = 0) -> None:
        self._count += 1
        if depth > _MAX_DEPTH:
            raise _too_deep(self._place(node))
        if self._count > _MAX_NODES:
            raise ManifestError(f"more than {_MAX_NODES:,} values after aliases are followed", place=self._place(node))
        self.keys.setdefault(keys, _span(node))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, keys, depth)
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                self.visit(value, (*keys, i), depth + 1)
        else:
            self.scalars[keys] = _span(node)

    def _mapping(self, node: yaml.MappingNode, keys: Keys, depth: int) -> None:
        # What `<<` brings in goes first, so that the own keys have the last word on where they stand.
        for key, value in node.value:
            if key.tag == _MERGE:
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self.visit(merged, keys, depth + 1)
        seen = set()
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            if key.tag != _TEXT:
                raise ManifestError("a key is text; put it in quotes", place=self._place(key))
            if key.value in seen:
                raise ManifestError(f'the key "{key.value}" stands here twice', place=self._place(key))
            seen.add(key.value)
            self.keys[(*keys, key.value)] = _span(key)
            self.visit(value, (*keys, key.value), depth + 1)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._text, *_span(node), self._file)
