"""pinrec validate"""

from typing import Literal

import click

from reconciler.cli.options import Options, common, formats, pass_options

_EPILOG = """\b
Examples:
  pinrec validate
  pinrec validate -f site.yaml --format github     annotations in GitHub Actions
  generate-manifest | pinrec validate -f -
"""


@click.command("validate", epilog=_EPILOG)
@formats("text", "github", "json")
@common
@pass_options
def command(options: Options, form: Literal["text", "github", "json"]) -> int:
    """Check the manifest; report every problem with its place.

    Reads the manifest, its includes and list files, and nothing else: no key, no environment, no service.
    """
    from reconciler.cli.declared import load
    from reconciler.cli.output import emit
    from reconciler.cli.render import manifest as render
    from reconciler.core.errors import EXIT_OK, EXIT_USAGE, ManifestError

    try:
        manifest = load(options)
    except ManifestError as error:
        if form == "text":
            raise
        emit(render.problems(error.problems, form))
        return EXIT_USAGE
    emit(render.valid(manifest, form))
    return EXIT_OK
