"""The bundled manifest of `openai.assistants`: every operation of v1 and v2 with its parameters."""

from __future__ import annotations

import pytest

from provider.catalog.catalog import Service
from provider.catalog.loader import Catalog, bundled, check
from provider.catalog.paging import CursorPages
from provider.errors import BindError

# resource, method, verb, HTTP, required parameters (SQL's names), other parameters; versions that have it.
BOTH, V1, V2 = ("v1", "v2"), ("v1",), ("v2",)
LIST = "limit order after before"
ASSISTANT = "name description instructions tools metadata temperature top_p response_format"
RUN = (
    "model instructions tools metadata temperature top_p stream max_prompt_tokens max_completion_tokens"
    " truncation_strategy tool_choice response_format"
)
M = "GET /threads/{thread_id}/messages"
R = "/threads/{thread_id}/runs"

OPERATIONS = [
    ("assistants", "get_assistant", "SELECT", "GET /assistants/{assistant_id}", "assistant_id", "", BOTH),
    ("assistants", "list_assistants", "SELECT", "GET /assistants", "", LIST, BOTH),
    ("assistants", "create_assistant", "INSERT", "POST /assistants", "model", f"{ASSISTANT} file_ids", V1),
    ("assistants", "create_assistant", "INSERT", "POST /assistants", "model",
     f"{ASSISTANT} tool_resources reasoning_effort", V2),
    ("assistants", "modify_assistant", "UPDATE", "POST /assistants/{assistant_id}", "assistant_id",
     f"model {ASSISTANT} file_ids", V1),
    ("assistants", "modify_assistant", "UPDATE", "POST /assistants/{assistant_id}", "assistant_id",
     f"model {ASSISTANT} tool_resources reasoning_effort", V2),
    ("assistants", "delete_assistant", "DELETE", "DELETE /assistants/{assistant_id}", "assistant_id",
     "", BOTH),
    ("assistant_files", "get_assistant_file", "SELECT", "GET /assistants/{assistant_id}/files/{file_id}",
     "assistant_id file_id", "", V1),
    ("assistant_files", "list_assistant_files", "SELECT", "GET /assistants/{assistant_id}/files",
     "assistant_id", LIST, V1),
    ("assistant_files", "create_assistant_file", "INSERT", "POST /assistants/{assistant_id}/files",
     "assistant_id file_id", "", V1),
    ("assistant_files", "delete_assistant_file", "DELETE",
     "DELETE /assistants/{assistant_id}/files/{file_id}",
     "assistant_id file_id", "", V1),
    ("threads", "get_thread", "SELECT", "GET /threads/{thread_id}", "thread_id", "", BOTH),
    ("threads", "create_thread", "INSERT", "POST /threads", "", "messages metadata", V1),
    ("threads", "create_thread", "INSERT", "POST /threads", "", "messages metadata tool_resources", V2),
    ("threads", "modify_thread", "UPDATE", "POST /threads/{thread_id}", "thread_id", "metadata", V1),
    ("threads", "modify_thread", "UPDATE", "POST /threads/{thread_id}", "thread_id",
     "metadata tool_resources", V2),
    ("threads", "delete_thread", "DELETE", "DELETE /threads/{thread_id}", "thread_id", "", BOTH),
    ("threads", "create_thread_and_run", "EXEC", "POST /threads/runs", "assistant_id", f"thread {RUN}", V1),
    ("threads", "create_thread_and_run", "EXEC", "POST /threads/runs", "assistant_id",
     f"thread {RUN} tool_resources parallel_tool_calls", V2),
    ("messages", "get_message", "SELECT", M + "/{message_id}", "thread_id message_id", "", BOTH),
    ("messages", "list_messages", "SELECT", M, "thread_id", f"{LIST} run_id", BOTH),
    ("messages", "create_message", "INSERT", "POST /threads/{thread_id}/messages", "thread_id role content",
     "metadata file_ids", V1),
    ("messages", "create_message", "INSERT", "POST /threads/{thread_id}/messages", "thread_id role content",
     "metadata attachments", V2),
    ("messages", "modify_message", "UPDATE", "POST /threads/{thread_id}/messages/{message_id}",
     "thread_id message_id", "metadata", BOTH),
    ("messages", "delete_message", "DELETE", "DELETE /threads/{thread_id}/messages/{message_id}",
     "thread_id message_id", "", V2),
    ("message_files", "get_message_file", "SELECT", M + "/{message_id}/files/{file_id}",
     "thread_id message_id file_id", "", V1),
    ("message_files", "list_message_files", "SELECT", M + "/{message_id}/files",
     "thread_id message_id", LIST, V1),
    ("runs", "get_run", "SELECT", f"GET {R}/{{run_id}}", "thread_id run_id", "", BOTH),
    ("runs", "list_runs", "SELECT", f"GET {R}", "thread_id", LIST, BOTH),
    ("runs", "create_run", "INSERT", f"POST {R}", "thread_id assistant_id",
     f"{RUN} additional_instructions additional_messages", V1),
    ("runs", "create_run", "INSERT", f"POST {R}", "thread_id assistant_id",
     f"{RUN} additional_instructions additional_messages parallel_tool_calls reasoning_effort include", V2),
    ("runs", "modify_run", "UPDATE", f"POST {R}/{{run_id}}", "thread_id run_id", "metadata", BOTH),
    ("runs", "cancel_run", "EXEC", f"POST {R}/{{run_id}}/cancel", "thread_id run_id", "", BOTH),
    ("runs", "submit_tool_ouputs_to_run", "EXEC", f"POST {R}/{{run_id}}/submit_tool_outputs",
     "thread_id run_id tool_outputs", "stream", BOTH),
    ("run_steps", "get_run_step", "SELECT", f"GET {R}/{{run_id}}/steps/{{step_id}}",
     "thread_id run_id step_id", "", V1),
    ("run_steps", "get_run_step", "SELECT", f"GET {R}/{{run_id}}/steps/{{step_id}}",
     "thread_id run_id step_id", "include", V2),
    ("run_steps", "list_run_steps", "SELECT", f"GET {R}/{{run_id}}/steps", "thread_id run_id", LIST, V1),
    ("run_steps", "list_run_steps", "SELECT", f"GET {R}/{{run_id}}/steps", "thread_id run_id",
     f"{LIST} include", V2),
]  # fmt: skip

