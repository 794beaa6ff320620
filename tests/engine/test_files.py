"""Files up and down by SQL, against the emulator, the vendor's SDK, and servers and networks that fail."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import provider
from provider.emulator import Emulator, create_app
from provider.emulator.chaos import FAULTS, Chaos, at
from provider.errors import ApiError, DataError, NotSupportedError, OutcomeUnknown, PartlyDone, Timeout
from provider.rest.download import LARGEST
from tests.benchmarks import files as benchmark
from tests.conftest import KEY, Connect
from tests.rest.webserver import Reply, Seen, web_server

CONTENT = bytes(range(256)) * 300 + b'\r\n--apiql"\r\n'
PATH = "INSERT INTO openai.files.files (file, purpose) VALUES (local_file(?), 'batch') RETURNING id"
BYTES = "INSERT INTO openai.files.files (file, filename, purpose) VALUES (?, ?, 'batch') RETURNING id"
DOWN = "EXEC openai.files.files.download_file @file_id = ?, @to = ?"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def conn(connection: Connect) -> provider.Connection:
    opened: provider.Connection = connection()
    return opened


@pytest.fixture
def sdk(emulator: Emulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=emulator.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def one(conn: provider.Connection, sql: str, *arguments: Any) -> Any:
    """The only value of a statement's answer."""
    ((value,),) = conn.execute(sql, list(arguments)).fetchall()
    return value


# --- up -----------------------------------------------------------------------------------------


def test_a_path_is_uploaded_under_its_own_name(conn: provider.Connection, sdk: openai.OpenAI, here: Path) -> None:
    Path("größe 5.bin").write_bytes(CONTENT)
    found = sdk.files.retrieve(one(conn, PATH, "größe 5.bin"))
    assert (found.filename, found.bytes, found.purpose) == ("größe 5.bin", len(CONTENT), "batch")
    assert sdk.files.content(found.id).content == CONTENT


def test_bytes_are_uploaded_under_the_name_that_is_given(conn: provider.Connection, sdk: openai.OpenAI) -> None:
    found = sdk.files.retrieve(one(conn, BYTES, CONTENT, "a.bin"))
    assert (found.filename, sdk.files.content(found.id).content) == ("a.bin", CONTENT)


def test_an_empty_file_is_a_file(conn: provider.Connection, here: Path) -> None:
    Path("empty").touch()
    for sql, arguments in ((PATH, ("empty",)), (BYTES, (b"", "empty"))):
        id_ = one(conn, sql, *arguments)
        assert one(conn, "SELECT bytes FROM openai.files.files WHERE id = ?", id_) == 0
        assert one(conn, "SELECT content FROM openai.files.content WHERE file_id = ?", id_) == b""


def test_rows_are_uploaded_as_lines_of_json_and_a_group_is_a_file(conn: provider.Connection) -> None:
    made = conn.execute(
        """INSERT INTO openai.files.files (file, filename, purpose, expires_after)
        SELECT jsonl({'custom_id': 'r-' || i, 'body': {'n': i}}, -i), team || '.jsonl', 'batch',
               {'anchor': 'created_at', 'seconds': 3600}
        FROM (SELECT i, CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END AS team FROM range(4) AS r(i))
        GROUP BY team ORDER BY team
        RETURNING id, filename, expires_at - created_at"""
    ).fetchall()
    assert [row[1:] for row in made] == [("even.jsonl", 3600), ("odd.jsonl", 3600)]
    content = one(conn, "SELECT content FROM openai.files.content WHERE file_id = ?", made[0][0])
    assert content == b'{"custom_id":"r-2","body":{"n":2}}\n{"custom_id":"r-0","body":{"n":0}}\n'


def test_rows_of_a_resource_are_uploaded(conn: provider.Connection, api: Any) -> None:
    thread = api.thread("Hello", "Größe")
    id_ = one(
        conn,
        """INSERT INTO openai.files.files (file, filename, purpose)
        SELECT jsonl(m, m.n), 'messages.jsonl', 'user_data'
        FROM (SELECT role, content->0->'text'->>'value' AS text, row_number() OVER (ORDER BY created_at, id) AS n
              FROM openai.assistants.messages WHERE thread_id = ?) AS m
        RETURNING id""",
        thread,
    )
    lines = one(conn, "SELECT content FROM openai.files.content WHERE file_id = ?", id_).decode().splitlines()
    assert sorted(re.findall('"text":"(.*?)"', "".join(lines))) == ["Größe", "Hello"]


