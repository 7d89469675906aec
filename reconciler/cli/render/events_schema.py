"""The schema of `--events`, derived from the events themselves."""

from typing import Any, get_args

from msgspec import json

from reconciler.cli.render.machine import draft7
from reconciler.engine.events import EVENTS_FORMAT, Event, Version


def events_schema() -> dict[str, Any]:
    """JSON Schema of one line; `Any` since a schema is any JSON."""
    types = get_args(Event)
    refs, definitions = json.schema_components(types, ref_template="#/definitions/{name}")
    definitions[Version.__name__]["properties"]["format"] = {
        "type": "string",
        "pattern": rf"^{EVENTS_FORMAT.partition('.')[0]}\.[0-9]+$",
    }
    for definition in definitions.values():
        definition["properties"]["time"]["description"] = "RFC 3339, UTC."
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"pinrec events, format {EVENTS_FORMAT}",
        "description": "One line of the file of --events. The first line has the type `version`; readers skip types "
        "and fields that they do not know. Holds no key, no endpoint and no address.",
        "type": "object",
        "required": ["type", "time"],
        "oneOf": [dict(ref) for ref in refs],
        "definitions": {name: draft7(d) for name, d in sorted(definitions.items())},
    }
