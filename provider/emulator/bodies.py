"""The rules of request bodies, as tables of small checks.

A check takes a value and its path (`messages[0].role`) and raises the documented refusal. Bodies are
closed: a property that the table does not name is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from provider.emulator.answers import sample
from provider.emulator.refusal import Refusal, invalid, wrong_prefix

Check = Callable[[object, str], None]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_WORDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),  # before int: bool is a subclass of it
    (str, "a string"),
    (int, "an integer"),
    (float, "a decimal"),
    (list, "an array"),
    (dict, "an object"),
)


def _word(value: object) -> str:
    return next((word for kind, word in _WORDS if isinstance(value, kind)), "null")


def _wrong_type(value: object, path: str, expected: str) -> Refusal:
    message = f"Invalid type for '{path or 'body'}': expected {expected}, but got {_word(value)} instead."
    return invalid(message, path or None, "invalid_type")


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def text(*, longest: int | None = None, shortest: int = 0) -> Check:
    """A string whose length lies in the bounds."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, path, "a string")
        _length(len(value), path, "string", longest, shortest)

    return check


def _length(size: int, path: str, what: str, longest: int | None, shortest: int) -> None:
    article = "an" if what == "array" else "a"
    if longest is not None and size > longest:
        raise invalid(
            f"Invalid '{path}': {what} too long. Expected {article} {what} with maximum length {longest}, "
            f"but got {article} {what} with length {size} instead.",
            path,
            f"{what}_above_max_length",
        )
    if size < shortest:
        raise invalid(
            f"Invalid '{path}': {what} too short. Expected {article} {what} with minimum length {shortest}, "
            f"but got {article} {what} with length {size} instead.",
            path,
            f"{what}_below_min_length",
        )


def choice(*values: str) -> Check:
    """One of the named strings."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, path, "a string")
        if value not in values:
            quoted = [f"'{known}'" for known in values]
            known = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
            raise invalid(f"Invalid value: '{value}'. Supported values are: {known}.", path, "invalid_value")

    return check


def name(value: object, path: str) -> None:
    """A name of a function or a schema: letters, digits, _ and -, at most 64."""
    text(longest=64, shortest=1)(value, path)
    if not _NAME.fullmatch(str(value)):
        raise invalid(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            path,
            "invalid_value",
        )


def identifier(word: str) -> Check:
    """An id that begins with `word`."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, path, "a string")
        if not value.startswith(word):
            raise wrong_prefix(path, value, word)

    return check


