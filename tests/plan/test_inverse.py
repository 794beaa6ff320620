"""What undoes a write, by the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provider.catalog.catalog import Resource
from provider.catalog.loader import Catalog
from provider.plan.inverse import Inverse, Irreversible, inverse_of, reading

MANIFEST = """
provider: shop
base_url: {default: http://127.0.0.1:1}
---
service: sales
resources:
  orders:
    key: {id: order_id}
    fields:
      id: {type: string}
      order: {type: integer}
      note: {type: any}
      tags: {type: array}
      paid: {type: boolean}
    methods:
      get_order: {sql: SELECT, http: 'GET /shops/{shop}/orders/{order_id}'}
      make_order:
        sql: INSERT
        http: POST /shops/{shop}/orders
        body: {order: {type: integer}, note: {type: any}, tags: {type: array}, paid: {type: boolean}, gift: {}}
      patch_order:
        sql: UPDATE
        http: PATCH /shops/{shop}/orders/{order_id}
        merges: true
        body: &body {order: {type: integer}, note: {type: any}, tags: {type: array}, paid: {type: boolean}}
      set_order: {sql: UPDATE, http: 'POST /shops/{shop}/orders/{order_id}', body: {<<: *body, gift: {}}}
      put_order: {sql: REPLACE, http: 'PUT /shops/{shop}/orders/{order_id}', body: *body}
      drop_order: {sql: DELETE, http: 'DELETE /shops/{shop}/orders/{order_id}', inverse: make_order}
      ship_order: {sql: EXEC, http: 'POST /shops/{shop}/orders/{order_id}/ship', inverse: recall_order}
      recall_order: {sql: EXEC, http: 'POST /shops/{shop}/orders/{order_id}/recall'}
  events:
    key: {id: event_id}
    fields: {id: {type: string}, at: {type: integer}}
    methods:
      list_events: {sql: SELECT, http: GET /events, rows: $.data}
      send_event: {sql: INSERT, http: POST /events, body: {at: {type: integer}}}
      move_event: {sql: UPDATE, http: 'PATCH /events/{event_id}', merges: true, body: {at: {type: integer}}}
  notes:
    key: {id: note_id}
    fields: {id: {type: string}}
    methods:
      add_note: {sql: INSERT, http: POST /notes, returns: {ok: {type: boolean}}}
      drop_note: {sql: DELETE, http: 'DELETE /notes/{note_id}'}
  mails:
    key: {id: mail_id}
    fields: {id: {type: string}, read: {type: boolean}}
    methods:
      get_mail: {sql: SELECT, http: 'GET /mails/{mail_id}'}
      send_mail: {sql: INSERT, http: POST /mails, inverse: none}
      mark_mail: {sql: UPDATE, http: 'PATCH /mails/{mail_id}', inverse: none, body: {read: {type: boolean}}}
      drop_mail: {sql: DELETE, http: 'DELETE /mails/{mail_id}'}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    return Catalog([tmp_path], environ={})


def resource(catalog: Catalog, name: str) -> Resource:
    return catalog.resource("shop", "sales", name)


def undo(
    catalog: Catalog, method: str, call: Mapping[str, Any], answer: Mapping[str, Any] = {}, before: Any = None
) -> str | None:
    """The statement that undoes a call of a method of `orders`."""
    orders = resource(catalog, "orders")
    found = orders.method(method)
    assert found is not None
    inverse = inverse_of(orders, found, call.keys())
    assert isinstance(inverse, Inverse), inverse
    return inverse.statement(call, answer, before)


KEYS = {"shop": "s", "order_id": "it's"}
BEFORE = {"order": 7, "note": "[1", "tags": ["ä", {"a": None}], "paid": None}


def test_what_is_made_is_deleted_by_the_calls_path_and_the_answers_key(catalog: Catalog) -> None:
    call = {"shop": "s", "order": 1}
    said = "DELETE FROM shop.sales.orders WHERE shop = 's' AND order_id = 'o1'"
    assert undo(catalog, "make_order", call, {"id": "o1"}) == said
    assert undo(catalog, "make_order", call, {}) is None, "the answer had no id"


def test_what_is_changed_is_set_back_and_nothing_else(catalog: Catalog) -> None:
    call = KEYS | {"order": 8, "paid": True}
    said = "UPDATE shop.sales.orders.patch_order SET \"order\" = 7, paid = NULL WHERE shop = 's' AND order_id = 'it''s'"
    assert undo(catalog, "patch_order", call, {}, BEFORE) == said
    assert undo(catalog, "patch_order", call, {}, None) is None, "the object was not there"


def test_what_is_replaced_is_set_back_as_a_whole(catalog: Catalog) -> None:
    assert undo(catalog, "put_order", KEYS | {"order": 8}, {}, BEFORE) == (
        'REPLACE shop.sales.orders SET "order" = 7, note = JSON(\'"[1"\'), tags = \'["ä", {"a": null}]\', paid = NULL '
        "WHERE shop = 's' AND order_id = 'it''s'"
    )


def test_what_is_deleted_is_made_again_of_what_was_there(catalog: Catalog) -> None:
    assert undo(catalog, "drop_order", KEYS, {}, BEFORE) == (
        'INSERT INTO shop.sales.orders (shop, "order", note, tags) '
        "VALUES ('s', 7, JSON('\"[1\"'), '[\"ä\", {\"a\": null}]')"
    )
    orders = resource(catalog, "orders")
    drop = orders.method("drop_order")
    assert drop is not None
    inverse = inverse_of(orders, drop, KEYS)
    assert isinstance(inverse, Inverse)
    assert inverse.caveat == "under another id and without gift, which the API does not tell"


def test_exec_is_undone_by_what_the_manifest_names(catalog: Catalog) -> None:
    assert undo(catalog, "ship_order", KEYS) == "EXEC shop.sales.orders.recall_order @shop='s', @order_id='it''s'"


def test_a_statement_stands_on_one_line_and_holds_nothing_that_a_script_would_fill(catalog: Catalog) -> None:
    text = "it's\n{{ old }} \u2028\x1b[31m"
    assert undo(catalog, "put_order", KEYS | {"order": 8}, {}, BEFORE | {"note": text, "tags": [text]}) == (
        "REPLACE shop.sales.orders SET \"order\" = 7, note = JSON('\"it''s\\n{' || '{ old }} ' || chr(8232) || "
        "'\\u001b[31m\"'), tags = '[\"it''s\\n{' || '{ old }} ' || chr(8232) || '\\u001b[31m\"]', paid = NULL "
        "WHERE shop = 's' AND order_id = 'it''s'"
    )


@pytest.mark.parametrize(
    ("name", "method", "given", "reason"),
    [
        ("orders", "recall_order", KEYS, "the manifest names no inverse of recall_order"),
        ("orders", "set_order", KEYS, "the API does not tell gift, which set_order sets"),
        ("events", "send_event", {"at": 1}, "shop.sales.events has no DELETE method"),
        ("events", "move_event", {"event_id": "e", "at": 1}, "no SELECT method reads one object of shop.sales.events"),
        ("notes", "add_note", {}, "the answer of add_note does not say what drop_note would have to delete"),
        ("notes", "drop_note", {"note_id": "n"}, "the manifest names no inverse of drop_note"),
        ("mails", "send_mail", {}, "the manifest says that nothing undoes send_mail"),
        ("mails", "mark_mail", {"mail_id": "m", "read": True}, "the manifest says that nothing undoes mark_mail"),
    ],
)
def test_what_nothing_undoes_has_a_reason(
    catalog: Catalog, name: str, method: str, given: Mapping[str, Any], reason: str
) -> None:
    owner = resource(catalog, name)
    found = owner.method(method)
    assert found is not None
    assert inverse_of(owner, found, given.keys()) == Irreversible(reason)


def test_objects_are_read_by_one_query_with_the_fields_that_are_needed(catalog: Catalog) -> None:
    orders = resource(catalog, "orders")
    patch = orders.method("patch_order")
    assert patch is not None
    calls: list[dict[str, Any]] = [
        {"shop": "s", "order_id": "a", "paid": True},
        {"shop": "s", "order_id": "b", "order": 1},
    ]
    inverses = [i for call in calls if isinstance(i := inverse_of(orders, patch, call.keys()), Inverse)]
    sql, keys, fields = reading(orders, patch, inverses, [*calls, calls[0]])
    assert sql == (
        'SELECT shop, order_id, paid, "order" FROM shop.sales.orders '
        "WHERE (shop, order_id) IN (('s', 'a'), ('s', 'b'))"
    )
    assert [p.name for p in keys] == ["shop", "order_id"]
    assert [f.name for f in fields] == ["paid", "order"]
