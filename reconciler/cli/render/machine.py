"""The JSON of plans and reports, and the schemas of it, derived from the types themselves."""

from typing import Any

from msgspec import json

from reconciler.cli.render.escape import json_text
from reconciler.core.plan import PLAN_FORMAT, Plan
from reconciler.core.report import REPORT_FORMAT, Report


def render_json(value: object, *, indent: int = 2) -> str:
    """`indent` 0 is one line. Safe to print: see `escape.json_text`."""
    encoded = json.encode(value)
    return json_text(json.format(encoded, indent=indent) if indent else encoded) + "\n"


_PLAN = {
    "": "What `pinrec plan` would have done, and why. Holds no key, no endpoint and no address.",
    "pinrec": "Version of the pinrec that made it.",
    "id": "Of this plan; a report names it.",
    "created": "RFC 3339, UTC.",
    "owner": "`name` of the manifest: the mark of what is ours.",
    "manifest": "The manifest's file, as it was named.",
    "digest": "Of the resolved manifest; a saved plan is refused when it has changed.",
    "resolved": "CIDs that came from environment variables or files, by `KIND: VALUE`.",
    "overrides": "What was allowed or narrowed on the command line.",
    "services": "The services of the manifest, and how each was found.",
    "actions": "What is to be done, and what is kept or blocked and worth a word. Plain keeps are only counted.",
    "findings": "Guards that fired, and what is not known.",
    "guards": "What the guards measured at each service.",
    "fingerprints": "`service/name` of every key that a change touches: the pins that were there.",
    "notes": "Sentences for the reader.",
}
_REPORT = {
    "": "What an apply did: one outcome for each request that mattered.",
    "pinrec": "Version of the pinrec that made it.",
    "run": "Id of the run in the journal.",
    "plan": "Id of the plan.",
    "owner": "`name` of the manifest: the mark of what is ours.",
    "started": "RFC 3339, UTC.",
    "seconds": "How long the apply took.",
    "outcomes": "What became of each action.",
    "services": "Requests to each service, and why its lane stopped early, if it did.",
    "second_writer": "`service/name` of keys that another writer changed meanwhile.",
    "interrupted": "Whether a signal cut the run short.",
}


def plan_schema() -> dict[str, Any]:
    """JSON Schema of a plan; `Any` since a schema is any JSON."""
    return _draft7(Plan, "plan", PLAN_FORMAT, _PLAN)


def report_schema() -> dict[str, Any]:
    return _draft7(Report, "report", REPORT_FORMAT, _REPORT)


_DOCTOR = {
    "": "What `pinrec doctor` found out about a service. Holds no key and no endpoint.",
    "pinrec": "Version of the pinrec that made it.",
    "service": "Its name in the manifest.",
    "date": "RFC 3339, UTC.",
    "preset": "The preset of the service, or empty.",
    "read_only": "Whether no pins were made.",
    "findings": "The fields of a profile: what the API says, what the preset says, what was observed, what holds.",
    "observations": "What else was seen; `ok` false: the API says otherwise.",
    "stopped": "Why not everything was probed, or empty.",
    "cleaned": "Throw-away pins of earlier runs that were removed.",
    "leftovers": "Throw-away pins that could not be removed.",
    "requests": "Requests that were sent.",
    "seconds": "How long it took.",
}


def doctor_schema() -> dict[str, Any]:
    from reconciler.services.examination import EXAMINATION_FORMAT, Examination

    return _draft7(Examination, "doctor", EXAMINATION_FORMAT, _DOCTOR)


_VERIFY = {
    "": "What `pinrec verify` found out. Holds no key; `why` may name the host of a gateway and where the node is.",
    "pinrec": "Version of the pinrec that made it.",
    "owner": "`name` of the manifest: the mark of what is ours.",
    "date": "RFC 3339, UTC.",
    "sample": "How many blocks below each root were looked for.",
    "seed": "What chance began with; the same picks the same.",
    "pins": "What was looked at, and what was found. `blocks` were fetched and fit their CIDs.",
    "pinned": "How many pinned pins of ours there were to choose from.",
    "unread": "Services that could not be read, or not whole.",
    "interrupted": "Whether a signal cut the run short.",
    "seconds": "How long it took.",
}


def verify_schema() -> dict[str, Any]:
    from reconciler.core.verified import VERIFICATION_FORMAT, Verification

    return _draft7(Verification, "verify", VERIFICATION_FORMAT, _VERIFY)


def _draft7(root: type, name: str, version: str, told: dict[str, str]) -> dict[str, Any]:
    """msgspec writes draft 2020-12; editors understand draft-07."""
    (ref,), definitions = json.schema_components([root], ref_template="#/definitions/{name}")
    major = version.partition(".")[0]
    top = draft7(definitions.pop(root.__name__))
    top["properties"]["format"] = {
        "type": "string",
        "pattern": rf"^{major}\.[0-9]+$",
        "description": f"major.minor; this schema describes {version}. A minor only adds fields.",
    }
    for field, text in told.items():
        (top["properties"][field] if field else top)["description"] = text
    top["required"] = ["format", *top["required"]]
    assert ref == {"$ref": f"#/definitions/{root.__name__}"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"pinrec {name}, format {version}",
        "description": top["description"],
        **{k: v for k, v in top.items() if k not in ("title", "description")},
        "definitions": {k: draft7(v) for k, v in sorted(definitions.items())},
    }


def draft7(node: Any) -> Any:
    """2020-12 → draft-07: `prefixItems` is `items`, and OpenAPI's `discriminator` says nothing here."""
    if isinstance(node, list):
        return [draft7(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: draft7(value) for key, value in node.items() if key != "discriminator"}
    if "prefixItems" in out:
        out["items"] = out.pop("prefixItems")
        out["additionalItems"] = False
    if isinstance(out.get("description"), str):
        out["description"] = " ".join(out["description"].split())
    return out