FIELDS = {
    "assistants": (
        "id object created_at name description model instructions tools metadata",
        "file_ids",
        "tool_resources temperature top_p response_format",
    ),
    "assistant_files": ("id object created_at assistant_id", "", None),
    "threads": ("id object created_at metadata", "", "tool_resources"),
    "messages": (
        "id object created_at thread_id status incomplete_details completed_at incomplete_at role content"
        " assistant_id run_id metadata",
        "file_ids",
        "attachments",
    ),
    "message_files": ("id object created_at message_id", "", None),
    "runs": (
        "id object created_at thread_id assistant_id status required_action last_error expires_at started_at"
        " cancelled_at failed_at completed_at incomplete_details model instructions tools metadata usage"
        " temperature top_p max_prompt_tokens max_completion_tokens truncation_strategy tool_choice"
        " response_format",
        "file_ids",
        "parallel_tool_calls",
    ),
    "run_steps": (
        "id object created_at assistant_id thread_id run_id type status step_details last_error expired_at"
        " cancelled_at failed_at completed_at metadata usage",
        "",
        "",
    ),
}

ALIASES = {
    "assistants": {"get": "get_assistant", "list": "list_assistants", "create": "create_assistant",
                   "update": "modify_assistant", "delete": "delete_assistant"},
    "threads": {"get": "get_thread", "create": "create_thread", "update": "modify_thread",
                "delete": "delete_thread", "create_thread_and_run": "create_thread_and_run"},
    "messages": {"get": "get_message", "list": "list_messages", "create": "create_message",
                 "update": "modify_message", "delete": "delete_message"},
    "runs": {"get": "get_run", "list": "list_runs", "create": "create_run", "update": "modify_run",
             "cancel": "cancel_run", "submit_tool_outputs": "submit_tool_ouputs_to_run",
             "submit_tool_outputs_to_run": "submit_tool_ouputs_to_run"},
    "run_steps": {"get": "get_run_step", "list": "list_run_steps"},
}  # fmt: skip