def test_many_files_go_up_by_glob(conn: provider.Connection, here: Path) -> None:
    for number in range(20):
        Path(f"part-{number:02}.jsonl").write_text(f'{{"n": {number}}}\n')
    made = conn.execute(
        "INSERT INTO openai.files.files (file, purpose) "
        "SELECT local_file(file), 'batch' FROM glob('part-*.jsonl') ORDER BY file RETURNING id, filename"
    ).fetchall()
    assert [name for _, name in made] == [f"part-{number:02}.jsonl" for number in range(20)]
    rows = conn.execute(
        "SELECT decode(content) FROM openai.files.content WHERE file_id IN (SELECT unnest(?))", [[i for i, _ in made]]
    ).fetchall()
    assert sorted(rows) == sorted((f'{{"n": {number}}}\n',) for number in range(20))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("'data.jsonl'", "VARCHAR"),
        ("{'local_file': 'data.jsonl'}", "STRUCT"),
        ("""'{"local_file": "data.jsonl"}'::JSON""", "JSON"),
        ("5", "INTEGER"),
        ("['data.jsonl']", "VARCHAR"),
    ],
)
def test_nothing_but_local_file_is_taken_for_a_path(
    conn: provider.Connection, emulator: Emulator, here: Path, value: str, kind: str
) -> None:
    Path("data.jsonl").write_text("x")
    sql = f"INSERT INTO openai.files.files (file, filename, purpose) SELECT {value}, 'a', 'batch'"
    with pytest.raises(DataError, match=rf"file is a file, and cannot be {kind}[^$]*local_file\('path'\)"):
        conn.execute(sql)
    assert not list(emulator.requests)


def test_all_files_are_looked_at_before_the_first_is_sent(
    conn: provider.Connection, emulator: Emulator, here: Path
) -> None:
    Path("a").write_text("x")
    sql = "INSERT INTO openai.files.files (file, purpose) SELECT local_file(f), 'batch' FROM (VALUES ('a'), ('b')) t(f)"
    with pytest.raises(DataError, match="row 2: the file 'b' cannot be read"):
        conn.execute(sql)
    with pytest.raises(DataError, match=r"needs data__file, which is NULL"):
        conn.execute(sql.replace("'b'", "NULL"))
    with pytest.raises(DataError, match=r"file has no name\n[^$]*Give filename too\."):
        conn.execute("INSERT INTO openai.files.files (file, purpose) VALUES (encode('x'), 'batch')")
    assert not list(emulator.requests)


def test_a_dry_run_names_files_and_sizes_and_shows_no_content(
    conn: provider.Connection, emulator: Emulator, here: Path
) -> None:
    Path("a.txt").write_text("open sesame")
    sql = """INSERT INTO openai.files.files (file, filename, purpose, expires_after) VALUES
        (local_file('a.txt'), 'b.txt', 'batch', '{"anchor": "created_at", "seconds": 3600}')"""
    told = conn.dry_run(sql)
    assert (
        "POST /files multipart/form-data: purpose=batch, expires_after[anchor]=created_at, "
        "expires_after[seconds]=3600, file=b.txt (11 bytes)" in told
    )
    assert "sesame" not in told
    told = conn.dry_run("EXEC openai.files.files.download_file @file_id = 'file-1', @to = 'out.txt'")
    assert "GET /files/file-1/content to out.txt" in told
    assert not list(emulator.requests)
    assert os.listdir() == ["a.txt"]


def test_a_users_own_functions_stay_his(conn: provider.Connection, here: Path) -> None:
    Path("a").write_text("x")
    conn.execute("CREATE MACRO jsonl(x) AS x + 1")
    one(conn, PATH, "a")
    assert one(conn, "SELECT jsonl(1)") == 2


# --- down ---------------------------------------------------------------------------------------


def test_what_the_sdk_uploads_comes_down_to_a_path(conn: provider.Connection, sdk: openai.OpenAI, here: Path) -> None:
    made = sdk.files.create(file=("a.bin", CONTENT), purpose="user_data")
    assert conn.execute(DOWN, [made.id, "out.bin"]).fetchall() == [("out.bin", len(CONTENT))]
    assert Path("out.bin").read_bytes() == CONTENT
    assert os.listdir() == ["out.bin"]


def test_a_file_is_overwritten_only_on_demand(conn: provider.Connection, emulator: Emulator, here: Path) -> None:
    id_ = one(conn, BYTES, CONTENT, "a")
    Path("out.bin").write_text("mine")
    emulator.requests.clear()
    with pytest.raises(DataError, match=r"'out\.bin' exists"):
        conn.execute(DOWN, [id_, "out.bin"])
    assert (list(emulator.requests), Path("out.bin").read_text()) == ([], "mine")
    conn.execute(DOWN + ", @overwrite = true", [id_, "out.bin"])
    assert Path("out.bin").read_bytes() == CONTENT


def test_a_file_that_is_not_there_leaves_none_here(conn: provider.Connection, here: Path) -> None:
    with pytest.raises(ApiError, match=r"No such File object"):
        conn.execute(DOWN, ["file-none", "out.bin"])
    assert os.listdir() == []
    assert conn.execute("SELECT content FROM openai.files.content WHERE file_id = 'file-none'").fetchall() == []


