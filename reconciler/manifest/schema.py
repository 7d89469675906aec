"""The published JSON Schemas, and the check of a document against that of the manifest.

`jsonschema` decides. `accept` is a shortcut for the one long list of a manifest: it knows the common shapes of an
item and says yes only to what the schema accepts; everything else is decided by the schema.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any  # a YAML value is whatever was written

if TYPE_CHECKING:
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import ValidationError

MANIFEST = "manifest.schema.json"


def schema_file(name: str) -> str:
    """The text of a published schema. Raises FileNotFoundError if there is none of that name."""
    package = FilePath(__file__).resolve().parent.parent
    # In a wheel the schemas stand in the package, in a checkout beside it.
    for folder in (package / "schemas", package.parent / "schemas"):
        path = folder / name
        if path.is_file():
            return path.read_text("utf-8")
    raise FileNotFoundError(f"no schema {name}")


def schema_text() -> str:
    """The schema of the manifest, as JSON."""
    return schema_file(MANIFEST)


@cache
def definitions() -> dict[str, Any]:
    """What the schema of the manifest defines for its parts, by name."""
    defined: dict[str, Any] = json.loads(schema_text())["definitions"]
    return defined


@cache
def validator() -> "Draft7Validator":
    """jsonschema's own, over the published schema and nothing else."""
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads(schema_text()))


def errors(document: dict[str, Any], *, main: bool) -> Iterator["ValidationError"]:
    """What the schema has against a manifest, or against a file that one includes; `pins` item by item."""
    checker = validator()
    pins = document.get("pins")
    head = {**document, "pins": []} if isinstance(pins, list) else document
    yield from checker.descend(head, {"$ref": "#" if main else "#/definitions/included"})
    if isinstance(pins, list):
        item_schema = {"$ref": "#/definitions/item"}
        for i, item in enumerate(pins):
            if accept(item):
                continue
            for error in checker.descend(item, item_schema):
                error.path.extendleft((i, "pins"))
                yield error


# --- the shortcut -------------------------------------------------------------------------------------------

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def accept(item: object) -> bool:
    """Whether this item of `pins` is surely valid. False says nothing."""
    if type(item) is not dict or "cid" not in item:
        return False
    for key, value in item.items():
        check = _CHECKS.get(key)
        if check is None or not check(value):
            return False
    return True


def _text(value: object) -> bool:
    return type(value) is str and value != ""


def _texts(value: object) -> bool:
    if type(value) is not list or not value:
        return False
    for text in value:
        if type(text) is not str or not text:
            return False
    return len(value) == 1 or len(set(value)) == len(value)


def _meta(value: object) -> bool:
    if type(value) is not dict or len(value) > 990:
        return False
    for key, text in value.items():
        if type(key) is not str or type(text) is not str or not key or key.startswith("pinrec"):
            return False
    return True


_CHECKS: dict[object, Callable[[object], bool]] = {
    "name": _text,
    "cid": _text,
    "services": _texts,
    "meta": _meta,
    "origins": lambda value: _texts(value) and len(value) <= 20,  # type: ignore[arg-type]  # a list by _texts
    "protect": lambda value: type(value) is bool,
    "expires": lambda value: type(value) is str and _DATE.fullmatch(value) is not None,
    "replace": lambda value: value in ("safe", "modify"),
}