KEYS = {
    "assistants": {"id": "assistant_id"},
    "assistant_files": {"id": "file_id"},
    "threads": {"id": "thread_id"},
    "messages": {"id": "message_id"},
    "message_files": {"id": "file_id"},
    "runs": {"id": "run_id"},
    "run_steps": {"id": "step_id"},
}


def assistants(version: str) -> Service:
    return Catalog(versions={"openai": version}, environ={}).service("openai", "assistants")


def test_the_bundled_manifests_load_in_every_version() -> None:
    assert set(check(bundled())) >= {f"openai.assistants.{name}" for name in FIELDS}


@pytest.mark.parametrize(("version", "count"), [("v1", 28), ("v2", 23)])
def test_a_version_has_its_operations_and_no_other(version: str, count: int) -> None:
    found = {
        (
            name,
            method.name,
            method.verb,
            method.http,
            frozenset(p.name for p in method.required),
            frozenset(p.name for p in method.parameters if not p.required),
        )
        for name, resource in assistants(version).resources.items()
        for method in resource.methods
    }
    expected = {
        (*row[:4], frozenset(row[4].split()), frozenset(row[5].split())) for row in OPERATIONS if version in row[6]
    }
    assert found == expected
    assert len(found) == count


@pytest.mark.parametrize("version", BOTH)
def test_a_resource_has_the_fields_of_its_version(version: str) -> None:
    expected = {
        name: set(f"{both} {v1 if version == 'v1' else v2}".split())
        for name, (both, v1, v2) in FIELDS.items()
        if version == "v1" or v2 is not None
    }
    found = {n: {f.name for f in r.fields} for n, r in assistants(version).resources.items()}
    assert found == expected


@pytest.mark.parametrize("version", BOTH)
def test_fields_of_the_same_name_have_the_type_that_the_api_documents(version: str) -> None:
    kinds = {
        "integer": "created_at completed_at incomplete_at expires_at started_at cancelled_at failed_at"
        " expired_at max_prompt_tokens max_completion_tokens",
        "number": "temperature top_p",
        "boolean": "parallel_tool_calls",
        "array": "tools file_ids content attachments",
        "object": "metadata tool_resources incomplete_details required_action last_error usage step_details"
        " truncation_strategy",
        "any": "tool_choice response_format",
    }
    types = {name: kind for kind, names in kinds.items() for name in names.split()}
    for resource in assistants(version).resources.values():
        for field in resource.fields:
            assert field.type.base == types.get(field.name, "string"), (resource.name, field.name)
            if field.name.endswith("_at"):
                assert field.type.unit == "unix seconds"


@pytest.mark.parametrize("version", BOTH)
def test_everything_is_described(version: str) -> None:
    for resource in assistants(version).resources.values():
        assert resource.description
        for method in resource.methods:
            assert method.description, method.name
            assert all(f.description for f in method.returns), method.name
            described = [p for p in method.parameters if p.location != "path"]
            assert all(p.description for p in described), method.name


def test_keys_name_the_path_parameter() -> None:
    assert {n: dict(r.key) for n, r in assistants("v1").resources.items()} == KEYS
    v2 = {n: k for n, k in KEYS.items() if n not in ("assistant_files", "message_files")}
    assert {n: dict(r.key) for n, r in assistants("v2").resources.items()} == v2


def test_the_names_of_2026_are_aliases() -> None:
    for name, aliases in ALIASES.items():
        resource = assistants("v2").resources[name]
        for alias, method in aliases.items():
            found = resource.method(alias)
            assert found is not None
            assert found.name == method


@pytest.mark.parametrize("version", BOTH)
def test_every_list_pages_and_is_sorted_by_creation(version: str) -> None:
    for resource in assistants(version).resources.values():
        for method in resource.methods:
            assert method.is_list == method.name.startswith("list_")
            if method.is_list:
                assert method.rows == ("data",)
                assert isinstance(method.pages, CursorPages)
                assert method.pages.param == "after"
                by = method.sorted_by
                assert by is not None
                assert (by.field, by.param, by.default) == ("created_at", "order", "desc")
                order = method.parameter("order")
                assert order is not None
                assert order.enum == ("asc", "desc")


