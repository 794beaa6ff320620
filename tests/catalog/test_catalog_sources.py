"""Where manifests come from: bundled ones, folders of the user, single files; and which version is spoken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provider.catalog.loader import Catalog
from provider.catalog.yamltext import documents
from provider.errors import BindError, ManifestError

PROVIDER = "provider: {name}\nbase_url: {{default: http://127.0.0.1:9}}\n"
SERVICE = """\
service: {name}
resources:
  things: {{fields: {{id: {{type: string}}}}, methods: {{list_things: {{sql: SELECT, http: GET /things}}}}}}
"""


def write(path: Path, *texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("---\n".join(texts), encoding="utf-8")
    return path


def test_the_bundled_provider_is_there_without_asking() -> None:
    assert "openai" in Catalog().providers
    assert "assistants" in Catalog().services("openai")


def test_a_folder_of_providers(tmp_path: Path) -> None:
    write(tmp_path / "one" / "provider.yaml", PROVIDER.format(name="one"))
    write(tmp_path / "one" / "alpha.yaml", SERVICE.format(name="alpha"))
    write(tmp_path / "one" / "beta.yaml", SERVICE.format(name="beta"))
    write(tmp_path / "two.yaml", PROVIDER.format(name="two"), SERVICE.format(name="gamma"))
    catalog = Catalog([tmp_path])
    assert {"openai", "one", "two"} <= set(catalog.providers)
    assert catalog.services("one") == ("alpha", "beta")
    assert catalog.resource("one", "beta", "things").id == "one.beta.things"
    assert catalog.resource("two", "gamma", "things").id == "two.gamma.things"


def test_a_single_file_and_a_providers_own_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "file.yaml", PROVIDER.format(name="shop"), SERVICE.format(name="sales"))
    own = write(tmp_path / "any" / "provider.yaml", PROVIDER.format(name="depot"), SERVICE.format(name="stock"))
    write(tmp_path / "any" / "audit.yaml", SERVICE.format(name="audit"))
    catalog = Catalog([file])
    assert catalog.services("shop") == ("sales",)
    with pytest.raises(ManifestError, match='provider "depot" stands under the name "any"'):
        Catalog([tmp_path]).provider("any")
    catalog = Catalog([own.parent])
    assert catalog.services("depot") == ("audit", "stock")


def test_a_later_provider_replaces_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path / "openai.yaml", PROVIDER.format(name="openai"), SERVICE.format(name="mine"))
    assert Catalog([tmp_path]).services("openai") == ("mine",)


def test_a_broken_file_hurts_only_those_who_use_it(tmp_path: Path) -> None:
    write(tmp_path / "broken.yaml", "provider: [")
    catalog = Catalog([tmp_path])
    assert catalog.service("openai", "assistants").version == "v2"
    with pytest.raises(ManifestError, match="not YAML"):
        catalog.services("broken")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = write(tmp_path / "shop.yaml", PROVIDER.format(name="shop"), SERVICE.format(name="sales"))
    assert Catalog([tmp_path]).services("shop") == ("sales",)
    before = file.stat()
    write(file, PROVIDER.format(name="shop"), SERVICE.format(name="stock"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert Catalog([tmp_path]).services("shop") == ("stock",)


def test_a_service_file_is_named_after_its_service_and_holds_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "shop" / "provider.yaml", PROVIDER.format(name="shop"))
    write(tmp_path / "shop" / "sales.yaml", SERVICE.format(name="sale"))
    with pytest.raises(ManifestError, match="has no document `service: sales`"):
        Catalog([tmp_path]).service("shop", "sales")
    write(tmp_path / "shop" / "stock.yaml", SERVICE.format(name="stock"), SERVICE.format(name="depots"))
    with pytest.raises(ManifestError, match="a service's file holds one document"):
        Catalog([tmp_path]).service("shop", "stock")


def test_a_folder_without_manifests(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no manifests at"):
        Catalog([tmp_path / "absent"])


def test_unknown_names_are_errors_with_candidates() -> None:
    catalog = Catalog()
    for call, remedy in (
        (lambda: catalog.provider("opanai"), "Did you mean openai?"),
        (lambda: catalog.service("openai", "assistant"), "Did you mean assistants?"),
        (lambda: catalog.resource("openai", "assistants", "thread"), "Did you mean threads"),
    ):
        with pytest.raises(BindError) as caught:
            call()
        assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("versions", "environ", "spoken"),
    [
        ({}, {}, "v2"),
        ({}, {"OPENAI_ASSISTANTS_VERSION": "v1"}, "v1"),
        ({"openai": "v2"}, {"OPENAI_ASSISTANTS_VERSION": "v1"}, "v2"),
        ({"openai": "v2", "openai.assistants": "v1"}, {}, "v1"),
    ],
)
def test_the_version_is_chosen_by_service_then_provider_then_environment_then_default(
    versions: dict[str, str], environ: dict[str, str], spoken: str
) -> None:
    assert Catalog(versions=versions, environ=environ).service("openai", "assistants").version == spoken


def test_a_version_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(BindError, match=r'openai\.assistants has no version "v3"') as caught:
        Catalog(versions={"openai.assistants": "v3"}).service("openai", "assistants")
    assert "Versions: v1, v2" in str(caught.value)


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "{a: no, b: on, c: 1:30, d: 2020-01-01, e: =, f: 007, g: true, h: 7, i: -1.5e3, j: ~, k: '5', l: 1.5}"
    assert documents(text, "x.yaml")[0].data == {
        "a": "no",
        "b": "on",
        "c": "1:30",
        "d": "2020-01-01",
        "e": "=",
        "f": "007",
        "g": True,
        "h": 7,
        "i": -1500.0,
        "j": None,
        "k": "5",
        "l": 1.5,
    }
