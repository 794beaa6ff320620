"""Which method reads each resource, and what binds its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from sqlglot import exp

from provider.catalog.catalog import Method, Parameter
from provider.plan.amounts import Amounts
from provider.plan.binder import Binder
from provider.plan.bindings import AnyOf, Bindings, Constants, FromQuery, FromRelations, Source
from provider.plan.blocks import Relation
from provider.plan.keyqueries import KeyQueries
from provider.plan.physical import Binding, Given, Keys, Literal, Predicate
from provider.plan.predicates import Predicates
from provider.plan.price import MANY, is_open, listing_beside, price
from provider.plan.pushdown import bounds
from provider.plan.terms import fits, given, term
from provider.plan.unbound import unbound, untold
from provider.plan.unknown import unknown_column
from provider.plan.uses import Carried, Use, Uses

if TYPE_CHECKING:  # pydantic is slow to import, and only what reads manifests needs it
    from provider.catalog.manifest import Pushdown


class _Stage(Enum):
    """What may bind a use by now, beside constants: what is known to be few keys, or all that is known."""

    FEW = auto()
    CONSTANTS = auto()
    ALL = auto()


@dataclass(frozen=True, slots=True)
class _Narrowing:
    """The values by which a parameter narrows a list, and what they carry."""

    values: tuple[exp.Expr, ...]
    carried: Carried
    operator: str = "="


@dataclass(frozen=True, slots=True)
class _Option:
    """A method that can be called, with what binds it."""

    method: Method
    bindings: tuple[Binding, ...]
    carried: tuple[Carried, ...]
    #: The most combinations of the values that bind what is required; None where only rows tell.
    most: int | None

    @property
    def bound(self) -> set[str]:
        """The names of the bound parameters."""
        return {p.name for b in self.bindings for p in b.parameters}

    @property
    def factors(self) -> int:
        """How many of the bindings have values that only rows tell; the requests are for all their combinations."""
        return sum(is_open(b) for b in self.bindings)

    @property
    def cost(self) -> tuple[int, bool, int, int]:
        """What one method is preferred to another by: known before unknown, requests before lists, few, narrow."""
        found = price(self.method, self.bindings, may_stop=False)
        return self.factors, found.lists, found.count, -len(self.carried)


def _pushdowns(method: Method, parameter: Parameter) -> Iterator[tuple[str, Pushdown]]:
    """The fields that a parameter may narrow by, and how."""
    for column, rules in method.pushdown.items():
        yield from ((column, rule) for rule in rules if rule.param == parameter.name)


def _columns(use: Use, method: Method, parameter: Parameter) -> list[str]:
    """The columns whose values are a required parameter's, its own name or the key field that it carries first.

    Of several values of one that narrows exactly, each row is in one list alone.
    """
    found = [use.resource.key_field(parameter.name) or parameter.name]
    for column, rule in _pushdowns(method, parameter):
        if rule.operator == "=" and rule.match == "exact" and _takes(use, column, parameter):
            found.append(column)
    return found


def _takes(use: Use, column: str, parameter: Parameter, value: exp.Expr | None = None) -> bool:
    """Whether a parameter takes what a field equals: a value of the same type, or text as it is written."""
    field = use.resource.field(column)
    if field is None or field.type.duckdb == parameter.type.duckdb:
        return field is not None
    return parameter.type.base == "string" and isinstance(value, exp.Literal) and value.is_string


def _may_be_null(source: Source) -> bool:
    """Whether NULL may equal NULL in what says that a column has these values: inside row values."""
    match source:
        case Constants():
            return source.matches_null
        case FromQuery():
            return source.width > 1
        case AnyOf(parts):
            return any(_may_be_null(p) for p in parts)
    return False


def _requires(method: Method) -> set[str]:
    return {p.name for p in method.required}


class Choice:
    """Settles the uses of a statement, one after the other as their keys become known."""

    def __init__(self, binder: Binder, uses: Uses, keys: KeyQueries) -> None:
        self._binder = binder
        self._uses = uses
        self._keys = keys
        self._bindings = Bindings(binder)
        self._predicates = Predicates(self._bindings)
        self._amounts = Amounts(binder, uses)
        #: The numbers of the uses that have a method.
        self._settled: set[int] = set()
        #: Numbers of uses whose own staged tables key queries read already, before they were settled.
        self._awaited: set[int] = set()

    def settle(self) -> None:
        """Give each use a method and bindings.

        What is known to be few objects first, and what may come to be so by them; then what constants bind, since
        such scans can all start at once; then what they feed, in turn.

        Raises:
            BindError: no method of a resource can be called.
        """
        open_uses = list(self._uses)
        while sure := [u for u in open_uses if not self._waits(u) and self._choose(u, _Stage.FEW)]:
            open_uses = [u for u in open_uses if u not in sure]
        open_uses = [u for u in open_uses if not self._choose(u, _Stage.CONSTANTS)]
        while open_uses:
            chosen = next((u for u in open_uses if self._choose(u, _Stage.ALL)), None)
            if chosen is None:
                for use in open_uses:
                    if options := self._options(use, _Stage.ALL):
                        raise untold(use, [o.method for o in options], partial(self._bindings.sources, use.relation))
                if misspelt := unknown_column(self._binder.blocks, self._binder.text):
                    raise misspelt
                # What nothing binds at all rather than what waits for it, or for what waits in turn.
                use = next((u for u in open_uses if all(self._missing_of(u))), open_uses[0])
                raise unbound(use, self._candidates(use), partial(self._missing, use), alone=len(self._uses) == 1)
            open_uses.remove(chosen)

    def leave_uncalled(self) -> None:
        """Give each use a method that is not called, for its columns alone."""
        for use in self._uses:
            *_, use.method = self._candidates(use)
            use.why = "not called, since its columns are known"

    def _waits(self, use: Use) -> bool:
        """Whether the most specific method that anything may bind has to wait for rows of others."""
        for method in self._candidates(use):
            if all(self._sources(use, method, p) for p in method.required):
                return any(self._source_of(use, method, p, _Stage.FEW) is None for p in method.required)
        return False

    def _choose(self, use: Use, stage: _Stage) -> bool:
        """Settle on a method whose requirements are bound."""
        options = [o for o in self._options(use, stage) if use.untold <= o.bound]
        if not options:
            return False
        best = min(options, key=lambda o: o.cost)
        use.method, use.bindings, use.carried = best.method, best.bindings, best.carried
        use.why = self._why(use, best, options)
        use.most = best.most if not best.method.is_list else None
        self._settled.add(use.number)
        read = {n for b in best.bindings if isinstance(b, Keys) for n in b.scans}
        self._awaited |= {u.number for u in self._uses if u.method is None} & read
        if use.number not in self._awaited:
            self._share(use)
        return True

    def _options(self, use: Use, stage: _Stage) -> list[_Option]:
        """The methods that can be called, specific ones first; what requires less than one that will do is left out.

        One that would be called for each value with each other value, as rows tell both, does not count as such.
        """
        found: list[_Option] = []
        for method in self._candidates(use):
            will_do = [o for o in found if o.factors < 2 and use.untold <= o.bound]
            if any(_requires(method) < _requires(o.method) for o in will_do):
                continue
            option = self._bind(use, method, stage)
            if option is not None:
                found.append(option)
        return found

    @staticmethod
    def _candidates(use: Use) -> list[Method]:
        if use.relation.forced is not None:
            return [use.relation.forced]
        methods = use.resource.methods_for("SELECT")
        return sorted(methods, key=lambda m: -len(m.required))

    def _why(self, use: Use, best: _Option, options: Sequence[_Option]) -> str:
        """The reason for a choice, for people."""
        if use.relation.forced is not None:
            return "named in the statement"
        others = [m for m in self._candidates(use) if m is not best.method]
        if not others:
            return f"the only one that reads {use.resource.name}"
        for option in options:
            if option is not best:
                fewer = best.cost < option.cost
                return f"{'fewer requests than' if fewer else 'in the manifest before'} {option.method.name}"
        lesser = [m for m in others if _requires(m) < _requires(best.method)]
        more = _requires(best.method).difference(*map(_requires, lesser))
        if lesser:
            named = [p.name for p in best.method.required if p.name in more]
            return f"the most specific: {' and '.join(named)} {'is' if len(named) == 1 else 'are'} bound"
        other = min(others, key=lambda m: len(self._missing(use, m)))
        if missing := self._missing(use, other):
            return f"{other.name} would need {' and '.join(missing)}"
        if use.untold - {p.name for p in other.parameters}:
            return f"{other.name} does not take {' and '.join(sorted(use.untold))}"
        return f"{other.name} would wait for other rows"

    def _bind(self, use: Use, method: Method, stage: _Stage) -> _Option | None:
        """Bindings for all required parameters and for the optional ones that narrow; None if one is missing.

        A resource whose account nothing says is read for every account.
        """
        chosen: dict[Parameter, Source] = {}
        narrowed: list[tuple[Parameter, _Narrowing]] = []
        every: list[Binding] = []
        for parameter in method.required:
            source = self._source_of(use, method, parameter, stage)
            if source is not None:
                chosen[parameter] = source
            elif parameter.location == "account" and (stage is _Stage.ALL or not self._sources(use, method, parameter)):
                every.append(Given.one(parameter, map(Literal, map(str, parameter.enum))))
            elif (narrowing := self._narrowing(use, method, parameter)) is not None:
                narrowed.append((parameter, narrowing))
            else:
                return None
        narrowed += self._optional(use, method)
        self._keep_together(use, method, chosen, stage)
        constant = {p: s for p, s in chosen.items() if isinstance(s, Constants)}
        joined = {p: s for p, s in chosen.items() if isinstance(s, FromRelations)}
        queried = {p: s for p, s in chosen.items() if isinstance(s, FromQuery)}
        bindings: list[Binding] = [self._keys.single(use, p, s) for p, s in chosen.items() if isinstance(s, AnyOf)]
        bindings += self._keys.rows(queried)
        bindings += given(constant)
        bindings += every
        bindings += self._keys.joined(use, joined)
        carried = [Carried(p.name, self._column_of(use, method, p, s), s) for p, s in chosen.items()]
        for parameter, narrowing in narrowed:
            terms = [term(v, parameter) for v in narrowing.values]
            bindings.append(Given.one(parameter, terms, narrowing.operator))
            carried.append(narrowing.carried)
        most = None if every else self._amounts.together(chosen.values())
        return _Option(method, tuple(bindings), tuple(carried), most)

    def _keep_together(self, use: Use, method: Method, chosen: dict[Parameter, Source], stage: _Stage) -> None:
        """Bind by the same rows what would be multiplied otherwise: (thread, run) pairs, not threads times runs."""
        joined: dict[Parameter, list[FromRelations]] = {}
        for parameter, source in chosen.items():
            if stage is not _Stage.CONSTANTS and not (isinstance(source, Constants) and len(source.values) < 2):
                found = self._sources(use, method, parameter)
                usable = [s for s in found if isinstance(s, FromRelations) and self._admits(use, method, s, stage)]
                joined[parameter] = usable
        offered = dict.fromkeys(s.relations for sources in joined.values() for s in sources)

        def together(relations: frozenset[Relation]) -> dict[Parameter, Source]:
            first = {p: next((s for s in sources if s.relations <= relations), None) for p, sources in joined.items()}
            return {p: s for p, s in first.items() if s is not None}

        best = max(map(together, offered), key=len, default={})
        if len(best) > 1:
            chosen.update(best)

    def _source_of(self, use: Use, method: Method, parameter: Parameter, stage: _Stage) -> Source | None:
        for source in self._sources(use, method, parameter):
            if not self._binder.conventions.compares(parameter.type):
                use.collated = parameter
                return None
            if isinstance(source, Constants):
                other = next((v for v in source.values if not fits(v, parameter)), None)
                if other is None:
                    return source
                use.misfit = (parameter, other)
                continue
            if self._admits(use, method, source, stage):
                return source
        return None

    def _admits(self, use: Use, method: Method, source: Source, stage: _Stage) -> bool:
        """Whether a source that is no constant may bind a use by now."""
        if stage is _Stage.CONSTANTS or (stage is _Stage.FEW and not self._is_few(use, method, source)):
            return False
        return self._is_known(use, source)

    def _is_few(self, use: Use, method: Method, source: Source) -> bool:
        """Whether it is known that a source has few values, or all at once and a list may be read instead of many."""
        most = self._amounts.most(source)
        if most is not None and most < MANY:
            return True
        return self._amounts.is_local(source) and listing_beside(use.resource, method) is not None

    def _is_known(self, use: Use, source: Source) -> bool:
        """Whether the scans that a source reads are settled, or stand in one recursion with the use."""
        needs = self._keys.needs(source)
        return needs is not None and needs <= self._settled | self._keys.circle(use, source)

    def _sources(self, use: Use, method: Method, parameter: Parameter) -> tuple[Source, ...]:
        """What binds a required parameter, by the columns that it stands for."""
        own, *others = _columns(use, method, parameter)
        found = self._bindings.sources(use.relation, own)
        for column in others:
            found += tuple(s for s in self._bindings.sources(use.relation, column) if not _may_be_null(s))
        return found

    def _column_of(self, use: Use, method: Method, parameter: Parameter, source: Source) -> str:
        """The column that a source of a required parameter is one of."""
        columns = _columns(use, method, parameter)
        return next((c for c in columns if source in self._bindings.sources(use.relation, c)), columns[0])

    def predicates(self, use: Use) -> tuple[Predicate, ...]:
        """What becomes of the conditions on a use's rows."""
        return self._predicates.of(use)

    def _missing(self, use: Use, method: Method) -> list[str]:
        return [p.name for p in method.required if p.location != "account" and not self._is_bound(use, method, p)]

    def _missing_of(self, use: Use) -> list[list[str]]:
        """What each method would need beside what something binds."""
        return [self._missing(use, m) for m in self._candidates(use)]

    def _is_bound(self, use: Use, method: Method, parameter: Parameter) -> bool:
        return bool(self._sources(use, method, parameter)) or self._narrowing(use, method, parameter) is not None

    def _optional(self, use: Use, method: Method) -> Iterator[tuple[Parameter, _Narrowing]]:
        """Parameters that narrow what is fetched: named in the statement, or declared to serve a field."""
        for parameter in method.parameters:
            if parameter.required or parameter.location not in ("query", "body"):
                continue
            found = self._narrowing(use, method, parameter)
            if found is not None:
                yield parameter, found

    def _narrowing(self, use: Use, method: Method, parameter: Parameter) -> _Narrowing | None:
        """What narrows a list by a parameter, None where nothing does."""
        if use.resource.field(parameter.name) is None and not parameter.required:
            named = self._constants(use, parameter.name)
            other = next((v for v in named.values if not fits(v, parameter)), None) if named is not None else None
            if other is not None:
                use.misfit = (parameter, other)
            elif named is not None:
                # It is no field, so that only the API can tell the rows of several values apart.
                return _Narrowing(named.values, Carried(parameter.name, parameter.name, named))
        if not self._binder.conventions.compares(parameter.type):
            return None
        for column, rule in _pushdowns(method, parameter):
            if rule.match == "unsafe":
                continue
            if rule.operator != "=":
                for bound in bounds(use.relation, column, rule.operator):
                    if fits(bound, parameter):
                        carried = Carried(parameter.name, column, bound, rule.match)
                        return _Narrowing((bound,), carried, rule.operator)
                continue
            named = self._constants(use, column)
            # Several values would mean several lists; one list and DuckDB's filter is cheaper.
            if named is None or len(named.values) > 1 or any(v.find(exp.Explode) for v in named.values):
                continue
            if all(fits(v, parameter) and _takes(use, column, parameter, v) for v in named.values):
                return _Narrowing(named.values, Carried(parameter.name, column, named, rule.match))
        return None

    def _constants(self, use: Use, column: str) -> Constants | None:
        sources = self._bindings.sources(use.relation, column)
        return next((s for s in sources if isinstance(s, Constants) and not s.matches_null), None)

    def _share(self, use: Use) -> None:
        """A use with the method and bindings of an earlier one reads its table: the requests are the same."""
        for other in self._uses:
            if other is use or other.same_as is not None or other.method is not use.method:
                continue
            recursive = any(isinstance(b, Keys) and other.number in b.scans for b in other.bindings)
            if other.resource.id == use.resource.id and other.bindings == use.bindings and not recursive:
                use.same_as = other
                return
