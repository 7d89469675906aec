"""The README and docs/ say what is true: their commands run, their manifests are valid, their lists are complete.

What a fenced block means:

  sh       is run, the blocks of a page in order, in one shell and one empty folder, with a `pinrec sandbox` at
           http://127.0.0.1:5010, where `sandbox-token` and `second-token` are two accounts, and for a page that
           names http://127.0.0.1:5011 with a `--node` there; each must succeed
  text     right after `sh`: what that block prints. UPDATE=1 writes it anew
  yaml     a manifest or a part of one is loaded; a workflow's commands are checked
           after `<!-- edit: FILE -->` it takes the place of the same top-level key in that file, for the next `sh`
  shell    as `sh`, but needs a network, a terminal or an account: not run
  console  a session, shown: not run

The commands of all of them, and those in `code`, must exist with all their options.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import click
import msgspec
import pytest
from ruamel.yaml import YAML

from reconciler.cli.main import COMMANDS, cli, load_command
from reconciler.core import errors, plan, report
from reconciler.core.plan import GuardName
from reconciler.core.presets import PRESETS
from reconciler.core.profile import PROFILES, Profile
from reconciler.manifest import load_manifest, schema_file, schema_text
from reconciler.sandbox import Sandbox
from reconciler.sandbox.network import Network
from reconciler.sandbox.node import SandboxNode

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(p.relative_to(ROOT)) for p in PAGES]
#: Written from the commands; tests/cli/test_docs.py compares it.
GENERATED = "docs/cli.md"
UPDATE = bool(os.environ.get("UPDATE"))
RUNS = ("sh", "shell", "console")
SERVICE, NODE = "http://127.0.0.1:5010", "http://127.0.0.1:5011"


class Block(NamedTuple):
    kind: str
    text: str
    start: int  # of the text in the page
    edits: str  # the file that a yaml block goes into, or ""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    found = re.finditer(r"(?:<!-- edit: (\S+) -->\n)?^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(m[2], m[3], m.start(3), m[1] or "") for m in found]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)


# --- commands -------------------------------------------------------------------------------------------------


def command_lines(page: str) -> Iterator[str]:
    for block in blocks(page):
        if block.kind in RUNS:
            for line in block.text.replace("\\\n", " ").splitlines():
                if block.kind != "console" or line.startswith("$ "):
                    yield from re.findall(r"(?<![\w./-])(pinrec(?: [^|>#&;`)]*)?)", line.removeprefix("$ "))
        elif block.kind == "yaml":
            yield from re.findall(r"run: (pinrec [^|>#]*)", block.text)
    yield from re.findall(r"`(pinrec [^`]+)`", prose(page))


@pytest.mark.parametrize("name", [n for n in NAMES if n != GENERATED])
def test_every_command_shown_exists_with_its_options(name: str) -> None:
    for line in command_lines(read(name)):
        words = shlex.split(line.replace("…", "x"), comments=True)[1:]
        known = {o for p in cli.params for o in p.opts}
        plain = [w for w in words if not w.startswith("-")]
        if plain and plain[0].islower() and plain[0].isalpha():
            assert plain[0] in COMMANDS, f"{name}: {line}"
            command = load_command(plain[0])
            known |= {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
            if isinstance(command, click.Group) and len(plain) > 1:
                assert plain[1] in command.commands, f"{name}: {line}"
                known |= {o for p in command.commands[plain[1]].params for o in (*p.opts, *p.secondary_opts)}
        options = {w.partition("=")[0] for w in words if w.startswith("-") and w != "-"}
        assert options <= known | {"--help", "-h"}, f"{name}: {line}"


@pytest.mark.parametrize("name", [n for n in NAMES if n != GENERATED])
def test_every_option_named_exists(name: str) -> None:
    named = {word.split()[0] for word in re.findall(r"`(--[^`]+)`", read(name))}
    assert {o for o in named if o not in {*options(), "--help"}} == set()


def test_every_command_is_told_of() -> None:
    told = "".join(read(n) for n in NAMES if n != GENERATED)
    missing = [c for c in COMMANDS if not re.search(rf"pinrec {c}\b", told)]
    assert missing == []


def options() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        top = load_command(name)
        for command in (top, *(top.commands.values() if isinstance(top, click.Group) else ())):
            found.update(
                {max(p.opts, key=len): command for p in command.params if isinstance(p, click.Option)}
            )
    return found


def test_every_override_of_a_guard_is_told_of() -> None:
    guards = read("docs/guards.md")
    assert [o for o in options() if o.startswith("--allow-") and o not in guards] == []


# --- what runs ------------------------------------------------------------------------------------------------


def into(manifest: str, block: str) -> str:
    """The manifest with the top-level keys of the block in the place of its own."""
    for part in re.split(r"^(?=\S)", block, flags=re.MULTILINE):
        if not part.strip():
            continue
        key = part.partition(":")[0]
        manifest, count = re.subn(
            rf"^{key}:.*?(?=^\S|\Z)", lambda _, p=part: p + "\n", manifest, flags=re.MULTILINE | re.DOTALL
        )
        if not count:
            manifest += part
    return manifest


def settled(text: str) -> str:
    """Without what differs from run to run: durations, and the port of the sandbox."""
    text = re.sub(r"\(\d+ s\)", "(1 s)", text)
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:5010", text)


@contextlib.contextmanager
def _sandbox(*, with_node: bool) -> Iterator[dict[str, str]]:
    """What `pinrec sandbox` starts, and with `--node` its node: the addresses of the pages, and where they are."""
    tokens = ["sandbox-token", "second-token"]
    if not with_node:
        with Sandbox(tokens=tokens) as sandbox:
            yield {SERVICE: sandbox.url}
        return
    network = Network()
    with SandboxNode(network=network) as node, Sandbox(tokens=tokens, network=network) as sandbox:
        yield {SERVICE: sandbox.url, NODE: node.api}


@pytest.mark.parametrize("name", [n for n in NAMES if any(b.kind == "sh" for b in blocks(read(n)))])
def test_what_a_page_says_happens(name: str, tmp_path: Path) -> None:
    page = read(name)
    work, tools = tmp_path / "work", tmp_path / "tools"
    work.mkdir()
    tools.mkdir()
    script = ["set -eu"]
    todo = blocks(page)
    if any("curl " in b.text for b in todo if b.kind == "sh") and not shutil.which(
        "curl", path="/usr/bin:/bin"
    ):
        pytest.skip("curl is not installed")
    with _sandbox(with_node=NODE in page) as ports:
        # The page has the ports that `pinrec sandbox` takes, the test some that are free.
        moved = "".join(f"s#{there}#{here}#;" for there, here in ports.items())
        (tools / "pinrec").write_text(
            "#!/bin/sh\n"
            f'for f in *.yaml; do [ ! -f "$f" ] || sed -i "{moved}" "$f"; done\n'
            f'exec {shlex.quote(sys.executable)} -m reconciler.cli.main "$@"\n'
        )
        (tools / "pinrec").chmod(0o755)
        (tools / "edit").write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            "import importlib.util\n"
            f"spec = importlib.util.spec_from_file_location('docs', {str(Path(__file__))!r})\n"
            "docs = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(docs)\n"
            "from pathlib import Path\nfile, block = map(Path, sys.argv[1:])\n"
            "file.write_text(docs.into(file.read_text(), block.read_text()))\n"
        )
        (tools / "edit").chmod(0o755)
        for i, block in enumerate(todo):
            text = block.text
            for there, here in ports.items() if block.kind == "sh" else ():
                text = text.replace(there, here)
            (tools / f"{i}").write_text(text)
            if block.kind == "sh":
                script.append(f". {tools}/{i} > {tools}/{i}.out")
            elif block.edits:
                script.append(f"{tools}/edit {block.edits} {tools}/{i}")
        environ = {
            "PATH": f"{tools}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PINREC_STATE_DIR": str(tmp_path / "state"),
            "LANG": "C.UTF-8",
        } | {k: v for k, v in os.environ.items() if k.startswith("COV")}
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=work,
            env=environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for i, block in reversed(list(enumerate(todo))):
        if block.kind == "text" and i and todo[i - 1].kind == "sh":
            printed = settled((tools / f"{i - 1}.out").read_text())
            if UPDATE:
                page = page[: block.start] + printed + page[block.start + len(block.text) :]
            else:
                assert printed == block.text, f"{name}: UPDATE=1 writes it anew"
    if UPDATE:
        (ROOT / name).write_text(page, encoding="utf-8")


# --- manifests and workflows ----------------------------------------------------------------------------------

YAMLS = [(n, i, b.text) for n in NAMES for i, b in enumerate(blocks(read(n))) if b.kind == "yaml"]
SERVICES = """\
services:
  pinata: {preset: pinata, key: {env: PINATA_JWT}}
  filebase: {preset: filebase, key: {env: FILEBASE_TOKEN}}
  cluster: {preset: ipfs-cluster, key: {env: CLUSTER_TOKEN}}
