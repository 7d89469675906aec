"""pinrec schema"""

import click

from reconciler.cli.options import Options, common, pass_options

_EPILOG = """\b
Examples:
  pinrec schema > manifest.schema.json
  pinrec schema plan
"""


@click.command("schema", epilog=_EPILOG)
@click.argument(
    "what",
    type=click.Choice(("manifest", "plan", "report", "doctor", "verify", "events")),
    default="manifest",
)
@common
@pass_options
def command(_options: Options, what: str) -> int:
    """Print a JSON Schema (draft-07): of the manifest, a plan, a report, a profile, a verification or an event."""
    from reconciler.cli.output import emit
    from reconciler.manifest import schema_file, schema_text

    text = schema_text() if what == "manifest" else schema_file(f"{what}.schema.json")
    emit(text if text.endswith("\n") else text + "\n")
    return 0
