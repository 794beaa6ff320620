"""Files in writes: what local_file() and jsonl() mean in SQL, and what may be read and written on this machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
from duckdb.sqltypes import DuckDBPyType

from provider.catalog.catalog import Parameter
from provider.errors import DataError, NotSupportedError
from provider.plan.actions import Action, WritePlan
from provider.rest.destination import Destination
from provider.rest.exact import Json
from provider.rest.multipart import Attachment, LocalFile

#: Rows as lines of JSON. DuckDB keeps no order in an aggregate but one that stands in it.
_JSONL = "encode(string_agg(CAST(to_json(part) AS VARCHAR), chr(10) {}) || chr(10))"


class Files:
    """The files that one connection's writes send and keep.

    A path is not text: `local_file('a.txt')` is a value of a kind that only this function makes, since its one member
    has a name that is drawn anew for each connection. So what an API or a table holds is never taken for a path.
    """

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._member = f"file_{secrets.token_hex(8)}"

    @contextmanager
    def functions(self, plan: WritePlan) -> Iterator[None]:
        """Within the block local_file() and jsonl() can be used, if the plan sends files."""
        if not any(action.method.files for action in plan.actions):
            yield
            return
        self._duck.execute(
            f"CREATE OR REPLACE TEMP MACRO local_file(path) AS struct_pack({self._member} := CAST(path AS VARCHAR));"
            f"CREATE OR REPLACE TEMP MACRO jsonl(part) AS {_JSONL.format('')},"
            f" (part, sort) AS {_JSONL.format('ORDER BY sort')}"
        )
        try:
            yield
        finally:
            self._duck.execute("DROP MACRO IF EXISTS temp.local_file; DROP MACRO IF EXISTS temp.jsonl")

    def attached(
        self,
        action: Action,
        values: Mapping[str, Json],
        row: Sequence[object],
        kinds: Sequence[DuckDBPyType],
        resource: str,
    ) -> dict[str, Attachment]:
        """The files of a row, by parameter.

        Args:
            values: the row's other values; one may be a file's name.
            kinds: the DuckDB types of the row's columns.

        Raises:
            DataError: a value that is no file, a file that cannot be read, or one without a name.
            NotSupportedError: a path, where files of this machine are not to be touched.
        """
        found = {}
        for number, parameter in enumerate(action.parameters, action.first):
            if parameter.type.base != "file":
                continue
            content = self._content(parameter, row[number], kinds[number], resource)
            if content is None:
                continue
            naming = next((p for p in action.method.parameters if p.filename_of == parameter.name), None)
            name = values.get(naming.name) if naming is not None else None
            if name is None and isinstance(content, LocalFile):
                name = os.path.basename(content.path)
            elif name is None and naming is not None:
                raise DataError(
                    f"{resource}: {parameter.name} has no name",
                    reason="Bytes have none of their own, as a path has.",
                    remedy=f"Give {naming.name} too.",
                )
            found[parameter.name] = Attachment(content, str(name or parameter.name))
        missing = [p.sql_name for p in action.method.required if p.type.base == "file" and p.name not in found]
        if missing:
            raise DataError(f"{resource} needs {' and '.join(missing)}, which is NULL or missing")
        return found

    def check(self, destination: Destination) -> None:
        """Look whether an answer may go to a path; errors as `attached`, and as `Destination.check`."""
        self._check_access(destination.path)
        destination.check()

    def _content(
        self, parameter: Parameter, value: object, kind: DuckDBPyType, resource: str
    ) -> bytes | LocalFile | None:
        match value:
            case None:
                return None
            case bytes():
                return value
            case dict() if list(value) == [self._member]:
                path = value[self._member]
                if path is None:
                    return None
                self._check_access(path)
                return LocalFile.at(path)
        raise DataError(
            f"{resource}: {parameter.name} is a file, and cannot be {kind}",
            remedy=f"{parameter.name} takes local_file('path'), a BLOB such as encode('text'), or jsonl(row).",
        )

    def _check_access(self, path: str) -> None:
        row = self._duck.execute("SELECT current_setting('enable_external_access')").fetchone()
        if row != (True,):
            raise NotSupportedError(
                f"the file {path!r} is out of reach here",
                reason="enable_external_access is off: SQL does not touch files of this machine.",
            )
