"""A small provider whose `auth` a test chooses, and connections to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import provider
from tests.rest.webserver import Reply, Seen

_MANIFEST = """
provider: shop
base_url: {{default: '{url}', env: SHOP_URL}}
auth: {auth}
errors: {{message: $.error}}
{more}
---
service: sales
resources:
  orders:
    key: {{id: order_id}}
    fields: {{id: {{type: string}}, state: {{type: string}}}}
    methods:
      get_order: {{sql: SELECT, http: 'GET /orders/{{order_id}}'}}
      list_orders: {{sql: SELECT, http: GET /orders, rows: $.data}}
      create_order: {{sql: INSERT, http: POST /orders, body: {{state: {{}}}}}}
      change_order: {{sql: UPDATE, http: 'PATCH /orders/{{order_id}}', body: {{state: {{}}}}}}
"""

ORDERS = [{"id": "o1", "state": "open"}, {"id": "o2", "state": "paid"}]
LIST = "SELECT id FROM shop.sales.orders ORDER BY id"


def connect(
    folder: Path, url: str, auth: str, environ: Mapping[str, str], more: str = "", **options: Any
) -> provider.Connection:
    """A connection to the shop at `url`, with `auth` in YAML."""
    file = folder / "shop.yaml"
    file.write_text(_MANIFEST.format(url=url, auth=auth, more=more), encoding="utf-8")
    tokens = {"APIQL_TOKENS": str(folder / "tokens")}
    return provider.connect(manifests=[file], environ={**tokens, **environ}, **options)


def orders(request: Seen) -> Reply:
    """The shop's own answers."""
    match request.method, request.path.split("/")[1:]:
        case "GET", ["orders"]:
            return Reply(body={"data": ORDERS})
        case "POST", ["orders"]:
            return Reply(201, {"id": "o3", "state": "open"})
        case "GET", ["orders", key]:
            return Reply(body={"id": key, "state": "open"})
        case _:
            return Reply(404, {"error": "no such path"})
