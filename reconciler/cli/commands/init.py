"""pinrec init"""

from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Options, common, pass_options

if TYPE_CHECKING:
    from pathlib import Path

#: What the first line of the manifest names: relative to it.
SCHEMA = "pinrec.schema.json"

_EPILOG = """\b
Examples:
  pinrec init
  pinrec init -f site/pinrec.yaml --name acme-site
"""


@click.command("init", epilog=_EPILOG)
@click.option(
    "--name", "owner", metavar="OWNER", help="The owner. [default: this directory's name and a suffix]"
)
@click.option("--force", is_flag=True, help="Overwrite a manifest that is there.")
@common
@pass_options
def command(options: Options, owner: str | None, force: bool) -> int:
    """Write a commented starter manifest with an owner that nobody else has.

    The owner marks what is yours at a service: two manifests with the same one would fight over the same pins.
    """
    import re
    from pathlib import Path

    from reconciler.cli.output import write_file
    from reconciler.core.errors import UsageError
    from reconciler.manifest import schema_text
    from reconciler.manifest.starter import starter

    if options.file == "-":
        raise UsageError("init writes a file: -f - is nowhere to write to")
    if owner is not None and not re.fullmatch("[a-z0-9-]{1,40}", owner):
        raise UsageError(f"--name {owner}: an owner is 1 to 40 of a-z, 0-9 and -")
    path = Path(options.file)
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="--force overwrites it, -f FILE names another")
    # A manifest is for everybody who reads the repository, unlike plans.
    write_file(str(path), starter(owner or new_owner(path), schema=SCHEMA), mode=0o644)
    # Beside it, so that editors complete and check without a network, in the version that is installed.
    write_file(str(path.parent / SCHEMA), schema_text(), mode=0o644)
    named = "" if options.file == "pinrec.yaml" else f" -f {path}"
    click.echo(
        f"Wrote {path}, and {SCHEMA} for editors. Next:\n"
        "  1. edit it: a service, the variable or file that holds its key, your pins\n"
        f"  2. pinrec validate{named}\n"
        f"  3. pinrec plan{named}        shows what would be done, and why\n"
        f"  4. pinrec apply{named}       does it, after a question\n"
        "No account yet? `pinrec sandbox` runs a pinning service on this machine, `pinrec demo` shows the whole cycle."
    )
    return 0


def new_owner(path: "Path") -> str:
    """The directory's name and four random characters: a copied directory must not be the same owner by chance."""
    import re
    import secrets

    base = re.sub("[^a-z0-9]+", "-", path.resolve().parent.name.lower()).strip("-")[:35].strip("-")
    suffix = "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(4))
    return f"{base or 'pins'}-{suffix}"
