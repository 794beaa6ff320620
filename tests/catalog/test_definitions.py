"""`fields_of`, `parameters_of` and `returns`: definitions that stand elsewhere, and names that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.catalog.catalog import Resource
from provider.catalog.loader import Catalog, check
from provider.errors import ManifestError

SALES = """\
service: sales
versions: {default: v2, all: [v1, v2]}
resources:
  orders:
    key: {id: order_id}
    fields:
      id: {type: string, description: The order.}
      old: {type: string, versions: [v1]}
      new: {type: string, versions: [v2]}
    methods:
      get_order: {sql: SELECT, http: 'GET /orders/{order_id}'}
      create_order:
        sql: INSERT
        http: POST /orders
        query: {dry: {type: boolean}}
        body: {state: {required: true}, old: {versions: [v1]}}
        returns: {id: {type: string}, told: {type: any}}
"""

STOCK = """\
service: stock
resources:
  samples:
    fields_of: shop.sales.orders
    fields: {id: {type: integer}, size: {type: number}}
    methods:
      get_sample: {sql: SELECT, http: GET /sample}
      create_sample:
        sql: INSERT
        http: POST /samples
        parameters_of: shop.sales.orders.create_order
        body: {state: {type: integer}, size: {}}
        returns: shop.sales.orders.create_order
      swap_sample: {sql: EXEC, http: POST /swap, returns: shop.stock.samples}
