"""How a manifest says that an answer is only a beginning: operations that go on, and streams of events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from provider.catalog.limits import Wait
from provider.catalog.model import Model, Path, Pattern


class Wanted(Model):
    """An operation that waits for its caller: what it asks for, and the method that gives it."""

    states: list[str] = Field(min_length=1, description="the states in which it waits")
    calls: Path = Field(description="path of the array of what is wanted, in the object")
    id: Path = Field(description="path of an element's id, in the element; so are `name` and `arguments`")
    name: Path = Field(description="path of the function's name")
    arguments: Path = Field(description="path of the function's arguments")
    method: str = Field(description="the method that takes the outputs: provider.service.resource.method")
    param: str = Field(description="its parameter of the body, an array with an object for each call")
    id_key: str = Field(description="the key of such an object that takes the call's id")
    value_key: str = Field(description="the key that takes the output")


class Await(Model):
    """When an operation that a method begins has ended, and how one looks."""

    method: str = Field(description="the method that reads the object: provider.service.resource.method")
    parameters: dict[str, Path] = Field(default={}, description="its parameter -> a path in the object")
    state: Path = Field(description="path of the state, in the object")
    done: list[str] = Field(default=[], description="the states of success")
    failed: list[str] = Field(default=[], description="the states of failure; all others are on the way")
    error: list[Path] = Field(default=[], description="where a failed object says why; the first that does counts")
    code: Path | None = Field(default=None, description="where it has the error's code")
    wanted: Wanted | None = Field(default=None, description="the states in which it waits for its caller")
    gone: Literal["done", "failed"] = Field(default="failed", description="what it means that the object is gone")
    interval: float = Field(default=1.0, gt=0, description="seconds before the first look; each pause is half longer")
    max_interval: float = Field(default=10.0, gt=0, description="the longest pause, in seconds")
    deadline: float = Field(default=3600.0, gt=0, description="seconds until the waiting ends, not the operation")
    waits: list[Wait] = Field(default=[], description="where answers say when to look again; Retry-After is read too")

    @model_validator(mode="after")
    def _states_differ(self) -> Await:
        listed = [*self.done, *self.failed, *(self.wanted.states if self.wanted else ())]
        twice = [s for i, s in enumerate(listed) if s in listed[:i]]
        if twice:
            raise ValueError(f"the state {twice[0]!r} stands in two lists")
        if not self.done and self.gone != "done":
            raise ValueError("nothing would end the waiting well: it needs states in `done`, or `gone: done`")
        return self


class StreamFailure(Model):
    """The event that says that something went wrong."""

    event: str = Field(description="its name")
    message: Path = Field(description="path of the message in its data")
    code: Path | None = Field(default=None, description="path of the error's code")


class StreamText(Model):
    """The events that bring a text in pieces."""

    event: str = Field(description="their name")
    path: Path = Field(description="path of the piece in their data; arrays on the way stand for all their elements")


class Resume(Model):
    """How a stream is taken up again behind the last event that came."""

    header: str | None = Field(default=None, description="the request header that takes the last id: Last-Event-ID")
    param: str | None = Field(default=None, description="the query parameter that takes where to go on")
    by: Literal["id", "count"] = Field(default="id", description="what it takes: the last id, or how many events came")

    @model_validator(mode="after")
    def _has_one_place(self) -> Resume:
        if (self.header is None) == (self.param is None):
            raise ValueError("a stream is resumed with a `header` or with a `param`")
        return self


class EventStream(Model):
    """What a stream's server-sent events mean."""

    end: str | None = Field(default=None, description="the data that ends it; the connection's end when left out")
    name: Path | None = Field(default=None, description="where the data has the name of an event that has none")
    failure: StreamFailure | None = None
    object: Pattern | None = Field(
        default=None, description="a regular expression: the events whose data is the object that the method answers"
    )
    text: StreamText | None = None
    resume: Resume | None = None
