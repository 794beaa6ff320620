"""StackQL's functions as DuckDB macros: what SQLite and StackQL's extensions to it have, and DuckDB has not.

They are temporary, so that none lands in the user's file, and a statement pays for those that it names. Their
meaning is SQLite's (https://sqlite.org/lang_datefunc.html, https://sqlite.org/lang_corefunc.html,
https://sqlite.org/json1.html); the tests compare them with SQLite itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import duckdb

from provider.sql.dialect import PREFIX, names_any

_NAME = re.compile(rf"\b{PREFIX}\w+")
#: What 'now' is: the same in each part of a statement, or a request and the check of its rows would disagree.
_NOW = f"{PREFIX}now"
#: Statements that bring functions or views from elsewhere.
_BRINGS = re.compile(r"\b(?:ATTACH|IMPORT|MACRO|FUNCTION)\b", re.IGNORECASE)

_CALL = re.compile(r"\w\s*\(")

_TEXT = "CAST({} AS VARCHAR)"
_NUMBER = r"'^\s*[+-]?\d+(\.\d+)?\s*$'"
_DATED = r"'^\s*\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?\s*(Z|[+-]\d\d:\d\d)?\s*$'"
_TIMED = r"'^\s*\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d:\d\d)?\s*$'"
_MOVE = r"'^\s*([+-]?\d+(?:\.\d+)?)\s*(year|month|day|hour|minute|second)s?\s*$'"
_SHIFT = r"'^\s*[+-]?\d\d:\d\d(:\d\d(\.\d+)?)?\s*$'"
_INTEGERS = "'^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|BIGNUM'"

#: A time as a TIMESTAMP in UTC: text, a Julian day, or a value of DuckDB's types.
_MOMENT = f"""(x) AS CASE
    WHEN typeof(x) = 'DATE' OR typeof(x) LIKE 'TIMESTAMP%' THEN CASE typeof(x)
        WHEN 'TIMESTAMP WITH TIME ZONE' THEN make_timestamp(epoch_us(TRY_CAST(x AS TIMESTAMPTZ)))
        ELSE TRY_CAST(x AS TIMESTAMP) END
    WHEN lower({_TEXT.format("x")}) = 'now' THEN coalesce(getvariable('{_NOW}'), make_timestamp(epoch_us(now())))
    WHEN regexp_matches({_TEXT.format("x")}, {_NUMBER}) THEN CASE
        WHEN TRY_CAST(x AS DOUBLE) BETWEEN 0 AND 5373484.5
        THEN make_timestamp(CAST(round((TRY_CAST(x AS DOUBLE) - 2440587.5) * 86400000.0) AS BIGINT) * 1000) END
    WHEN regexp_matches({_TEXT.format("x")}, {_DATED}) OR regexp_matches({_TEXT.format("x")}, {_TIMED})
    THEN TRY_CAST(CASE WHEN regexp_matches({_TEXT.format("x")}, {_TIMED}) THEN '2000-01-01 ' ELSE '' END
            || regexp_replace(trim({_TEXT.format("x")}), '\\s*(Z|[+-]\\d\\d:\\d\\d)$', '') AS TIMESTAMP)
        - CASE WHEN regexp_matches({_TEXT.format("x")}, '-\\d\\d:\\d\\d\\s*$') THEN -1 ELSE 1 END
        * TRY_CAST(substr(regexp_extract({_TEXT.format("x")} || '+00:00', '([+-]\\d\\d:\\d\\d)', 1), 2) AS INTERVAL)
    END"""
#: A time changed by one modifier. A month that is too short runs over into the next one.
_MOVED = f"""(t, m) AS CASE
    WHEN regexp_matches(lower(m), {_MOVE}) THEN CASE
        WHEN regexp_extract(lower(m), {_MOVE}, 2) IN ('year', 'month')
        THEN (date_trunc('month', t) + to_months(
            CAST(trunc(CAST(regexp_extract(lower(m), {_MOVE}, 1) AS DOUBLE)) AS INTEGER)
            * CASE regexp_extract(lower(m), {_MOVE}, 2) WHEN 'year' THEN 12 ELSE 1 END))
            + (t - date_trunc('month', t))
        ELSE t + to_microseconds(CAST(round(CAST(regexp_extract(lower(m), {_MOVE}, 1) AS DOUBLE)
            * CASE regexp_extract(lower(m), {_MOVE}, 2) WHEN 'day' THEN 86400 WHEN 'hour' THEN 3600
              WHEN 'minute' THEN 60 ELSE 1 END * 1000) AS BIGINT) * 1000) END
    WHEN regexp_matches(m, {_SHIFT})
    THEN t + CASE WHEN trim(m) LIKE '-%' THEN -1 ELSE 1 END * TRY_CAST(ltrim(trim(m), '+-') AS INTERVAL)
    WHEN regexp_matches(lower(m), '^\\s*start of (year|month|day)\\s*$')
    THEN date_trunc(regexp_extract(lower(m), 'year|month|day'), t)
    WHEN regexp_matches(lower(m), '^\\s*weekday [0-6]\\s*$')
    THEN t + to_days(CAST((CAST(regexp_extract(m, '\\d') AS INTEGER) - dayofweek(t) + 7) % 7 AS INTEGER))
    WHEN lower(trim(m)) = 'localtime' THEN CAST(timezone('UTC', t) AS TIMESTAMP)
    WHEN lower(trim(m)) = 'utc' THEN make_timestamp(epoch_us(CAST(t AS TIMESTAMPTZ)))
    WHEN m IS NOT NULL THEN CAST(error('"' || m || '" is no modifier of a time') AS TIMESTAMP) END"""

#: A time with a list of modifiers, of which the first may say what a number counts.
_AT = f"""(x, m) AS CAST(list_reduce(
    list_concat(
        [CAST(CASE
            WHEN lower(trim(m[1])) = 'unixepoch' OR
                (lower(trim(m[1])) = 'auto' AND TRY_CAST(x AS DOUBLE) NOT BETWEEN 0 AND 5373484.5)
            THEN {PREFIX}epoch(x) ELSE {PREFIX}moment(x) END AS VARCHAR)],
        CASE WHEN lower(trim(m[1])) IN ('unixepoch', 'auto', 'julianday') THEN m[2:] ELSE m END),
    lambda a, b: CAST({PREFIX}moved(CAST(a AS TIMESTAMP), b) AS VARCHAR)) AS TIMESTAMP)"""

_UNIX = "CAST(floor(CAST(epoch_us({time}) AS DOUBLE) / 1000000.0) AS BIGINT)"
_JULIAN = "(CAST(epoch_us({time}) AS DOUBLE) / 86400000000.0 + 2440587.5)"


def _of_time(answer: str) -> str:
    """A function of a time, alone and with a list of modifiers."""
    return ", ".join(
        f"({given}) AS {answer.format(time=time)}"
        for given, time in (("x", f"{PREFIX}moment(x)"), ("x, m", f"{PREFIX}at(x, m)"))
    )


#: A value of one of DuckDB's times, without modifiers, comes out as DuckDB's own function has it.
_STRFTIME = f"""(f, x) AS CASE
        WHEN typeof(x) = 'TIMESTAMP_NS' THEN strftime(TRY_CAST(x AS TIMESTAMP_NS), f)
        ELSE strftime({PREFIX}moment(x), f) END,
    (f, x, m) AS strftime({PREFIX}at(x, m), f)"""


def _extreme(function: str) -> str:
    """The least or greatest of two to six values; NULL where one of them is."""
    names = "abcdef"
    return ", ".join(
        f"({', '.join(names[:n])}) AS CASE WHEN {' OR '.join(f'{x} IS NULL' for x in names[:n])} THEN NULL "
        f"ELSE {function}({', '.join(names[:n])}) END"
        for n in range(2, 7)
    )


_JSON_KIND = """CASE {} WHEN 'VARCHAR' THEN 'text' WHEN 'BIGINT' THEN 'integer' WHEN 'UBIGINT' THEN 'integer'
    WHEN 'HUGEINT' THEN 'integer' WHEN 'DOUBLE' THEN 'real' WHEN 'NULL' THEN 'null' WHEN 'OBJECT' THEN 'object'
    WHEN 'ARRAY' THEN 'array' WHEN 'BOOLEAN' THEN CASE {} WHEN 'true' THEN 'true' ELSE 'false' END END"""
_SCALAR = "CASE json_type({0}) WHEN 'BOOLEAN' THEN CASE {1} WHEN 'true' THEN '1' ELSE '0' END ELSE {1} END"
_EACH = (
    f"SELECT key, {_SCALAR.format('value', chr(39).join(('value->>', '$', '')))} AS value, "
    f"{_JSON_KIND.format('type', 'CAST(value AS VARCHAR)')} AS type, "
    f"{_SCALAR.format('atom', chr(39).join(('atom->>', '$', '')))} AS atom, id, parent, fullkey, path FROM json_each"
)
_NODES = "(SELECT list({{'at': fullkey, 'type': type, 'atom': atom}} ORDER BY fullkey, type) FROM json_tree({}))"

#: A policy as a set of its parts, each a set of (path, value): the order of arrays says nothing, and neither
#: does whether one value stands in an array. The part is what says which values belong together.
_PARTS = r"""(x) AS (SELECT list(DISTINCT leaves ORDER BY leaves) FROM (
    SELECT list(DISTINCT leaf ORDER BY leaf) AS leaves FROM (
        SELECT part, regexp_replace(part, '\[\d+\]$', '') || ' '
            || regexp_replace(substr(fullkey, length(part) + 1), '\[\d+\]$', '') || ' '
            || CAST(value AS VARCHAR) AS leaf
        FROM (
            SELECT fullkey, value, regexp_extract(fullkey, '^\$(\[\d+\]|\.[^.\[]+(\[\d+\])?)?') AS part
            FROM json_tree(x)
            WHERE type NOT IN ('OBJECT', 'ARRAY') OR CAST(value AS VARCHAR) IN ('{}', '[]')))
    GROUP BY part))"""

#: The forms of each function: `(parameters) AS expression`, or AS TABLE query.
_FORMS: Mapping[str, str] = {
    "aws_policy_equal": f"(a, b) AS CAST({PREFIX}policy_parts(a) = {PREFIX}policy_parts(b) AS INTEGER)",
    "at": _AT,
    "char": ", ".join(
        f"({', '.join('abcdefgh'[:n])}) AS {' || '.join(f'chr({x})' for x in 'abcdefgh'[:n])}" for n in range(1, 9)
    ),
    "date": _of_time("strftime({time}, '%Y-%m-%d')"),
    "datetime": _of_time("strftime({time}, '%Y-%m-%d %H:%M:%S')"),
    "epoch": "(x) AS make_timestamp(CAST(round(TRY_CAST(x AS DOUBLE) * 1000) AS BIGINT) * 1000)",
    "iif": "(a, b) AS CASE WHEN a THEN b END, (a, b, c) AS CASE WHEN a THEN b ELSE c END",
    "json_each": f"(x) AS TABLE ({_EACH}(x)), (x, p) AS TABLE ({_EACH}(x, p))",
    "json_equal": f"(a, b) AS CAST({_NODES.format('a')} = {_NODES.format('b')} AS INTEGER)",
    "json_extract": f"(x, p) AS {_SCALAR.format('x, p', 'json_extract_string(x, p)')}, "
    + ", ".join(
        f"(x, {', '.join('abcdef'[:n])}) AS to_json([{', '.join(f'json_extract(x, {p})' for p in 'abcdef'[:n])}])"
        for n in range(2, 7)
    ),
    "json_number": f"(x, p) AS CAST({_SCALAR.format('x, p', 'json_extract_string(x, p)')} AS DOUBLE)",
    "json_patch": "(a, b) AS json_merge_patch(a, b)",
    "json_type": f"(x) AS {_JSON_KIND.format('json_type(x)', 'CAST(x AS VARCHAR)')}, "
    f"(x, p) AS {_JSON_KIND.format('json_type(x, p)', 'json_extract_string(x, p)')}",
    "julianday": _of_time(_JULIAN),
    "juliantext": _of_time(f"CAST({_JULIAN} AS VARCHAR)"),
    "max": _extreme("greatest"),
    "min": _extreme("least"),
    "moment": _MOMENT,
    "moved": _MOVED,
    "policy_parts": _PARTS,
    "quote": f"""(x) AS CASE WHEN x IS NULL THEN 'NULL' WHEN typeof(x) = 'BOOLEAN' THEN CAST(x AS INTEGER)::VARCHAR
        WHEN regexp_matches(typeof(x), {_INTEGERS}) OR typeof(x) IN ('DOUBLE', 'FLOAT') OR typeof(x) LIKE 'DECIMAL%'
        THEN {_TEXT.format("x")} WHEN typeof(x) = 'BLOB' THEN 'X''' || hex(TRY_CAST(x AS BLOB)) || ''''
        ELSE '''' || replace({_TEXT.format("x")}, '''', '''''') || '''' END""",
    "regexp": "(p) AS '(?s:.*)(?:' || p || ')(?s:.*)'",
    "regexp_replace": "(x, p, r) AS regexp_replace(x, p, r, 'g')",
    "regexp_substr": "(x, p) AS CASE WHEN regexp_matches(x, p) THEN regexp_extract(x, p) END",
    "split_part": "(x, s, n) AS split_part(translate(x, s, repeat(s[1], length(s))), s[1], n)",
    "strftime": _STRFTIME,
    "string": f"(x) AS {_TEXT.format('x')}",
    "time": _of_time("strftime({time}, '%H:%M:%S')"),
    "total": "(x) AS coalesce(sum(CAST(x AS DOUBLE)), 0.0)",
    "typeof": f"""(x) AS CASE WHEN x IS NULL THEN 'null'
        WHEN regexp_matches(typeof(x), {_INTEGERS}) OR typeof(x) = 'BOOLEAN' THEN 'integer'
        WHEN typeof(x) IN ('DOUBLE', 'FLOAT') OR typeof(x) LIKE 'DECIMAL%' THEN 'real'
        WHEN typeof(x) = 'BLOB' THEN 'blob' ELSE 'text' END""",
    "unixepoch": _of_time(_UNIX),
    # DuckDB compares JSON with numbers and with text, but neither with the other: SQLite asks what the column is.
    "unixjson": _of_time(f"to_json({_UNIX})"),
    "unixtext": _of_time(f"CAST({_UNIX} AS VARCHAR)"),
}


