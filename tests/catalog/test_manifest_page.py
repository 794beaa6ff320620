"""docs/manifest.md says every key of the format, and its examples do what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from provider.catalog import credentials, failures, limits, manifest, paging, types, waiting
from provider.catalog.loader import Catalog, bundled, check
from provider.catalog.model import Model
from provider.catalog.yamltext import documents
from provider.errors import ManifestError

PAGE = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text(encoding="utf-8")

HEADINGS: dict[type[BaseModel], str] = {
    manifest.ProviderDocument: "The provider document",
    manifest.BaseUrl: "base_url",
    credentials.Bearer: "auth: bearer",
    credentials.ApiKey: "auth: api_key",
    credentials.Basic: "auth: basic",
    credentials.ClientCredentials: "auth: oauth2_client_credentials",
    credentials.RefreshToken: "auth: oauth2_refresh_token",
    credentials.Login: "login",
    credentials.JwtBearer: "auth: oauth2_jwt_bearer",
    credentials.Jwt: "auth: jwt",
    credentials.Assertion: "assertion",
    credentials.Session: "auth: session",
    credentials.AwsSigV4: "auth: aws_sigv4",
    credentials.NoAuth: "auth: none",
    credentials.ClientCertificate: "client_certificate",
    failures.Errors: "errors",
    failures.Answer: "answers",
    limits.Limits: "limits",
    limits.Budget: "budget",
    limits.Wait: "waits",
    limits.Idempotency: "idempotency",
    paging.CursorPages: "pagination: cursor",
    paging.HeaderCursorPages: "pagination: header_cursor",
    paging.KeysetPages: "pagination: keyset",
    paging.OffsetPages: "pagination: offset",
    paging.NumberedPages: "pagination: page_number",
    paging.LinkPages: "pagination: json_link",
    paging.HeaderLinkPages: "pagination: header_link",
    paging.WindowPages: "pagination: time_window",
    paging.SinglePage: "pagination: single",
    paging.PageSize: "size",
    manifest.ServiceDocument: "The service document",
    manifest.Versions: "versions",
    manifest.Resource: "resource",
    manifest.ResourceField: "field",
    manifest.Method: "method",
    waiting.Await: "await",
    waiting.Wanted: "wanted",
    waiting.EventStream: "stream",
    waiting.StreamFailure: "stream: failure",
    waiting.StreamText: "stream: text",
    waiting.Resume: "stream: resume",
    manifest.Parameter: "parameter",
    manifest.Pushdown: "pushdown",
    manifest.SortedBy: "sorted_by",
}

BLOCKS = re.findall(r"^```(\w+(?: \w+)?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [text for info, text in BLOCKS if info == "yaml"]
BROKEN = [(text, BLOCKS[i + 1][1].rstrip("\n")) for i, (info, text) in enumerate(BLOCKS) if info == "yaml broken"]


def section(heading: str) -> str:
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def write(folder: Path, text: str) -> Path:
    """The example as a provider's file, or as a service's file beside a small provider."""
    if text.startswith("provider:"):
        file = folder / "shop.yaml"
        file.write_text(text, encoding="utf-8")
        return file
    (folder / "provider.yaml").write_text("provider: shop\nbase_url: {default: http://127.0.0.1:9}\n")
    (folder / "sales.yaml").write_text(text, encoding="utf-8")
    return folder


def models() -> set[type[BaseModel]]:
    """The models that a document is made of; those with a leading underscore are only shared parts."""
    modules = (manifest, credentials, failures, paging, limits, waiting)
    found = (v for module in modules for v in vars(module).values() if isinstance(v, type) and issubclass(v, BaseModel))
    return {m for m in found if m not in (BaseModel, Model) and not m.__name__.startswith("_")}


def test_every_block_of_the_format_has_a_section() -> None:
    assert models() == set(HEADINGS)


@pytest.mark.parametrize("model", HEADINGS, ids=lambda model: model.__name__)
def test_a_section_tells_all_keys_and_which_are_needed(model: type[BaseModel]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|) \|", section(HEADINGS[model]), re.MULTILINE)
    assert dict(rows) == {f.alias or n: "yes" if f.is_required() else "" for n, f in model.model_fields.items()}


def test_every_type_is_told_with_its_duckdb_type() -> None:
    rows = re.findall(r"^\| (`.+?`) \| .+ \| (\w+) \|$", section("Words"), re.MULTILINE)
    told = {name: duckdb for names, duckdb in rows for name in re.findall(r"`(.+?)`", names)}
    assert told.pop("decimal(p,s)") == "DECIMAL"
    assert told == {name: types.parse_type(name).duckdb for name in told}
    with pytest.raises(ValueError, match="no type") as caught:
        types.parse_type("?")
    known = str(caught.value).split("Candidates: ")[1].split(", ")
    assert set(known) == {*told, "decimal(p,s)"}


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_loads(tmp_path: Path, text: str) -> None:
    assert "shop.sales.orders" in check(write(tmp_path, text))


def test_the_whole_provider_is_what_the_page_says(tmp_path: Path) -> None:
    orders = Catalog([write(tmp_path, EXAMPLES[0])]).resource("shop", "sales", "orders")
    assert [(m.name, m.verb) for m in orders.methods] == [
        ("get_order", "SELECT"),
        ("list_orders", "SELECT"),
        ("create_order", "INSERT"),
        ("change_order", "UPDATE"),
        ("cancel_order", "EXEC"),
    ]
    total = orders.field("total")
    assert total is not None
    assert total.type.duckdb == "DECIMAL(12,2)"


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_a_broken_example_says_what_the_page_prints(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        check(write(tmp_path, text))
    assert str(caught.value).replace(f"{tmp_path}/", "") == said


def manifest_texts() -> list[str]:
    return EXAMPLES + [p.read_text(encoding="utf-8") for p in sorted(bundled().rglob("*.yaml"))]


def test_the_json_schema_takes_what_the_loader_takes() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(manifest.json_schema())
    validator.check_schema(manifest.json_schema())
    for text in manifest_texts():
        for document in documents(text, "example.yaml"):
            validator.validate(document.data)


def test_the_json_schema_refuses_unknown_keys() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(manifest.json_schema())
    for text, _ in BROKEN[:1]:
        assert not validator.is_valid(documents(text, "example.yaml")[0].data)
    assert not validator.is_valid({"provider": "shop"})
