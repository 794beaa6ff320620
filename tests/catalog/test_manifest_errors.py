"""A broken manifest: what is said, and where it points."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.catalog.loader import check
from provider.errors import ManifestError

GOOD = """\
provider: shop
base_url: {default: http://127.0.0.1:9/v1}
pagination:
  cursor: {kind: cursor, param: after, next: $.next}
---
service: sales
versions: {default: v2, all: [v1, v2]}
resources:
  orders:
    key: {id: order_id}
    fields:
      id: {type: string}
      placed_at: {type: integer, unit: unix seconds}
      buyer: {type: string}
    methods:
      get_order: {sql: SELECT, http: 'GET /orders/{order_id}'}
      list_orders:
        sql: SELECT
        http: GET /orders
        aliases: [list]
        rows: $.data
        paginate: cursor
        query: {buyer: {type: string}}
        pushdown: {buyer: {param: buyer, match: exact}}
        sorted_by: {field: placed_at}
"""


def error_of(folder: Path, text: str) -> tuple[str, str]:
    """The whole error of a manifest, without the folder's name, and the summary alone."""
    file = folder / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        check(file)
    return str(caught.value).replace(str(folder) + "/", ""), caught.value.summary


def change(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_the_manifest_of_these_tests_is_right(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(GOOD, encoding="utf-8")
    assert check(file) == ["shop.sales.orders"]


def test_an_unknown_key(tmp_path: Path) -> None:
    text, _ = error_of(tmp_path, change("        paginate: cursor", "        pagnate: cursor"))
    assert text == (
        'unknown key "pagnate" in resources.orders.methods.list_orders\n'
        "  shop.yaml:22:9\n"
        " 22 |         pagnate: cursor\n"
        "    |         ^^^^^^^\n"
        "  Did you mean paginate?"
    )


def test_a_wrong_type_name(tmp_path: Path) -> None:
    text, _ = error_of(tmp_path, change("placed_at: {type: integer", "placed_at: {type: integr"))
    assert text == (
        'resources.orders.fields.placed_at.type: no type "integr". Did you mean integer?\n'
        "  shop.yaml:13:25\n"
        " 13 |       placed_at: {type: integr, unit: unix seconds}\n"
        "    |                         ^^^^^^"
    )


def test_an_unknown_pagination(tmp_path: Path) -> None:
    text, _ = error_of(tmp_path, change("paginate: cursor", "paginate: curser"))
    assert text == (
        'no pagination "curser"\n'
        "  shop.yaml:22:19\n"
        " 22 |         paginate: curser\n"
        "    |                   ^^^^^^\n"
        "  Did you mean cursor?"
    )


def test_one_row_and_a_list_exclude_each_other(tmp_path: Path) -> None:
    _, summary = error_of(tmp_path, change("        rows: $.data\n", "        row: $.data\n"))
    assert summary.startswith("row is one object, and rows, rows_omitted and paginate are about a list")


def test_a_key_that_is_no_field(tmp_path: Path) -> None:
    text, _ = error_of(tmp_path, change("key: {id: order_id}", "key: {ids: order_id}"))
    assert text.startswith('key "ids" is no field\n  shop.yaml:10:11\n')
    assert text.endswith("\n  Did you mean id?")


def test_a_duplicate_key(tmp_path: Path) -> None:
    text, _ = error_of(tmp_path, change("      buyer: {type: string}\n", "      id: {type: integer}\n"))
    assert text == ('the key "id" stands here twice\n  shop.yaml:14:7\n 14 |       id: {type: integer}\n    |       ^^')


def test_a_path_parameter_that_is_not_in_the_path(tmp_path: Path) -> None:
    text, _ = error_of(
        tmp_path,
        change(
            "http: 'GET /orders/{order_id}'}",
            "http: 'GET /orders/{order_id}', path: {order: {type: string}}}",
        ),
    )
    assert text.startswith('"order" is not in the path /orders/{order_id}\n  shop.yaml:16:71\n')
    assert text.endswith(" ^^^^^\n  Did you mean order_id?")


@pytest.mark.parametrize(
    ("old", "new", "summary", "remedy"),
    [
        ("sql: SELECT, http", "sql: SELEC, http", "get_order.sql: Input should be", "Did you mean SELECT"),
        ("'GET /orders/{order_id}'", "'/orders'", "write an HTTP method and a path", ""),
        ("rows: $.data", "rows: data", "write a path from the root", ""),
        ("param: buyer,", "param: bayer,", 'no parameter "bayer"', "Did you mean buyer?"),
        ("pushdown: {buyer", "pushdown: {bayer", 'pushdown "bayer" is no field', "Did you mean buyer?"),
        ("{param: buyer, match: exact}", "[{param: buyer, match: exact}, {param: bayer, operator: '<'}]",
         'no parameter "bayer"', "Did you mean buyer?"),
        ("{param: buyer, match: exact}", "[{param: buyer, mach: exact}]",
         'unknown key "mach" in', "Did you mean match?"),
        ("query: {buyer: {type: string}}", "query: {buyer: {type: integer}}",
         'the field is string, and its parameter "buyer" is integer', "Give both the same type"),
        ("query: {buyer: {type: string}}\n        pushdown: {buyer: {param: buyer, match: exact}}",
         "query: {buyer: {type: object}}\n        pushdown: {buyer: {param: buyer, match: exact, operator: '<'}}",
         'operator "<" compares values that have no order: object', ""),
        ("{field: placed_at}", "{field: place_at}", 'sorted_by "place_at" is no field',
         "Did you mean placed_at?"),
        ("{field: placed_at}", "{field: id, param: order}", 'no parameter "order"', "Candidates: buyer"),
        ("{id: order_id}", "{id: order}", 'no method has the parameter "order"', "Did you mean order_id?"),
        ("buyer: {type: string}\n", "buyer: {type: string, versions: [v3]}\n", 'no version "v3"', "v1, v2"),
        ("        rows: $.data\n", "        rows: $.data\n        returns: shop.sales.order\n",
         'no resource "shop.sales.order"', "Did you mean shop.sales.orders?"),
        ("aliases: [list]", "aliases: [get_order]", '"get_order" already means get_order', ""),
        ("aliases: [list]", "inverse: get_ordr", 'the resource has no method "get_ordr"',
         "Did you mean get_order or list_orders?"),
        ("GET /orders\n", "GET /orders/{\n", "unbalanced or empty braces", ""),
        ("GET /orders/{order_id}'", "GET /{order_id}/{order_id}'", "{order_id} stands twice", ""),
        ("      buyer: {type: string}\n", "      buyer: {type: string}\n      Buyer: {type: string}\n",
         "SQL cannot tell the fields buyer and Buyer apart", ""),
        ("        http: GET /orders\n", "", 'list_orders needs the key "http"', ""),
        ("default: v2, all", "default: v3, all", "default 'v3' is not among", ""),
        ("service: sales", "servise: sales", "either the key `provider` or the key `service`", ""),
        ("service: sales", "service: 5", "service: a name is text", ""),
        ("base_url: {default: http://127.0.0.1:9/v1}", "base_url: http://127.0.0.1:9", "base_url: ", ""),
        ("kind: cursor, param: after, next: $.next", "kind: offset, param: after, ends: total",
         "pagination.cursor: ends: total needs total or total_header", ""),
        ("kind: cursor, param: after, next: $.next", "kind: keyset, param: after, field: idd, ends: empty_page",
         'pagination "cursor" goes on from "idd", which is no field', "Did you mean id?"),
        ("next: $.next", "nxt: $.next, next: $.next", 'unknown key "nxt" in pagination.cursor', "Did you mean next?"),
        ("next: $.next", "next: $.data.next",
         'pagination "cursor" reads $.data.next, and the rows are declared at $.data', "Correct rows"),
        ("next: $.next", "next: $.next, in: body", "into the body, and GET /orders has none", "Leave out in: body."),
        ("{field: placed_at}", "{field: placed_at, reversible: true}",
         "reversible needs the param that sets the direction", ""),
        ("kind: cursor,", "kind: curser,", 'pagination.cursor: no kind "curser"', "Did you mean cursor?"),
        ("pagination:\n", "auth: {type: beare, env: X}\npagination:\n",
         'auth: no type "beare"', "Did you mean bearer?"),
        ("pagination:\n", "auth: {type: bearer, enw: X, env: X}\npagination:\n", 'unknown key "enw" in auth',
         "Did you mean env?"),
        ("pagination:\n", "answers: [{headers: {x: '('}, means: fail}]\npagination:\n", "not a regular expression", ""),
    ],
)  # fmt: skip
def test_other_mistakes_name_their_place(tmp_path: Path, old: str, new: str, summary: str, remedy: str) -> None:
    text, first = error_of(tmp_path, change(old, new))
    assert summary in first
    assert "more)" not in first, text
    assert "shop.yaml:" in text
    assert "^" in text
    assert remedy in text


def test_the_bounds_of_a_window_are_required_parameters(tmp_path: Path) -> None:
    window = "kind: time_window, from: buyer, to: until, step: 5"
    text, _ = error_of(tmp_path, change("kind: cursor, param: after, next: $.next", window))
    assert text == (
        'pagination "cursor" needs "buyer" as a required parameter of the query (and 1 more)\n'
        "  shop.yaml:22:19\n"
        " 22 |         paginate: cursor\n"
        "    |                   ^^^^^^\n"
        '  pagination "cursor" needs "until" as a required parameter of the query\n'
        "    shop.yaml:22:19\n"
        "   22 |         paginate: cursor\n"
        "      |                   ^^^^^^"
    )


def test_a_wrong_field_of_an_answer_is_reported_once(tmp_path: Path) -> None:
    text, first = error_of(tmp_path, change("        rows: $.data\n", "        returns: {gone: {type: bool}}\n"))
    assert first == 'resources.orders.methods.list_orders.returns.gone.type: no type "bool". Did you mean boolean?'
    assert "shop.yaml:21:32" in text


def test_all_problems_of_a_document_are_one_error(tmp_path: Path) -> None:
    broken = change("paginate: cursor", "pagnate: cursor").replace("type: integer", "type: integr")
    text, first = error_of(tmp_path, broken)
    assert first.endswith("(and 1 more)")
    assert "shop.yaml:13:25" in text
    assert "shop.yaml:22:9" in text
    assert "Did you mean integer?" in text
    assert "Did you mean paginate?" in text

    dangling = change("paginate: cursor", "paginate: curser").replace("{id: order_id}", "{ids: order}")
    text, first = error_of(tmp_path, dangling)
    assert first == 'key "ids" is no field (and 2 more)'
    for part in ('no method has the parameter "order"', 'no pagination "curser"', "Did you mean cursor?"):
        assert part in text


def test_a_version_that_is_not_chosen_is_checked_too(tmp_path: Path) -> None:
    _, first = error_of(tmp_path, change("paginate: cursor", "paginate: curser\n        versions: [v1]"))
    assert first == 'no pagination "curser"'


def test_a_mistake_in_an_anchored_block_points_at_the_block(tmp_path: Path) -> None:
    text, _ = error_of(
        tmp_path,
        change("resources:\n", "anchors:\n  text: &text {type: strin}\nresources:\n").replace(
            "      buyer: {type: string}\n", "      buyer: {<<: *text}\n"
        ),
    )
    assert text.startswith('resources.orders.fields.buyer.type: no type "strin"')
    assert "shop.yaml:9:22\n  9 |   text: &text {type: strin}" in text


@pytest.mark.parametrize(
    ("text", "summary", "place"),
    [
        ("provider: shop\n  base_url: x\n", "not YAML: mapping values are not allowed", "shop.yaml:2:11"),
        ("provider: [shop\n", "not YAML: ", "shop.yaml:2:1"),
        ("\tprovider: shop\n", "not YAML: found character that cannot start any token", "shop.yaml:1:1"),
        ("provider: *shop\n", "not YAML: found undefined alias", "shop.yaml:1:11"),
        (
            "provider: !!python/object/apply:os.getcwd []\n",
            "not YAML: could not determine a constructor",
            ":1:11",
        ),
        ("- provider\n", "a manifest document is a mapping", "shop.yaml:1:1"),
        ("provider: shop\n1: x\n", "a key is text; put it in quotes", "shop.yaml:2:1"),
        ("provider: shop\n? [a]\n: x\n", "a key is text; put it in quotes", "shop.yaml:2:3"),
        ("a: &a {<<: *a}\n", "nested deeper than 50 levels", "shop.yaml:1:4"),
        ("a: &a [*a]\n", "nested deeper than 50 levels", "shop.yaml:1:4"),
        ("a: " + "[" * 100_000, "nested deeper than 50 levels", "shop.yaml:1:53"),
        (GOOD + "---\nservice: sales\nresources: {}\n", 'a second document of the service "sales"', ":27:10"),
        (GOOD + "---\nprovider: other\n", "a second document of the provider", ":27:11"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_text_that_is_no_manifest(tmp_path: Path, text: str, summary: str, place: str) -> None:
    said, first = error_of(tmp_path, text)
    assert first.startswith(summary)
    assert place in said


@pytest.mark.parametrize("link", ["{name}: &{name} [{uses}]", "{name}: &{name} {{<<: [{uses}]}}"])
def test_an_alias_bomb_is_refused(tmp_path: Path, link: str) -> None:
    lines = ["a: &a {x: 1}"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(link.format(name=name, uses=", ".join([f"*{previous}"] * 9)))
    said, first = error_of(tmp_path, "\n".join(lines))
    assert first == "more than 500,000 values after aliases are followed"
    assert "shop.yaml:" in said


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_bytes(b"provider: \xff\xfe\n")
    with pytest.raises(ManifestError, match=r"cannot read .*shop\.yaml"):
        check(file)


def test_the_files_of_a_folder_are_all_checked(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("provider: a\nbase_url: {defalt: http://x}\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("provider: b\nbase_url: {default: http://x}\nheadrs: {}\n", encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        check(tmp_path)
    assert "defalt" in str(caught.value)
    assert "headrs" in str(caught.value)


def test_an_empty_folder_is_no_folder_of_manifests(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no manifests"):
        check(tmp_path)


OPERATION = (
    "create_order: {sql: INSERT, http: POST /orders, body: {live: {type: boolean, streams: true}}, AND}\n"
    "      follow: {sql: EXEC, http: 'GET /orders/{order_id}/events', query: {behind: {}}, stream: {}}\n"
    "      get_order: {sql: SELECT, http: 'GET /orders/{order_id}'}\n"
)
AWAIT = "await: {method: shop.sales.orders.get_order, parameters: {order_id: $.id}, state: $.state, done: [x]}"
WANTED = (
    ", wanted: {states: [y], calls: $.c, id: $.i, name: $.n, arguments: $.a, method: shop.sales.orders.follow, "
    "param: outputs, id_key: k, value_key: v}}"
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("orders.get_order,", "orders.get_ordr,", 'no method "shop.sales.orders.get_ordr"'),
        ("orders.get_order,", "orders.list_orders,", "shop.sales.orders.list_orders does not read one object"),
        ("parameters: {order_id", "parameters: {ordr_id", 'no parameter "ordr_id" of shop.sales.orders.get_order'),
        ("parameters: {order_id: $.id}, ", "", 'parameters lacks "order_id", which shop.sales.orders.get_order needs'),
        ("done: [x]", "done: []", "nothing would end the waiting well"),
        ("done: [x]", "done: [x], failed: [x]", "the state 'x' stands in two lists"),
        ("done: [x]}", f"done: [x]{WANTED}", 'no parameter "outputs" in the body of shop.sales.orders.follow'),
        ("stream: {}", "stream: {resume: {}}", "a stream is resumed with a `header` or with a `param`"),
        ("stream: {}", "stream: {resume: {param: behnd}}", 'no parameter "behnd" in the query'),
        ("sql: EXEC, http", "sql: SELECT, http", "a method that always answers with a stream is called with EXEC"),
        (AWAIT, "stream: {resume: {header: Last-Event-ID}}", "only a GET is resumed"),
    ],
)
def test_what_operations_and_streams_refer_to_must_exist(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = change("get_order: {sql: SELECT, http: 'GET /orders/{order_id}'}\n", OPERATION.replace("AND", AWAIT))
    if not said:
        (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
        assert check(tmp_path / "shop.yaml") == ["shop.sales.orders"]
        return
    assert text.count(old) == 1, old
    told, _ = error_of(tmp_path, text.replace(old, new))
    assert said in " ".join(told.split())