class Macros:
    """The macros of one connection.

    Args:
        may_hold: whether the database may hold functions and views of the user's already: it is a file.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection, *, may_hold: bool) -> None:
        self._duck = duck
        self._may_hold = may_hold
        self._knows_now = False
        #: Whether views in the file name them; None before that was looked up.
        self._views_do: bool | None = None
        self._made: set[str] = set()

    def ready(self, sql: str, *, lasting: bool = True) -> None:
        """Create what a statement needs, and say what 'now' is to it.

        Args:
            lasting: whether it will be there for later statements; ROLLBACK takes away what was made since BEGIN.
        """
        if _BRINGS.search(sql):
            self._may_hold = True
        names = _in_order(frozenset(_FORMS) if self._is_hidden(sql) else frozenset(_NAME.findall(sql)))
        new = [n for n in names if n not in self._made]
        if new:
            self._duck.execute("; ".join(f"CREATE TEMP MACRO IF NOT EXISTS {PREFIX}{n} {_FORMS[n]}" for n in new))
            self._knows_now = self._knows_now or "moment" in new
            if lasting:
                self._made.update(new)
        if self._knows_now:
            self._duck.execute(f"SET VARIABLE {_NOW} = make_timestamp(epoch_us(now()))")

    def _is_hidden(self, sql: str) -> bool:
        """Whether a statement may reach one of them by a macro or a view that is kept in a file."""
        if not self._may_hold:
            return False
        if _BRINGS.search(sql) or _CALL.search(sql):
            return True
        if self._views_do is None:
            named = f"SELECT count(*) > 0 FROM duckdb_views() WHERE NOT internal AND sql LIKE '%{PREFIX}%'"
            self._views_do = self._duck.execute(named).fetchone() == (True,)
        return self._views_do

    def own(self, sql: str) -> frozenset[str]:
        """The user's functions in lower case, which are not to be taken for StackQL's."""
        if not names_any(sql) or not (self._may_hold or _BRINGS.search(sql)):
            return frozenset()
        rows = self._duck.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
            "WHERE function_type IN ('macro', 'table_macro') AND NOT internal"
        ).fetchall()
        return frozenset(name for (name,) in rows)


@cache
def _in_order(named: frozenset[str]) -> tuple[str, ...]:
    """The macros of these names, without the prefix, each behind those that it is built from."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        if name in _FORMS and name not in found:
            for part in _NAME.findall(_FORMS[name]):
                add(part.removeprefix(PREFIX))
            found[name] = None

    for name in sorted(named):
        add(name.removeprefix(PREFIX))
    return tuple(found)