def test_only_run_id_of_messages_is_pushed_down() -> None:
    pushed = {
        (m.name, field, push.param, push.match, push.operator)
        for r in assistants("v2").resources.values()
        for m in r.methods
        for field, pushed in m.pushdown.items()
        for push in pushed
    }
    assert pushed == {("list_messages", "run_id", "run_id", "exact", "=")}


def test_include_has_brackets_on_the_wire() -> None:
    for name, method in (
        ("runs", "create_run"),
        ("run_steps", "get_run_step"),
        ("run_steps", "list_run_steps"),
    ):
        found = assistants("v2").resources[name].method(method)
        assert found is not None
        include = found.parameter("include")
        assert include is not None
        assert (include.wire, include.location) == ("include[]", "query")


@pytest.mark.parametrize("version", BOTH)
def test_a_delete_answers_an_envelope(version: str) -> None:
    for resource in assistants(version).resources.values():
        for method in resource.methods_for("DELETE"):
            assert [(f.name, f.type.base) for f in method.returns] == [
                ("id", "string"),
                ("object", "string"),
                ("deleted", "boolean"),
            ]


@pytest.mark.parametrize("version", BOTH)
def test_a_thread_created_and_run_answers_the_run(version: str) -> None:
    service = assistants(version)
    method = service.resources["threads"].method("create_thread_and_run")
    assert method is not None
    assert method.returns == service.resources["runs"].fields


def test_limits_of_request_bodies() -> None:
    service = assistants("v2")

    def limits(resource: str, method: str, name: str) -> tuple[object, ...]:
        found = service.resources[resource].method(method)
        assert found is not None
        p = found.parameter(f"data__{name}")
        assert p is not None
        return p.type.base, p.minimum, p.maximum, p.max_length, p.max_items

    assert limits("assistants", "create", "name") == ("string", None, None, 256, None)
    assert limits("assistants", "create", "description") == ("string", None, None, 512, None)
    assert limits("assistants", "create", "instructions") == ("string", None, None, 256_000, None)
    assert limits("assistants", "update", "tools") == ("array", None, None, None, 128)
    assert limits("runs", "create", "tools") == ("array", None, None, None, 20)
    assert limits("runs", "create", "temperature") == ("number", 0, 2, None, None)
    assert limits("runs", "create", "top_p") == ("number", 0, 1, None, None)
    assert limits("threads", "create_thread_and_run", "max_prompt_tokens") == (
        "integer",
        256,
        None,
        None,
        None,
    )
    assert limits("messages", "create", "content") == ("any", None, None, None, None)
    for resource in service.resources.values():
        for method in resource.methods:
            if method.parameter("data__metadata"):
                assert limits(resource.name, method.name, "metadata")[4] == 16


@pytest.mark.parametrize("version", BOTH)
def test_the_header_names_the_version(version: str) -> None:
    assert assistants(version).headers == {"OpenAI-Beta": f"assistants={version}"}


@pytest.mark.parametrize(
    ("version", "other", "resource"), [("v2", "v1", "assistant_files"), ("v2", "v1", "message_files")]
)
def test_a_resource_of_the_other_version_is_an_error_that_says_how_to_choose_it(
    version: str, other: str, resource: str
) -> None:
    with pytest.raises(BindError) as caught:
        Catalog(versions={"openai": version}, environ={}).resource("openai", "assistants", resource)
    text = str(caught.value)
    assert f"openai.assistants.{resource} exists in {other} of the API only" in text
    assert f"This connection speaks {version}." in text
    assert f'provider.connect(versions={{"openai.assistants": "{other}"}})' in text
    assert f"--api-version openai.assistants={other}" in text
    assert f"OPENAI_ASSISTANTS_VERSION={other}" in text


def test_what_a_version_lacks_is_known_by_name() -> None:
    v1, v2 = assistants("v1").resources, assistants("v2").resources
    assert v1["threads"].elsewhere["tool_resources"] == ("v2",)
    assert v1["assistants"].elsewhere["temperature"] == ("v2",)
    assert v1["messages"].elsewhere["delete_message"] == ("v2",)
    assert v1["messages"].elsewhere["delete"] == ("v2",)
    assert v1["runs"].elsewhere["include"] == ("v2",)
    assert v2["messages"].elsewhere == {"file_ids": ("v1",)}
    assert v2["threads"].elsewhere == {}
