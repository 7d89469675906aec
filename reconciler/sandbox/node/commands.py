"""Every command that the node knows."""

from msgspec import Struct

from reconciler.sandbox.node import about, adding, dags, data, files, linking, pins, swarm
from reconciler.sandbox.node.call import Arguments, Usage
from reconciler.sandbox.node.reply import Once, Reply
from reconciler.sandbox.node.state import Command, State, Table
from reconciler.sandbox.node.upload import Upload


class _Listed(Struct):
    """A command as `commands` tells of it."""

    Name: str
    Subcommands: list["_Listed"] = []
    Options: list[dict[str, list[str]]] = []


async def _commands(_state: State, _call: Arguments, _upload: Upload) -> Reply:
    top = _Listed("ipfs")
    for path, command in COMMANDS.items():
        here = top
        for name in path.split("/"):
            found = next((below for below in here.Subcommands if below.Name == name), None)
            if found is None:
                found = _Listed(name)
                here.Subcommands.append(found)
            here = found
        here.Options = [{"Names": [option]} for option in sorted(command.usage.options)]
    return Once({name: getattr(top, name) for name in top.__struct_fields__})


COMMANDS: Table = {
    "commands": Command(_commands, Usage(options={"flags": "bool"})),
    **about.COMMANDS,
    **files.COMMANDS,
    **linking.COMMANDS,
    **adding.COMMANDS,
    **data.COMMANDS,
    **dags.COMMANDS,
    **pins.COMMANDS,
    **swarm.COMMANDS,
}
#: What has commands below it and is none itself.
GROUPS = frozenset(
    path.rsplit("/", depth)[0] for path in COMMANDS for depth in range(1, path.count("/") + 1)
) - set(COMMANDS)