def test_what_is_too_large_for_a_blob_is_told_the_way_to_a_path(conn: provider.Connection, here: Path) -> None:
    with open("large", "wb") as file:
        file.truncate(LARGEST + 1)
    id_ = one(conn, PATH, "large")
    with pytest.raises(DataError, match=r"too large for a BLOB[^$]*EXEC openai\.files\.files\.download_file @file_id"):
        conn.execute("SELECT content FROM openai.files.content WHERE file_id = ?", [id_])
    conn.execute(DOWN, [id_, "back"])
    assert os.path.getsize("back") == LARGEST + 1


def test_content_joins_files(conn: provider.Connection) -> None:
    ids = [one(conn, BYTES, text.encode(), f"{text}.txt") for text in ("one", "two")]
    rows = conn.execute(
        "SELECT f.filename, octet_length(c.content), c.content, c.file_id = f.id FROM openai.files.files f "
        "JOIN openai.files.content c ON c.file_id = f.id WHERE f.id IN (?, ?) ORDER BY 1",
        ids,
    ).fetchall()
    assert rows == [("one.txt", 3, b"one", True), ("two.txt", 3, b"two", True)]
    sql = "SELECT file_id FROM openai.files.content WHERE file_id IN (?, ?) AND content = encode('two')"
    assert one(conn, sql, *ids) == ids[1]


def test_the_list_pages_sorts_and_filters(conn: provider.Connection, emulator: Emulator, sdk: openai.OpenAI) -> None:
    ids = [one(conn, BYTES.replace("'batch'", "'vision'"), b"x", f"{n}") for n in range(3)]
    emulator.requests.clear()
    sql = "SELECT id FROM openai.files.files WHERE purpose = 'vision' LIMIT 2"
    found = [id_ for (id_,) in conn.execute(sql).fetchall()]
    assert [r.query for r in emulator.requests] == ["purpose=vision&limit=10000"]
    assert found == [f.id for f in sdk.files.list(purpose="vision", limit=2).data]
    assert set(found) <= set(ids)
    conn.execute("DELETE FROM openai.files.files WHERE id IN (?, ?, ?)", ids)
    assert conn.execute("SELECT id FROM openai.files.files WHERE purpose = 'vision'").fetchall() == []


# --- safety -------------------------------------------------------------------------------------


def test_sql_without_external_access_touches_no_files(
    conn: provider.Connection, emulator: Emulator, here: Path
) -> None:
    Path("a").write_text("secret")
    id_ = one(conn, BYTES, CONTENT, "a")
    emulator.requests.clear()
    conn.execute("SET enable_external_access = false")
    for sql, arguments in ((PATH, ["a"]), (DOWN, [id_, "out"]), (DOWN + ", @overwrite = true", [id_, "a"])):
        with pytest.raises(NotSupportedError, match="enable_external_access is off"):
            conn.execute(sql, arguments)
    assert (list(emulator.requests), os.listdir(), Path("a").read_text()) == ([], ["a"], "secret")
    assert one(conn, "SELECT content FROM openai.files.content WHERE file_id = ?", id_) == CONTENT


@pytest.mark.parametrize("name", ['a"; name="purpose', "a\r\nX: y\r\n\r\nz", "b\\", "../../x"])
def test_a_name_cannot_leave_its_place(conn: provider.Connection, sdk: openai.OpenAI, name: str) -> None:
    found = sdk.files.retrieve(one(conn, BYTES, CONTENT, name))
    assert (found.purpose, sdk.files.content(found.id).content) == ("batch", CONTENT)
    assert not re.search(r'["\r\n\\]', found.filename)


# --- failures -----------------------------------------------------------------------------------


