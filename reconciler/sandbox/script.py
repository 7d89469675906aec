"""Mishaps by a script, and mishaps by chance. Both are `Faults`."""

import random
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from reconciler.sandbox.faults import Answer, Fault, Received
from reconciler.sandbox.mishaps import MISHAPS, Mishap, Pages


class ScriptError(ValueError):
    """A script that says what cannot be played. `known` are the words that could stand in place of `given`."""

    def __init__(self, message: str, *, given: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.given = given
        self.known = known


class Rule(Struct, frozen=True, kw_only=True):
    """Which requests, counted from 1 among those that method and path fit, and what befalls them.

    `path` is a glob. With `nth` only that request, with `first` so many from the start, with `after` those that come
    after so many, with `every` each so manieth; several of them must all hold.
    """

    mishap: Mishap
    value: float
    method: str = ""
    path: str = "*"
    nth: int = 0
    first: int = 0
    after: int = 0
    every: int = 0

    def fits(self, request: Received) -> bool:
        return self.method in ("", request.method) and fnmatchcase(request.path, self.path)

    def holds(self, count: int) -> bool:
        return (
            self.nth in (0, count)
            and (not self.first or count <= self.first)
            and count > self.after
            and (not self.every or count % self.every == 0)
        )


class Script:
    """The first rule that fits and holds decides what befalls a request."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._counts = [0] * len(rules)
        self._pages = Pages()
        self._chosen: dict[int, Rule] = {}

    def before(self, request: Received) -> Fault | None:
        chosen: Rule | None = None
        for at, rule in enumerate(self._rules):
            if rule.fits(request):
                self._counts[at] += 1
                if chosen is None and rule.holds(self._counts[at]):
                    chosen = rule
        if chosen is None:
            return None
        if chosen.mishap.before:
            return chosen.mishap.before(request, chosen.value)
        self._chosen[request.number] = chosen
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        rule = self._chosen.pop(request.number, None)
        return _after(rule.mishap if rule else None, rule.value if rule else 0, self._pages, request, answer)


class Chance:
    """With probability `rate` a request meets one of `mishaps`; the same seed and requests give the same ones.

    `rate` may be changed while it runs. `played` counts what happened, by name.
    """

    def __init__(self, rate: float, *, seed: int | str = 0, mishaps: Iterable[str] | None = None) -> None:
        self.rate = rate
        self.played: dict[str, int] = {}
        self._random = random.Random(seed)  # noqa: S311  (chance that can be played again, no secret)
        names = [m.name for m in MISHAPS.values() if m.common] if mishaps is None else list(mishaps)
        self._mishaps = [MISHAPS[name] for name in names]
        self._pages = Pages()
        self._chosen: dict[int, Mishap] = {}

    def before(self, request: Received) -> Fault | None:
        possible = [m for m in self._mishaps if request.method in m.methods]
        if self._random.random() >= self.rate or not possible:
            return None
        mishap = self._random.choice(possible)
        self.played[mishap.name] = self.played.get(mishap.name, 0) + 1
        if mishap.before:
            return mishap.before(request, mishap.usual)
        self._chosen[request.number] = mishap
        return None

    def after(self, request: Received, answer: Answer) -> Fault | None:
        mishap = self._chosen.pop(request.number, None)
        return _after(mishap, mishap.usual if mishap else 0, self._pages, request, answer)


def _after(
    mishap: Mishap | None, value: float, pages: Pages, request: Received, answer: Answer
) -> Fault | None:
    earlier = pages.after(request, answer)
    if mishap is None:
        return None
    if mishap.name == "repeat-page":
        return earlier
    return mishap.after(request, answer, value) if mishap.after else None


_WHEN = ("method", "path", "nth", "first", "after", "every")
_METHODS = ("GET", "POST", "DELETE")


def read_script(document: object) -> Script:
    """A script from plain data: a list of {when: {method, path, nth, first, after, every}, do: NAME | {NAME: VALUE}}.

    `when` may be left out, and each of its keys. Raises ScriptError.
    """
    if not isinstance(document, list) or not document:
        raise ScriptError("a script is a list of rules: - {when: {method: POST, nth: 1}, do: reset}")
    return Script([_rule(rule, f"rule {n}") for n, rule in enumerate(document, 1)])


def _rule(rule: object, where: str) -> Rule:
    if not isinstance(rule, Mapping) or "do" not in rule:
        raise ScriptError(f"{where}: it has no `do`")
    _only(rule, ("when", "do"), where)
    when = rule.get("when") or {}
    if not isinstance(when, Mapping):
        raise ScriptError(f"{where}: `when` is no mapping")
    _only(when, _WHEN, f"{where}: when")
    method = str(when.get("method", ""))
    if method not in ("", *_METHODS):
        raise ScriptError(
            f"{where}: method: {method!r} is not one of {', '.join(_METHODS)}", given=method, known=_METHODS
        )
    mishap, value = _do(rule["do"], where)
    if method and method not in mishap.methods:
        raise ScriptError(f"{where}: {mishap.name} cannot befall a {method}")
    counts = {key: _count(when[key], f"{where}: {key}") for key in _WHEN[2:] if key in when}
    return Rule(mishap=mishap, value=value, method=method, path=str(when.get("path", "*")), **counts)


def _do(do: object, where: str) -> tuple[Mishap, float]:
    name, value = do, None
    if isinstance(do, Mapping):
        if len(do) != 1:
            raise ScriptError(f"{where}: `do` is one word, or one word and its value")
        ((name, value),) = do.items()
    mishap = MISHAPS.get(str(name))
    if mishap is None:
        raise ScriptError(f"{where}: there is no mishap {name!r}", given=str(name), known=tuple(MISHAPS))
    if value is None:
        return mishap, mishap.usual
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScriptError(
            f"{where}: {name}: {value!r} is no number" + (f" ({mishap.unit})" if mishap.unit else "")
        )
    return mishap, float(value)


def _only(given: Mapping[object, object], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise ScriptError(f"{where}: there is no key {key!r}", given=str(key), known=known)


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ScriptError(f"{where}: {value!r} is no number above 0")
    return value
