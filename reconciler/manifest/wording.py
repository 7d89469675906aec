"""What the schema has against a document, said for the person who wrote it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any  # a YAML value is whatever was written

from msgspec import Struct

from reconciler.manifest.places import Path
from reconciler.manifest.problems import did_you_mean, shown

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping (key: value)",
    "array": "a list",
    "null": "nothing",
}
#: The title of the schema of an included file, and what it lacks of the manifest's.
INCLUDED = "included file"
_MAIN_ONLY = frozenset(("name", "names", "previousOwners", "defaults", "guards"))
_YES = frozenset(("yes", "on", "y", "1"))
_NO = frozenset(("no", "off", "n", "0"))


class Wording(Struct, kw_only=True):
    """A problem whose place is the node at `path`, or its key."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
    quote: bool = False


def wordings(error: "ValidationError") -> Iterator[Wording]:
    """One or more problems for one error of jsonschema, none of which shows a value below `services` or `node`.

    A token that was written into the manifest by mistake must not go on into a log from here.
    """
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    keyword = str(error.validator)
    value: Any = error.validator_value
    instance: Any = error.instance
    secret = path[:1] in (("services",), ("node",))
    if keyword == "additionalProperties":
        yield from _unknown_keys(path, schema, instance, secret=secret)
        return
    if keyword == "required":
        missing = next(k for k in value if repr(k) in error.message)
        # Where no key is unknown as such, this is the place to tell of a mistyped one.
        for key in instance if "additionalProperties" not in schema and not secret else ():
            near = did_you_mean(str(key), [missing])
            if near.startswith("did"):
                message = f"{shown(str(key))} is no key of {_label(path)}"
                yield Wording(path=(*path, key), message=message, hint=near, at_key=True)
                return
        yield Wording(path=path, message=f"`{missing}` is missing", hint=_purpose(schema, missing))
        return
    if "propertyNames" in error.absolute_schema_path:
        message = schema.get("patternErrorMessage", "this cannot be a key")
        yield Wording(path=(*path, str(instance)), message=message, at_key=True)
        return
    own = schema.get("errorMessage", "")
    if keyword == "pattern":
        own = schema.get("patternErrorMessage", own)
    what = _label(path)
    hint, quote = "", False
    if keyword == "type":
        wanted = [value] if isinstance(value, str) else value
        told = own or f"must be {' or '.join(_TYPES[t] for t in wanted)}, not {_kind(instance)}"
        if wanted == ["boolean"]:
            hint = _meant_boolean(instance)
        elif "string" in wanted and not secret and not isinstance(instance, dict | list):
            quote = instance is not None
    elif keyword == "enum":
        known = [str(v) for v in value]
        told = own or f"must be {known[0]}" if len(known) == 1 else f"must be one of {', '.join(known)}"
        if isinstance(instance, str) and len(known) > 1:
            near = did_you_mean(instance, known)
            hint = near if near.startswith("did") else ""
    else:
        told = own or _told(keyword, value, instance, secret=secret)
    # A sentence of the schema's own stands alone, unless it begins as a predicate.
    message = told if own and not own.startswith("must ") else f"{what} {told}"
    yield Wording(path=path, message=message, hint=hint, quote=quote)


def _unknown_keys(path: Path, schema: Any, instance: Any, *, secret: bool) -> Iterator[Wording]:
    known = list(schema.get("properties", {}))
    patterns = [re.compile(p) for p in schema.get("patternProperties", {})]
    title = schema.get("title")
    where = f"{'an' if title[0] in 'aeiou' else 'a'} {title}" if title else _label(path)
    for key in instance:
        if key in known or any(p.search(str(key)) for p in patterns):
            continue
        # A token may have been taken for a key: `key: {eyJhbGciOi…}`.
        name = "this key" if secret and not re.fullmatch(r"[A-Za-z_-]{1,20}", str(key)) else f"{shown(key)}"
        yield Wording(
            path=(*path, key),
            message=f"{name} is no key of {where}",
            hint="it belongs into the manifest itself"
            if title == INCLUDED and key in _MAIN_ONLY
            else did_you_mean(str(key), known),
            at_key=True,
        )


def _told(keyword: str, value: Any, instance: Any, *, secret: bool) -> str:
    match keyword:
        case "minLength" | "minItems" | "minProperties":
            return "must not be empty" if value == 1 else f"must have at least {value}"
        case "maxItems" | "maxProperties":
            if value == 1:
                return "must have one key, not several"
            return f"must have at most {value} items, and has {len(instance)}"
        case "uniqueItems":
            twice = next((v for i, v in enumerate(instance) if v in instance[:i]), None)
            return "must not hold anything twice" + (f": {shown(str(twice))}" if not secret else "")
        case "minimum":
            return f"must be at least {value}"
        case "exclusiveMinimum":
            return f"must be more than {value}"
        case "maximum":
            return f"must be at most {value}"
        case _:
            return f"does not fit the schema ({keyword})"


def _label(path: Path) -> str:
    """What the node at `path` is called: `services`, item 2 of `origins`."""
    if not path:
        return "the manifest"
    last = path[-1]
    if isinstance(last, str):
        return f"`{last}`" if re.fullmatch(r"[A-Za-z0-9._-]{1,63}", last) else shown(last)
    around = next((p for p in reversed(path) if isinstance(p, str)), "")
    return f"item {last + 1} of `{around}`"


def _kind(instance: Any) -> str:
    match instance:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _meant_boolean(instance: Any) -> str:
    word = str(instance).lower()
    if word in _YES:
        return "write true"
    if word in _NO:
        return "write false"
    return "write true or false, without quotes" if word in ("true", "false") else ""


def _purpose(schema: Any, key: str) -> str:
    """The first sentence of the key's description."""
    description = schema.get("properties", {}).get(key, {}).get("description", "")
    return str(description).partition(". ")[0].rstrip(".")