def files_in(request: Seen) -> list[bytes]:
    """The contents of a form's parts."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in request.body.split(b"--" + boundary)[1:-1]]


def test_an_upload_that_was_refused_for_now_is_sent_again_from_its_beginning(here: Path) -> None:
    Path("a").write_bytes(CONTENT)
    replies = [Reply(429, headers={"Retry-After": "0"}), Reply(429), Reply(body={"id": "file-1"})]
    with (
        web_server(lambda request: replies[len(server.requests) - 1]) as server,
        provider.connect(base_urls={"openai": server.url}, environ={"OPENAI_API_KEY": KEY}) as conn,
    ):
        assert one(conn, PATH, "a") == "file-1"
        assert [files_in(r) for r in server.requests] == [[b"batch", CONTENT]] * 3
        assert len({r.headers["content-type"] for r in server.requests}) == 3


def test_an_upload_of_unknown_outcome_is_sent_once(here: Path) -> None:
    Path("a").write_bytes(CONTENT)
    with (
        web_server(lambda request: Reply(502)) as server,
        provider.connect(base_urls={"openai": server.url}, environ={"OPENAI_API_KEY": KEY}) as conn,
    ):
        with pytest.raises(OutcomeUnknown):
            conn.execute(PATH, ["a"])
        assert len(server.requests) == 1


def test_a_file_that_changes_behind_the_check_stops_its_row_alone(here: Path) -> None:
    def answer(request: Seen) -> Reply:
        Path("b").write_bytes(b"changed")
        return Reply(body={"id": "file-1"})

    for name in "abc":
        Path(name).write_bytes(CONTENT)
    with (
        web_server(answer) as server,
        provider.connect(
            base_urls={"openai": server.url}, environ={"OPENAI_API_KEY": KEY}, max_concurrency=1, on_error="continue"
        ) as conn,
    ):
        rows = "SELECT local_file(file), 'batch' FROM glob('?') ORDER BY file"
        sql = f"INSERT INTO openai.files.files (file, purpose) {rows}"
        with pytest.raises(PartlyDone, match=r"the file '\./b' has changed since it was looked at"):
            conn.execute(sql)
        outcomes = conn.execute("SELECT outcome FROM apiql.last_writes ORDER BY row").fetchall()
        assert outcomes == [("done",), ("not done",), ("done",)]
        assert len(server.requests) == 2


def test_a_journal_knows_files_again(connection: Connect, emulator: Emulator, here: Path) -> None:
    Path("a").write_bytes(CONTENT)
    for _ in range(2):
        with connection(resume="journal") as conn:
            conn.execute(PATH.removesuffix(" RETURNING id"), ["a"])
    assert [r.method for r in emulator.requests] == ["POST"]


#: Faults that give a whole answer with other bytes: of a file nobody can tell.
OTHER_BYTES = {"not JSON", "empty", "null", "deep", "HTML"}


@pytest.fixture(scope="module")
def chaos(emulator: Emulator) -> Iterator[Chaos]:
    with Chaos(emulator.base_url) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
def test_a_download_is_whole_or_not_there(chaos: Chaos, conn: provider.Connection, here: Path, fault: str) -> None:
    id_ = one(conn, BYTES, CONTENT, "a")
    chaos.reset(at(1, FAULTS[fault]))
    with (
        provider.connect(
            base_urls={"openai": chaos.base_url}, environ={"OPENAI_API_KEY": KEY}, timeout=0.5, retries=2
        ) as weak,
    ):
        try:
            weak.execute(DOWN + ", @max_bytes = 1000000", [id_, "out"])
        except provider.Error:
            assert os.listdir() == []
        else:
            assert os.listdir() == ["out"]
            assert fault in OTHER_BYTES or Path("out").read_bytes() == CONTENT


def test_a_statement_that_is_out_of_time_leaves_no_file(connection: Connect, here: Path) -> None:
    id_ = one(connection(), BYTES, CONTENT, "a")

    def stall(request: Seen) -> Reply:
        release.wait(10)
        return Reply(body=CONTENT)

    release = threading.Event()
    with (
        web_server(stall) as server,
        connection(base_urls={"openai": server.url}, statement_timeout=0.2) as conn,
    ):
        with pytest.raises(Timeout):
            conn.execute(DOWN, [id_, "out"])
        release.set()
    assert os.listdir() == []


# --- size ---------------------------------------------------------------------------------------


def test_progress_counts_bytes_up_and_down(connection: Connect, here: Path) -> None:
    told: list[Any] = []
    conn = connection(progress=told.append)
    Path("a").write_bytes(os.urandom(2**21))
    cursor = conn.execute(PATH, ["a"])
    assert (told[-1].moved, cursor.report.moved) == (2**21, 2**21)
    assert [t.moved for t in told] == sorted(t.moved for t in told)
    ((id_,),) = cursor.fetchall()
    cursor = conn.execute(DOWN, [id_, "b"])
    assert (told[-1].moved, cursor.report.moved) == (2**21, 2**21)


def test_memory_stays_what_it_is_whatever_the_size(tmp_path: Path) -> None:
    source = tmp_path / "source"
    benchmark.write(source, 64)
    with benchmark.emulator(tmp_path / "data") as (url, _):
        told = benchmark.transfer("apiql", url, source, tmp_path / "target")
    assert told["peak"] - told["before"] < 24


def test_a_client_of_ones_own_moves_files_too(here: Path) -> None:
    Path("a").write_bytes(CONTENT)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app()))
    with provider.connect(
        http_client=client, environ={"OPENAI_API_KEY": KEY}, base_urls={"openai": "http://e/v1"}
    ) as c:
        id_ = one(c, PATH, "a")
        c.execute(DOWN, [id_, "b"])
        assert one(c, "SELECT content FROM openai.files.content WHERE file_id = ?", id_) == CONTENT
    assert hashlib.sha256(Path("b").read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