def boolean(value: object, path: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong_type(value, path, "a boolean")


def integer(lowest: int | None = None, highest: int | None = None) -> Check:
    """An integer in the bounds."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(value, path, "an integer")
        _bounds(value, path, "integer", lowest, highest)

    return check


def number(lowest: float, highest: float) -> Check:
    """An integer or a decimal in the bounds."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(value, path, "a decimal")
        _bounds(value, path, "decimal", lowest, highest)

    return check


def _bounds(value: float, path: str, what: str, lowest: float | None, highest: float | None) -> None:
    if highest is not None and value > highest:
        raise invalid(
            f"Invalid '{path}': {what} above maximum value. Expected a value <= {highest}, but got {value} instead.",
            path,
            f"{what}_above_max_value",
        )
    if lowest is not None and value < lowest:
        raise invalid(
            f"Invalid '{path}': {what} below minimum value. Expected a value >= {lowest}, but got {value} instead.",
            path,
            f"{what}_below_min_value",
        )


def array(item: Check, *, longest: int | None = None, shortest: int = 0) -> Check:
    """An array of `item`."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise _wrong_type(value, path, "an array")
        _length(len(value), path, "array", longest, shortest)
        for index, element in enumerate(value):
            item(element, f"{path}[{index}]")

    return check


def anything(value: object, path: str) -> None:
    """An open object."""
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "an object")


def schema(value: object, path: str) -> None:
    """A JSON schema that the emulator can make a value for."""
    anything(value, path)
    try:
        sample(value)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise invalid(f"Invalid '{path}': this is no JSON schema ({error}).", path, "invalid_value") from error


def closed(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object that has no other properties than `fields`."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        lead = f"{path}." if path else ""
        for key in value:
            if key not in fields:
                raise invalid(f"Unknown parameter: '{lead}{key}'.", lead + key, "unknown_parameter")
        for key in required:
            if key not in value:
                raise invalid(f"Missing required parameter: '{lead}{key}'.", lead + key, "missing_required_parameter")
        for key, element in value.items():
            fields[key](element, lead + key)

    return check


def tagged(variants: Mapping[str, Check]) -> Check:
    """An object whose `type` says which check it has to pass."""
    known = choice(*variants)

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        if "type" not in value:
            raise invalid(f"Missing required parameter: '{path}.type'.", f"{path}.type", "missing_required_parameter")
        known(value["type"], f"{path}.type")
        variants[value["type"]](value, path)

    return check


def either(variants: Mapping[type, Check]) -> Check:
    """A value whose JSON type says which check it has to pass."""
    expected = " or ".join(word for kind, word in _WORDS if kind in variants)

    def check(value: object, path: str) -> None:
        for kind, variant in variants.items():
            if _is(value, kind):
                return variant(value, path)
        raise _wrong_type(value, path, expected)

    return check


def nullable(check: Check) -> Check:
    """The same, or null."""
    return lambda value, path: None if value is None else check(value, path)


def metadata(value: object, path: str) -> None:
    """At most 16 pairs, keys of at most 64 characters, string values of at most 512; or null."""
    if value is None:
        return
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "an object")
    if len(value) > 16:
        raise invalid(
            f"Invalid '{path}': too many properties. Expected an object with at most 16 properties, "
            f"but got an object with {len(value)} properties instead.",
            path,
            "object_above_max_properties",
        )
    for key, element in value.items():
        if len(key) > 64:
            raise invalid(
                f"Invalid '{path}': property name too long. Expected a property name with maximum length 64, "
                f"but got a property name with length {len(key)} instead.",
                path,
                "property_name_above_max_length",
            )
        text(longest=512)(element, f"{path}.{key}")


def _tag(**fields: Check) -> Check:
    """A variant of a tagged object: its `type`, and `fields`, all of them required."""
    return closed({"type": text(), **fields}, ("type", *fields))


_FUNCTION = _tag(
    function=closed(
        {
            "name": name,
            "description": text(),
            "parameters": schema,
            "strict": nullable(boolean),
        },
        ("name",),
    )
)
_FILE_SEARCH = closed(
    {
        "type": text(),
        "file_search": closed(
            {
                "max_num_results": integer(1, 50),
                "ranking_options": closed(
                    {"ranker": choice("auto", "default_2024_08_21"), "score_threshold": number(0, 1)},
                    ("score_threshold",),
                ),
            }
        ),
    }
)
_IMAGE_DETAIL = choice("auto", "low", "high")
_CONTENT = either(
    {
        str: text(),
        list: array(
            tagged(
                {
                    "text": _tag(text=text()),
                    "image_file": _tag(image_file=closed({"file_id": text(), "detail": _IMAGE_DETAIL}, ("file_id",))),
                    "image_url": _tag(image_url=closed({"url": text(), "detail": _IMAGE_DETAIL}, ("url",))),
                }
            ),
            shortest=1,
        ),
    }
)
_EFFORT = nullable(choice("none", "minimal", "low", "medium", "high", "xhigh", "max"))
_CODE_RESOURCES = closed({"file_ids": array(text(), longest=20)})
_STORE_IDS = array(text(), longest=1)


def _static_chunks(value: object, path: str) -> None:
    closed(
        {"max_chunk_size_tokens": integer(100, 4096), "chunk_overlap_tokens": integer(0)},
        ("max_chunk_size_tokens", "chunk_overlap_tokens"),
    )(value, path)
    if isinstance(value, dict):
        integer(0, value["max_chunk_size_tokens"] // 2)(value["chunk_overlap_tokens"], f"{path}.chunk_overlap_tokens")


_NEW_STORE = closed(
    {
        "file_ids": array(text()),
        "chunking_strategy": tagged({"auto": _tag(), "static": _tag(static=_static_chunks)}),
        "metadata": metadata,
    }
)


def _new_search(value: object, path: str) -> None:
    closed({"vector_store_ids": _STORE_IDS, "vector_stores": array(_NEW_STORE, longest=1)})(value, path)
    if isinstance(value, dict) and {"vector_store_ids", "vector_stores"} <= value.keys():
        raise invalid(
            f"Invalid '{path}': give either 'vector_store_ids' or 'vector_stores', not both.",
            path,
            "invalid_value",
        )


_RESOURCES = nullable(
    closed({"code_interpreter": _CODE_RESOURCES, "file_search": closed({"vector_store_ids": _STORE_IDS})})
)
_NEW_RESOURCES = nullable(closed({"code_interpreter": _CODE_RESOURCES, "file_search": _new_search}))


@cache
def checks(version: int) -> Mapping[str, Check]:
    """The check of each operation that has a body, by operation name, for version 1 or 2."""
    first = version == 1
    search = {"retrieval": _tag()} if first else {"file_search": _FILE_SEARCH}
    tool = tagged({"code_interpreter": _tag(), **search, "function": _FUNCTION})
    named: dict[str, Check] = {word: _tag() for word in ("code_interpreter", *search)}
    named["function"] = _tag(function=closed({"name": text()}, ("name",)))
    formats: dict[str, Check] = {"text": _tag(), "json_object": _tag()}
    if not first:
        formats["json_schema"] = _tag(
            json_schema=closed(
                {"name": name, "description": text(), "schema": schema, "strict": nullable(boolean)},
                ("name",),
            )
        )
    response_format = nullable(
        either({str: choice("none", "auto") if first else choice("auto"), dict: tagged(formats)})
    )
    sampling: dict[str, Check] = {
        "temperature": nullable(number(0, 2)),
        "top_p": nullable(number(0, 1)),
        "response_format": response_format,
        "metadata": metadata,
    }
    message_files: dict[str, Check] = (
        {"file_ids": array(text(), longest=10)}
        if first
        else {
            "attachments": nullable(
                array(
                    closed(
                        {
                            "file_id": text(),
                            "tools": array(tagged({"code_interpreter": _tag(), "file_search": _tag()})),
                        }
                    )
                )
            )
        }
    )
    message = closed(
        {
            "role": choice("user", "assistant"),
            "content": text(longest=256_000, shortest=1) if first else _CONTENT,
            "metadata": metadata,
            **message_files,
        },
        ("role", "content"),
    )
    files: dict[str, Check] = {"file_ids": array(text(), longest=20)}
    assistant: dict[str, Check] = {
        "model": text(),
        "name": nullable(text(longest=256)),
        "description": nullable(text(longest=512)),
        "instructions": nullable(text(longest=256_000)),
        "tools": array(tool, longest=128),
        **sampling,
        **({} if first else {"reasoning_effort": _EFFORT}),
    }
    thread: dict[str, Check] = {"messages": array(message), "metadata": metadata}
    new_resources: dict[str, Check] = {} if first else {"tool_resources": _NEW_RESOURCES}
    resources: dict[str, Check] = {} if first else {"tool_resources": _RESOURCES}
    run: dict[str, Check] = {
        "assistant_id": identifier("asst"),
        "model": nullable(text()),
        "instructions": nullable(text()),
        "tools": nullable(array(tool, longest=20)),
        **sampling,
        "stream": nullable(boolean),
        "max_prompt_tokens": nullable(integer(256)),
        "max_completion_tokens": nullable(integer(256)),
        "truncation_strategy": nullable(
            closed({"type": choice("auto", "last_messages"), "last_messages": nullable(integer(1))}, ("type",))
        ),
        "tool_choice": nullable(
            either(
                {
                    str: choice("none", "auto") if first else choice("none", "auto", "required"),
                    dict: tagged(named),
                }
            )
        ),
        **({} if first else {"parallel_tool_calls": boolean}),
    }
    more: dict[str, Check] = {
        "additional_instructions": nullable(text()),
        "additional_messages": nullable(array(message)),
        **({} if first else {"reasoning_effort": _EFFORT}),
    }
    only_metadata = closed({"metadata": metadata})
    return {
        "create_assistant": closed(assistant | (files if first else new_resources), ("model",)),
        "modify_assistant": closed(assistant | (files if first else resources)),
        "create_assistant_file": closed({"file_id": identifier("file")}, ("file_id",)),
        "create_thread": closed(thread | new_resources),
        "modify_thread": closed({"metadata": metadata, **resources}),
        "create_message": message,
        "modify_message": only_metadata,
        "create_run": closed(run | more, ("assistant_id",)),
        "create_thread_and_run": closed(
            run | resources | {"thread": closed(thread | new_resources)}, ("assistant_id",)
        ),
        "modify_run": only_metadata,
        "cancel_run": closed({}),
        "submit_tool_ouputs_to_run": closed(
            {
                "tool_outputs": array(closed({"tool_call_id": text(), "output": text()})),
                "stream": nullable(boolean),
            },
            ("tool_outputs",),
        ),
    }
