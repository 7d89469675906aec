"""The demo: the real commands against a sandbox in this process, with a sentence before each."""

import base64
import contextlib
import hashlib
import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from reconciler.cli.render.style import ColorChoice, Style, wants_color
from reconciler.core.errors import EXIT_ERROR, EXIT_OK
from reconciler.sandbox.lifecycle import Lifecycle
from reconciler.sandbox.network import Network
from reconciler.sandbox.node import SandboxNode
from reconciler.sandbox.server import Sandbox

#: Long enough to see a pin wait, short enough for a demo.
_PINNING = Lifecycle(queued=0.2, pinning=0.4)

_MANIFEST = """\
version: 1
name: demo                        # the owner: marks what is ours
services:
  here:
    preset: sandbox
    endpoint: {url}
    key: {{file: here.token}}       # a reference; the key itself is never in a manifest
  there:
    preset: sandbox
    endpoint: {url}
    key: {{file: there.token}}
defaults:
  services: [here, there]
pins:
  - name: website
    cid: {website}
  - name: handbook
    cid: {handbook}
    meta: {{team: docs}}
  - name: old-post
    cid: {post}
    services: [here]
"""

_NODE = """\
  away:
    preset: sandbox
    endpoint: {url}
    key: {{file: here.token}}
    policies: [all-in-mfs]
node: {{api: "{api}"}}
"""


def tell(place: Path, *, color: ColorChoice, kept: bool) -> int:
    """Tell the story in the directory `place`; the exit code."""
    keys = {"here": "key-of-here", "there": "key-of-there"}
    with Sandbox(keys.values(), lifecycle=_PINNING) as sandbox, _inside(place):
        teller = _Teller(place, Style(wants_color(color, os.environ, sys.stdout)), color)
        for name, key in keys.items():
            path = Path(f"{name}.token")
            path.write_text(key + "\n", encoding="utf-8")
            path.chmod(0o600)
        _somebody_else(sandbox.url, keys["here"])
        manifest = Path("pinrec.yaml")
        text = _MANIFEST.format(
            url=sandbox.url, website=cid("website 1"), handbook=cid("handbook"), post=cid("old post")
        )
        manifest.write_text(text, encoding="utf-8")

        teller.say(
            f"Two pinning services are running on this machine at {sandbox.url}: two accounts of `pinrec sandbox`.",
            "One of them holds a pin of somebody else already: `holiday-photos`. And here is pinrec.yaml:",
        )
        teller.show(text)
        teller.say("1. What would have to be done? Nothing is changed by asking.")
        teller.run("plan")
        teller.say(
            "2. Do it, and wait until every pin is pinned. (--yes, since a demo cannot answer questions.)"
        )
        teller.run("apply", "--yes")
        teller.say("3. Ask again: that is how you know that it is true.")
        teller.run("plan")

        teller.say("4. The website was built anew: its line in the manifest gets another CID.")
        _edit(manifest, lambda t: t.replace(cid("website 1"), cid("website 2")))
        teller.show(f"-    cid: {cid('website 1')}\n+    cid: {cid('website 2')}\n")
        teller.say("`apply` shows the plan first. The old pin goes when the new one is pinned, never before.")
        teller.run("apply", "--yes")

        teller.say("5. `old-post` is no longer wanted: its lines leave the manifest, and apply prunes it.")
        _edit(manifest, lambda t: t[: t.index("  - name: old-post")])
        teller.run("apply", "--yes")
        teller.say("6. What is there now? `holiday-photos` was never touched: it carries no mark of ours.")
        teller.run("ls")
        teller.say("And the last word:")
        teller.run("plan")
        _second_act(teller, manifest)

        teller.say(
            f"That is all of it. Next (`pinrec` is {_program()} here):",
            "  pinrec init         write a pinrec.yaml of your own",
            "  pinrec sandbox      run such a service, to try things on",
            "  pinrec plan --help  every command has examples",
        )
        if kept:
            teller.say(f"The files are in {place}; the services of the demo are gone.")
        return teller.code


def _second_act(teller: "_Teller", manifest: Path) -> None:
    """A node comes, and a service that fetches from it."""
    network = Network()
    with (
        SandboxNode(network=network) as node,
        Sandbox(("key-of-here",), lifecycle=_PINNING, network=network) as away,
    ):
        for text in ("website 2", "handbook"):
            node.put_block(cid(text), text.encode())
        node.write("/notes.txt", b"Buy milk.\n")
        teller.say(
            f"7. A node comes: a small stand-in for Kubo at {node.api}, with a file in its MFS; and a third service.",
            "   Its MFS is to stay pinned there, and the pins of the manifest are to be on the node, too:",
        )
        added = _NODE.format(api=node.api, url=away.url)
        _edit(manifest, lambda t: t.replace("defaults:\n", f"{added}defaults:\n"))
        teller.show("".join(f"+{line}\n" for line in added.splitlines()))
        teller.run("apply", "--yes")
        teller.say("8. Something changes in MFS. `pinrec run` would see it by itself, within a second.")
        node.write("/photos/sunset.jpg", b"imagine a sunset")
        teller.run("apply", "--yes")


class _Teller:
    def __init__(self, place: Path, style: Style, color: ColorChoice) -> None:
        self._style = style
        self._common = ["--state-dir", str(place.resolve() / "state"), "--color", color]
        self.code = EXIT_OK

    def say(self, *lines: str) -> None:
        click.echo("\n" + "\n".join(self._style(line, "bold") for line in lines) + "\n")

    def show(self, text: str) -> None:
        click.echo("".join(f"    {line}\n" for line in text.splitlines()), nl=False)

    def run(self, *args: str) -> None:
        """The command, as it is typed, and what it does."""
        click.echo(self._style(f"$ pinrec {' '.join(args)}", "good"))
        sys.stdout.flush()
        if _main([*self._common, *args]) != EXIT_OK:
            click.echo("pinrec: the demo did not go as it should", err=True)
            self.code = EXIT_ERROR


def _main(args: Sequence[str]) -> int:
    from reconciler.cli.main import run

    return run(args)


def cid(text: str) -> str:
    """The CID of a small text: CIDv1, raw, sha2-256."""
    digest = hashlib.sha256(text.encode()).digest()
    return "b" + base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")


def _edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def _somebody_else(url: str, key: str) -> None:
    """A pin that another program made with the same account."""
    body = json.dumps({"cid": cid("holiday"), "name": "holiday-photos"}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/pins", data=body, headers=headers, method="POST")  # noqa: S310  # our own sandbox
    # No proxy of the environment: this goes to the own process.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        answer.read()


@contextlib.contextmanager
def _inside(place: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)


def _program() -> str:
    """How this pinrec is called from here: `scripts/demo` puts it where no PATH looks."""
    import shutil

    if shutil.which("pinrec"):
        return "pinrec"
    beside = Path(sys.executable).parent / "pinrec"
    with contextlib.suppress(ValueError):
        beside = beside.relative_to(Path.cwd())
    return str(beside)
