"""pinrec completion"""

import click

from reconciler.cli.options import Options, common, pass_options

_EPILOG = """\b
Examples:
  source <(pinrec completion bash)                                    this shell
  pinrec completion bash > ~/.local/share/bash-completion/completions/pinrec
  pinrec completion zsh > "${fpath[1]}/_pinrec"
  pinrec completion fish > ~/.config/fish/completions/pinrec.fish
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@common
@pass_options
@click.pass_context
def command(ctx: click.Context, _options: Options, shell: str) -> int:
    """Print a completion script for a shell."""
    from click.shell_completion import ShellComplete, get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    # Not `found.source`: for bash it runs the installed bash to see its version, and there may be none here.
    click.echo(ShellComplete.source(found(root.command, {}, "pinrec", "_PINREC_COMPLETE")))
    return 0
