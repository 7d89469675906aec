"""What `validate` says of a manifest."""

from typing import Literal

from reconciler.cli.render.escape import terminal
from reconciler.cli.render.github import note_annotations, problem_annotations
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.words import plural
from reconciler.core.errors import Problem
from reconciler.core.manifest import Manifest

Format = Literal["text", "github", "json"]


def problems(found: list[Problem], form: Format) -> str:
    """The problems of an invalid manifest, for machines."""
    if form == "github":
        return "".join(f"{line}\n" for line in problem_annotations(found))
    return render_json({"valid": False, "problems": found, "notes": []})


def valid(manifest: Manifest, form: Format) -> str:
    """One sentence and the notes."""
    pins = sum(1 for _ in manifest.entries)
    if form == "json":
        summary = {"services": len(manifest.services), "pins": pins, "owner": manifest.owner}
        return render_json({"valid": True, "problems": [], "notes": manifest.notes, **summary})
    sentence = f"{terminal(manifest.path)} is valid: {plural(len(manifest.services), 'service')}, {plural(pins, 'pin')}"
    if form == "github":
        return f"{sentence}\n" + "".join(f"{line}\n" for line in note_annotations(manifest.notes))
    notes = [
        f"  {terminal(note.file)}{f':{note.line}' if note.line else ''}: {terminal(note.message)}\n"
        for note in manifest.notes
    ]
    return f"{sentence}\n{''.join(notes)}"
