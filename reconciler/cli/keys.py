"""Keys that a person hands over: read without an echo, kept where only its owner reads, and never shown again."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any  # a key as it is written in a manifest

import click

from reconciler.core.errors import PinrecError, SecretError, UsageError
from reconciler.core.manifest import SecretRef
from reconciler.transport.secret import MAX_SECRET_BYTES, Secret, resolve

#: No file for a key has a longer name; and the shapes of what such a file holds.
_LONGEST = 100
_JWT = re.compile(r"[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.")
_BASE64 = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/]{20,}={0,2}")


def read_key(what: str, *, from_stdin: bool) -> Secret:
    """A key from standard input or from a prompt. Raises UsageError if it is none, or there is no terminal."""
    if from_stdin:
        text = sys.stdin.read(MAX_SECRET_BYTES + 3)
    elif sys.stdin.isatty():
        text = str(
            click.prompt(f"{what[0].upper()}{what[1:]}", hide_input=True, err=True, show_default=False)
        )
    else:
        raise UsageError(
            "there is no terminal to ask for the key on", hint="--key-stdin reads it from standard input"
        )
    try:
        return resolve(SecretRef(kind="env", value=("KEY",)), environ={"KEY": text}, what=what)
    except SecretError as error:
        raise UsageError(error.message.removesuffix(" (env: KEY)"), hint=error.hint) from None


def is_there(key_file: str) -> bool:
    """Whether `--key-file` names what is there. Raises UsageError, and does not repeat it, if it may be a key itself.

    A path that is there on another machine only is no mistake: one with a `/` that does not look like a key is taken.
    """
    # RuntimeError: `~nobody/…`, where there is no such user.
    with suppress(OSError, ValueError, RuntimeError):
        if Path(key_file).expanduser().exists():
            return True
    as_path = key_file.startswith(("/", "./", "../", "~"))
    if (
        "/" not in key_file
        or not key_file.isprintable()
        or any(len(part) > _LONGEST for part in key_file.split("/"))
        or _JWT.search(key_file)
        or (not as_path and _BASE64.fullmatch(key_file))
    ):
        raise UsageError(
            "--key-file names no file that is there, and what it was given may be a key; it is not shown or written",
            hint="--key-stdin reads a key; a file that is not there yet is named with its folder, as in ./NAME",
        )
    return False


def key_path(owner: str, service: str) -> Path:
    """Where keys are kept that have no place of their own: below the configuration directory of this system."""
    from platformdirs import user_config_path

    return user_config_path("pinrec", appauthor=False) / owner / f"{service}.token"


def store_file(path: Path, key: Secret) -> None:
    """Write a key so that only its owner can read it. Raises OSError."""
    from reconciler.cli.output import write_file

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_file(str(path.resolve() if path.is_symlink() else path), key.reveal() + "\n", mode=0o600)


def store_keyring(entry: str, user: str, key: Secret) -> None:
    """Put a key into the system's keyring. Raises PinrecError."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise PinrecError(
            "the keyring library is not installed", hint="pip install 'pinrec[keyring]'"
        ) from None
    failed = ""
    try:
        keyring.set_password(entry, user, key.reveal())
    except keyring.errors.KeyringError as error:
        failed = type(error).__name__
    if failed:
        # Raised here, so that nothing that holds the key hangs on to it.
        raise PinrecError(f"the keyring cannot be written ({failed})", hint="unlock it and try again")


def as_written(path: Path) -> dict[str, Any]:
    """The reference to a key file, with ~ for the home directory, which differs from machine to machine."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() raises where there is none
    shown = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    return {"file": shown}


def shown(ref: SecretRef) -> str:
    """A reference for people: of a command the program only, since arguments may tell too much."""
    if ref.kind == "command":
        return f"command {Path(ref.value[0]).name} …" if len(ref.value) > 1 else f"command {ref.value[0]}"
    if ref.kind == "keyring":
        return f"keyring {'/'.join(ref.value)}"
    if ref.kind == "file":
        return f"file {as_written(Path(ref.value[0]))['file']}"
    return f"env {ref.value[0]}"
