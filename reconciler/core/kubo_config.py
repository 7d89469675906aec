"""Commands that change a Kubo node's configuration, as a person types them: pinrec itself never does."""

import shlex


def switch_off(service: str) -> str:
    """The command that switches Kubo's own MFS policy off at a service of `Pinning.RemoteServices`.

    `ipfs config` takes its path apart at every dot (repo/common/common.go), so that a service whose name has one
    cannot be named to it.
    """
    if "." in service or not service or not service.isprintable():
        shown = "".join(c if c.isprintable() else "?" for c in service[:80])
        return (
            f'# "{shown}" cannot be named to `ipfs config`: `ipfs config show > c.json`, set its '
            "Policies.MFS.Enable to false, `ipfs config replace c.json`"
        )
    return f"ipfs config --json {shlex.quote(f'Pinning.RemoteServices.{service}.Policies.MFS.Enable')} false"