"""


def shop(folder: Path, stock: str = STOCK, sales: str = SALES) -> Path:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "provider.yaml").write_text("provider: shop\nbase_url: {default: http://127.0.0.1:9}\n")
    (folder / "shop" / "sales.yaml").write_text(sales)
    (folder / "shop" / "stock.yaml").write_text(stock)
    return folder


def samples(folder: Path) -> Resource:
    return Catalog([folder], environ={}).resource("shop", "stock", "samples")


def said(folder: Path, stock: str, sales: str = SALES) -> str:
    with pytest.raises(ManifestError) as caught:
        check(shop(folder, stock, sales))
    return str(caught.value).replace(f"{folder}/", "")


def change(old: str, new: str) -> str:
    assert STOCK.count(old) == 1, old
    return STOCK.replace(old, new)


def test_what_is_taken_over_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    before = samples(shop(tmp_path))
    after = samples(shop(tmp_path, sales=SALES.replace("      new: {type: string", "      newest: {type: string")))
    assert (before.field("new") is None, after.field("new") is None) == (False, True)
    assert after.field("newest") is not None


def test_fields_are_taken_over_as_the_default_version_has_them(tmp_path: Path) -> None:
    found = samples(shop(tmp_path))
    assert [(f.name, f.type.base) for f in found.fields] == [("id", "integer"), ("new", "string"), ("size", "number")]


def test_parameters_of_query_and_body_are_taken_over(tmp_path: Path) -> None:
    method = samples(shop(tmp_path)).method("create_sample")
    assert method is not None
    found = [(p.location, p.name, p.type.base, p.required) for p in method.parameters]
    assert found == [
        ("query", "dry", "boolean", False),
        ("body", "state", "integer", False),
        ("body", "size", "string", False),
    ]


def test_an_answer_is_that_of_a_resource_or_of_a_method(tmp_path: Path) -> None:
    found = samples(shop(tmp_path))
    returned = {m.name: [f.name for f in m.returns] for m in found.methods}
    assert returned["create_sample"] == ["id", "told"]
    assert returned["swap_sample"] == ["id", "new", "size"]


def test_within_a_service_versions_are_kept(tmp_path: Path) -> None:
    sales = (
        SALES + "  drafts:\n    fields_of: shop.sales.orders\n    methods: {get_draft: {sql: SELECT, http: GET /d}}\n"
    )
    folder = shop(tmp_path, sales=sales)
    for version, column in (("v1", "old"), ("v2", "new")):
        catalog = Catalog([folder], {"shop.sales": version}, environ={})
        assert [f.name for f in catalog.resource("shop", "sales", "drafts").fields] == ["id", column]


def test_what_is_taken_over_may_be_taken_over_itself(tmp_path: Path) -> None:
    stock = (
        STOCK + "  parts:\n    fields_of: shop.stock.samples\n    methods: {get_part: {sql: SELECT, http: GET /p}}\n"
    )
    part = Catalog([shop(tmp_path, stock)], environ={}).resource("shop", "stock", "parts")
    assert [f.name for f in part.fields] == ["id", "new", "size"]


def test_a_resource_that_is_not_there(tmp_path: Path) -> None:
    assert said(tmp_path, change("fields_of: shop.sales.orders", "fields_of: shop.sales.order")) == (
        'no resource "shop.sales.order"\n'
        "  shop/stock.yaml:4:16\n"
        "  4 |     fields_of: shop.sales.order\n"
        "    |                ^^^^^^^^^^^^^^^^\n"
        "  Did you mean shop.sales.orders?"
    )


@pytest.mark.parametrize(
    ("old", "new", "summary", "remedy"),
    [
        ("fields_of: shop.sales.orders", "fields_of: shop.sails.orders",
         'no resource "shop.sails.orders": provider "shop" has no service "sails"', "Did you mean sales?"),
        ("fields_of: shop.sales.orders", "fields_of: shops.sales.orders",
         'no resource "shops.sales.orders": no provider "shops"', "Did you mean shop?"),
        ("fields_of: shop.sales.orders", "fields_of: orders",
         'no resource "orders": no provider "orders"', ""),
        ("parameters_of: shop.sales.orders.create_order", "parameters_of: shop.sales.orders.create",
         'no method "shop.sales.orders.create"', "shop.sales.orders.create_order"),
        ("parameters_of: shop.sales.orders.create_order", "parameters_of: shop.sales.orders",
         'no method "shop.sales.orders"', "shop.sales.orders"),
        ("returns: shop.stock.samples", "returns: shop.stock.simples",
         'no resource "shop.stock.simples"', "Did you mean shop.stock.samples?"),
        ("returns: shop.stock.samples", "returns: shop.stock.samples.get",
         'no method "shop.stock.samples.get"', "shop.stock.samples.get_sample"),
        ("returns: shop.stock.samples", "returns: samples", 'no resource "samples": no provider "samples"', ""),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere(tmp_path: Path, old: str, new: str, summary: str, remedy: str) -> None:
    told = said(tmp_path, change(old, new))
    assert told.splitlines()[0] == summary
    assert remedy in told
    assert "shop/stock.yaml:" in told


def test_names_in_a_circle(tmp_path: Path) -> None:
    sales = SALES.replace("    key: {id", "    fields_of: shop.stock.samples\n    key: {id")
    told = said(tmp_path, STOCK, sales)
    assert "fields_of leads in a circle: shop.sales.orders -> shop.stock.samples -> shop.sales.orders" in told


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    stock = change("fields_of: shop.sales.orders", "fields_of: shop.sales.order").replace(
        "body: {state", "bodi: {state"
    )
    assert 'unknown key "bodi"' in said(tmp_path, stock)
    stock = change("fields_of: shop.sales.orders", "fields_of: shop.sales.order").replace(
        "returns: shop.stock.samples", "returns: shop.stock.sample, rows: $.x, paginate: gone"
    )
    told = said(tmp_path, stock)
    assert told.startswith('no resource "shop.sales.order" (and 2 more)')
    assert 'no pagination "gone"' in told


def test_a_resource_without_fields(tmp_path: Path) -> None:
    stock = change("    fields_of: shop.sales.orders\n", "").replace(
        "    fields: {id: {type: integer}, size: {type: number}}\n", ""
    )
    assert "a resource has `fields`, or takes over those of another: `fields_of`" in said(tmp_path, stock)