"""


def whole(part: str) -> str:
    """A manifest around what a page shows of one."""
    part = part if re.search(r"^version:", part, re.MULTILINE) else "version: 1\nname: docs\n" + part
    part += "" if re.search(r"^services:", part, re.MULTILINE) else SERVICES
    if re.search(r"^pins:", part, re.MULTILINE) and not re.search(r"^defaults:", part, re.MULTILINE):
        first = re.search(r"^services:\n(?:\s*#.*\n)* +([\w.-]+):", part, re.MULTILINE)
        assert first
        part += f"defaults: {{services: [{first[1]}]}}\n"
    return part


@pytest.mark.parametrize(("name", "number", "text"), YAMLS, ids=[f"{n}-{i}" for n, i, _ in YAMLS])
def test_every_manifest_shown_is_valid(name: str, number: int, text: str, tmp_path: Path) -> None:
    if re.search(r"^(jobs|on|steps|concurrency):", text, re.MULTILINE):
        assert YAML(typ="safe").load(text)
        return
    for listed in re.findall(r"from: (\S+?)[,}\s]", text):
        (tmp_path / listed).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / listed).write_text("bafkqaaa empty\n")
    for included in re.findall(r"^include: \[?([^\]\n]+)", text, re.MULTILINE):
        for file in included.split(","):
            (tmp_path / file.strip()).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / file.strip()).write_text("pins: []\n")
    (tmp_path / "pinrec.yaml").write_text(whole(text))
    load_manifest(str(tmp_path / "pinrec.yaml"))


# --- complete -------------------------------------------------------------------------------------------------


def headings(name: str) -> set[str]:
    return {m.strip("`") for m in re.findall(r"^##+ (.+)$", read(name), re.MULTILINE)}


def test_every_guard_has_its_section() -> None:
    assert set(get_args(GuardName)) <= headings("docs/guards.md")
    promises = read("docs/tasks/promises.md")
    assert [g for g in get_args(GuardName) if f"`{g}`" not in promises] == []
    readme = read("README.md")
    assert [g for g in get_args(GuardName) if f"`{g}`" not in readme] == []


@pytest.mark.parametrize("name", ["README.md", "docs/ci.md"])
def test_every_exit_code_is_explained(name: str) -> None:
    codes = {v for k, v in vars(errors).items() if k.startswith("EXIT_") and isinstance(v, int)}
    told = {
        int(n) for cell in re.findall(r"^\| ([\d, ]+) \|", read(name), re.MULTILINE) for n in cell.split(",")
    }
    assert told == codes


def test_every_preset_and_profile_is_told_of() -> None:
    page = read("docs/services.md")
    for name in (*PRESETS, *PROFILES):
        assert re.search(rf"^\| `{re.escape(name)}` \|", page, re.MULTILINE), name
    for name, preset in PRESETS.items():
        assert f"`{name}`" in read("README.md")
        assert preset.endpoint is None or preset.endpoint in page
    for field in msgspec.structs.fields(Profile):
        assert field.encode_name == "name" or f"`{field.encode_name}`" in page, field.encode_name


def test_the_profiles_are_as_told() -> None:
    """The table of rows has each value of each row."""
    page = read("docs/services.md")
    table = re.search(r"^\| Profile \|.*?\n\n", page, re.MULTILINE | re.DOTALL)
    assert table
    head, _, *rows = [
        [c.strip(" `") for c in line.split("|")[1:-1]] for line in table[0].strip().splitlines()
    ]
    fields = {f.encode_name: f.name for f in msgspec.structs.fields(Profile)}
    for row in rows:
        profile = PROFILES[row[0]]
        for title, cell in zip(head[1:], row[1:], strict=True):
            value = getattr(profile, fields[title])
            shown = {"True": "yes", "False": "no", "()": "none"}.get(str(value), value)
            shown = ", ".join(shown) if isinstance(shown, tuple) else str(shown)
            assert cell == shown, (row[0], title)


@pytest.mark.parametrize("schema", ["plan", "report"])
def test_every_field_of_the_formats_is_told_of(schema: str) -> None:
    page = read("docs/plan-format.md")
    for field in json.loads(schema_file(f"{schema}.schema.json"))["properties"]:
        assert f"`{field}`" in page, field


def test_every_reason_and_result_is_told_of() -> None:
    page = read("docs/plan-format.md")
    actions = (plan.Add, plan.Replace, plan.Retry, plan.Delete, plan.Keep)
    said = [w for a in actions for w in get_args(get_type_hints(a)["reason"])]
    said += [str(a.__struct_config__.tag) for a in (*actions, plan.Blocked)]
    said += get_args(report.Result)
    assert [w for w in said if f"`{w}`" not in page] == []


def source() -> str:
    """All our texts, with strings that run over lines put together."""
    text = (
        "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "reconciler").rglob("*.py")) + schema_text()
    )
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("name", ["docs/troubleshooting.md", "docs/guards.md"])
def test_every_message_quoted_is_one_of_ours(name: str) -> None:
    """A heading or a line in `> ` quotes a message, with … for what varies."""
    ours = source()
    quoted = [*re.findall(r"^### `(.+)`$", read(name), re.MULTILINE)]
    quoted += re.findall(r"^> `(.+)`$", read(name), re.MULTILINE)
    assert quoted
    for message in quoted:
        for part in message.split("…"):
            assert part.strip() in ours, f"{name}: {part.strip()!r} of {message!r}"


@pytest.mark.parametrize("name", [*NAMES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(read(name))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), f"{name}: {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
            assert anchor in slugs, f"{name}: {target}"


def test_every_page_is_linked_from_the_readme() -> None:
    assert [n for n in NAMES[1:] if f"]({n})" not in read("README.md")] == []


# --- docs/manifest.md -----------------------------------------------------------------------------------------

MARK = "<!-- Written from schemas/manifest.schema.json: UPDATE=1 pytest tests/test_docs.py. Do not edit below. -->\n"
#: Section, and where in the schema it stands.
SECTIONS = (
    ("The manifest", ()),
    ("node", ("definitions", "node")),
    ("services.NAME", ("definitions", "service")),
    ("services.NAME.key", ("definitions", "key")),
    ("services.NAME.limits", ("definitions", "limits")),
    ("services.NAME.profile", ("definitions", "profile")),
    ("services.NAME.verify", ("definitions", "service", "properties", "verify")),
    ("services.NAME.policies: a policy's settings there", ("definitions", "use")),
    ("policies", ("definitions", "policies")),
    ("policies.NAME", ("definitions", "policy")),
    ("policies.NAME: kind mfs", ("definitions", "policy-mfs")),
    ("policies.NAME: kind directory", ("definitions", "policy-directory")),
    ("policies.NAME: kind ipns", ("definitions", "policy-ipns")),
    ("policies.NAME: kind local-pins", ("definitions", "policy-local-pins")),
    ("defaults", ("properties", "defaults")),
    ("pins: one pin", ("definitions", "pin")),
    ("pins: cid", ("definitions", "pin", "properties", "cid")),
    ("pins: a list file", ("definitions", "bulk")),
    ("services of a pin: replicas", ("definitions", "target")),
    ("adopt", ("definitions", "adopt", "items")),
    ("guards", ("properties", "guards")),
    ("names", ("definitions", "names")),
    ("loop", ("definitions", "loop")),
    ("loop.webhook", ("definitions", "loop", "properties", "webhook")),
    ("loop.verify", ("definitions", "loop", "properties", "verify")),
    ("An included file", ("definitions", "included")),
)
TYPES = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "`true`, `false`",
    "array": "list",
    "object": "mapping",
}


def reference(schema: dict[str, Any]) -> str:
    """Every key of a manifest as tables, one for each mapping."""
    parts = []
    for title, path in SECTIONS:
        node: dict[str, Any] = schema
        for step in path:
            node = node[step]
        parts.append(f"\n## {title}\n\n")
        if "description" in node:
            parts.append(f"{node['description']}\n\n")
        parts.append("| Key | Value | Default | Meaning | Example |\n|---|---|---|---|---|\n")
        for key, prop in node["properties"].items():
            while "$ref" in prop:
                # What is said at the key comes before what is said where it is defined.
                prop = schema["definitions"][prop["$ref"].rpartition("/")[2]] | {
                    k: prop[k] for k in prop if k != "$ref"
                }
            need = " (required)" if key in node.get("required", ()) else ""
            default = f"`{flow(prop['default'])}`" if "default" in prop else ""
            example = f"`{flow(prop['examples'][0])}`" if prop.get("examples") else ""
            row = (f"`{key}`{need}", value_of(prop), default, prop.get("description", ""), example)
            parts.append("| " + " | ".join(c.replace("|", "\\|").replace("<", "\\<") for c in row) + " |\n")
    return "".join(parts)


def value_of(prop: dict[str, Any]) -> str:
    if "enum" in prop:
        return ", ".join(f"`{flow(v)}`" for v in prop["enum"])
    types = prop.get("type", [])
    text = " or ".join(TYPES[t] for t in ([types] if isinstance(types, str) else types))
    if "enum" in prop.get("items", {}):
        text += " of " + ", ".join(f"`{v}`" for v in prop["items"]["enum"])
    if "enum" in prop.get("then", {}):
        text += " (" + ", ".join(f"`{v}`" for v in prop["then"]["enum"]) + ")"
    if "maximum" in prop and "minimum" in prop:
        low, high = prop["minimum"], prop["maximum"]
        text = text.replace("integer", str(low)) if low == high else f"{text}, {low} to {high}"
    if "maxItems" in prop:
        text += f", at most {prop['maxItems']}"
    return text


def flow(value: object) -> str:
    """A value as one writes it in YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return f'"{text}"' if any(c in text for c in "*{}[]") else text


def test_the_manifest_reference_is_up_to_date() -> None:
    page = read("docs/manifest.md")
    head, mark, _ = page.partition(MARK)
    assert mark
    made = head + mark + reference(json.loads(schema_text()))
    if UPDATE:
        (ROOT / "docs/manifest.md").write_text(made, encoding="utf-8")
    assert read("docs/manifest.md") == made


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    """Wherever a mapping is defined, not only where the sections above look."""
    keys: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            properties = node.get("properties")
            if isinstance(properties, dict):
                keys.update(properties)
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(json.loads(schema_text()))
    page = read("docs/manifest.md")
    assert {k for k in keys if f"| `{k}`" not in page} == set()
