"""The hints of a write that change what it does: AWAIT and STREAM. A hint that cannot be followed is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from provider.catalog.catalog import Method
from provider.errors import BindError
from provider.plan.actions import Action, WritePlan
from provider.plan.names import Names


def awaited(plan: WritePlan, names: Names) -> WritePlan:
    """The same plan, whose operations are waited for.

    Raises:
        BindError: the manifest does not say of a method when its operation has ended; it names those of which it does.
    """
    for action in plan.actions:
        if action.method.awaits is None:
            raise BindError(
                f"AWAIT: {_full(action.method)} begins nothing that can be waited for",
                place=plan.place,
                reason="Its manifest has no `await`: the answer is all that there is.",
                remedy=_candidates(plan, names, lambda m: m.awaits is not None),
            )
    return replace(plan, awaits=True)


def streamed(plan: WritePlan, names: Names) -> tuple[Action, str]:
    """The action of a plan with its stream switched on, and what is added to its source: '' where that is not needed.

    Raises:
        BindError: the manifest does not say which events of the method bring a text; it names those of which it does.
    """
    (action,) = plan.actions
    method = action.method
    if method.stream is None or method.stream.text is None:
        raise BindError(
            f"STREAM: {_full(method)} streams no text",
            place=plan.place,
            reason="Its manifest has no `stream` with a `text`.",
            remedy=_candidates(plan, names, lambda m: m.stream is not None and m.stream.text is not None),
        )
    if method.switch is None or method.switch in action.parameters:
        return action, ""
    return replace(action, parameters=(method.switch, *action.parameters), origins=("true", *action.origins)), "true"


def _full(method: Method) -> str:
    return f"{method.resource}.{method.name}"


def _candidates(plan: WritePlan, names: Names, fits: Callable[[Method], bool]) -> str:
    resources = names.catalog.service(plan.resource.provider, plan.resource.service).resources.values()
    found: Iterable[str] = (_full(m) for r in resources for m in r.methods if fits(m))
    return f"Candidates: {listed}" if (listed := ", ".join(found)) else ""
