"""Long lists behind IN, read in one go: what sqlglot spends on thousands of values is more than what follows costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from sqlglot import exp

#: A list of fewer values is left to sqlglot.
LONG = 32
_VALUE = r"(?:'(?:[^']|'')*+'|\d++(?![\w.])|\$[A-Za-z_]\w*+)"
_VALUES = re.compile(_VALUE)
#: Strings, names and comments are passed over. Each repetition is possessive, so that no text takes longer than its
#: length says.
_LIST = re.compile(
    rf"""
      [eE]'(?:\\.|''|[^'\\])*+' | '(?:''|[^'])*+' | "(?:""|[^"])*+" | --[^\n]* | /\*.*?\*/
    | \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$
    | \bIN\s*+\(\s*+(?P<values>{_VALUE}(?:\s*+,\s*+{_VALUE}){{{LONG - 1},}}+)\s*+\)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a list; a copy of a tree has the same ones, since nobody changes them."""

    nodes: tuple[exp.Expr, ...]

    def __deepcopy__(self, memo: object) -> Self:
        return self


def shortened(sql: str) -> tuple[str, tuple[str, ...]]:
    """A text of the same length and lines with one string in place of each long list of plain values.

    Returns:
        The text, and the lists that no longer stand in it. Plain values are strings, whole numbers and parameters.
    """
    # A string, since that is all that sqlglot's tokenizer does not read character by character.
    if len(sql) < 3 * LONG:
        return sql, ()
    pieces, at = [], 0
    lists: list[str] = []
    for m in _LIST.finditer(sql):
        if m["values"]:
            pieces += [sql[at : m.start("values")], f"'{_stand_in(len(lists), m['values'])}'"]
            lists.append(m["values"])
            at = m.end("values")
    return "".join([*pieces, sql[at:]]), tuple(lists)


def _stand_in(number: int, values: str) -> str:
    """The content of the string in place of a list."""
    return f"{number:<6}" + re.sub(r"[^\n]", " ", values[7:-1])


def restore(tree: exp.Expr, lists: tuple[str, ...]) -> bool:
    """Give the IN of a shortened text its lists: one node each, which is written as the list and has its `values`.

    Returns:
        False where a list is not what IN looks into, as in PIVOT; then the whole text has to be parsed.
    """
    if tree.find(exp.Pivot) is not None:
        return False
    strings = list(tree.find_all(exp.Literal))
    for number, text in enumerate(lists):
        content = _stand_in(number, text)
        found = [s for s in strings if s.this == content]
        if len(found) != 1 or not isinstance(found[0].parent, exp.In) or found[0].arg_key != "expressions":
            return False
        values = _VALUES.findall(text)
        node = exp.Var(this=", ".join(values))
        node.meta["values"] = _Values(tuple(map(_value, values)))
        found[0].replace(node)
    return True


def _value(text: str) -> exp.Expr:
    if text[0] == "'":
        return exp.Literal.string(text[1:-1].replace("''", "'"))
    return exp.Placeholder(this=text[1:]) if text[0] == "$" else exp.Literal.number(text)


def listed_values(test: exp.In) -> list[exp.Expr]:
    """The values between the parentheses of IN."""
    found: list[exp.Expr] = []
    for node in test.expressions:
        whole = node.meta.get("values") if isinstance(node, exp.Var) else None
        found += whole.nodes if isinstance(whole, _Values) else [node]
    return found


def parameters(tree: exp.Expr) -> Iterator[str]:
    """The names of the parameters that stand in a tree, also in its long lists."""
    for node in tree.find_all(exp.Placeholder, exp.Var):
        whole = node.meta.get("values") if isinstance(node, exp.Var) else None
        nodes = whole.nodes if isinstance(whole, _Values) else (node,)
        yield from (str(n.this) for n in nodes if isinstance(n, exp.Placeholder) and n.this)
