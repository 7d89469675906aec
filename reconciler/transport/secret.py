"""Keys of services: found where the manifest says they are, and never shown.

A value exists only inside `Secret`, whose text is `***`. `reveal` is for the one line of the transport that
writes the Authorization header.
"""

import logging
import re
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn, Protocol

from reconciler.core.errors import SecretError
from reconciler.core.manifest import SecretRef

COMMAND_TIMEOUT: Final = 30.0
#: A JWT is about 1 kB; most servers refuse a header above 8 kB.
MAX_SECRET_BYTES: Final = 16 * 1024

SHORT: Final = 8
_BASIC: Final = re.compile("basic:[^:]*:")

_log = logging.getLogger(__name__)


class Secret:
    """A value that does not print, compare or pickle."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def reveal(self) -> str:
        """The value, for the Authorization header and nothing else."""
        return self._value

    def redact(self, text: str) -> str:
        """`text` without the value: services do echo keys in their error texts.

        A key of a few characters is cut out where it stands alone only: it is in half of all words.
        """
        if not self._value:
            return text
        if len(self._value) >= SHORT:
            return text.replace(self._value, "***")
        return re.sub(rf"(?<![A-Za-z0-9]){re.escape(self._value)}(?![A-Za-z0-9])", "***", text)


class Run(Protocol):
    """The part of `subprocess.run` that is used."""

    def __call__(
        self, args: list[str], *, capture_output: bool, stdin: int, timeout: float, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[bytes]": ...


def _subprocess_run(
    args: list[str], *, capture_output: bool, stdin: int, timeout: float, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(  # noqa: S603  the user's own command, as an argument list, without a shell
        args, capture_output=capture_output, stdin=stdin, timeout=timeout, env=dict(env), check=False
    )


def resolve(
    ref: SecretRef,
    *,
    environ: Mapping[str, str],
    what: str = "the key",
    field: str = "key",
    run: Run = _subprocess_run,
    warn: Callable[[str], None] = _log.warning,
) -> Secret:
    """The value that `ref` points to. Raises SecretError with what is missing, where, and what to do.

    One newline at the end is dropped, as `echo` and editors leave it. `what` names the key in messages ("the
    key of service pinata"), `field` where it stands in the manifest; `warn` hears of a key file that others can read.
    """
    if ref.kind == "env":
        raw = _from_env(ref, what, field, environ)
    elif ref.kind == "file":
        raw = _from_file(ref, what, warn)
    elif ref.kind == "command":
        raw = _from_command(ref, what, environ, run)
    else:
        raw = _from_keyring(ref, what)
    return Secret(_checked(raw, ref, what, field))


def _checked(raw: str, ref: SecretRef, what: str, field: str) -> str:
    value = raw.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise SecretError(f"{what} is empty ({ref})", hint="put the token there, without quotes")
    if len(value) > MAX_SECRET_BYTES:
        raise SecretError(
            f"{what} is longer than {MAX_SECRET_BYTES} bytes ({ref})", hint="is it the right one?"
        )
    # Anything else could end the header line, or reach an exception of the HTTP library with the value in it.
    # `basic:user:password` is the one that is encoded before it is sent.
    encoded = field == "token" and _BASIC.match(value) is not None
    if not (encoded or value.isascii()) or not value.isprintable() or value != value.strip():
        raise SecretError(
            f"{what} holds characters that cannot stand in an HTTP header ({ref})",
            hint="a token is one line of printable ASCII without spaces around it",
        )
    if value.lower().startswith("bearer "):
        raise SecretError(f'{what} begins with "Bearer " ({ref})', hint="give the token alone")
    return value


def _from_env(ref: SecretRef, what: str, field: str, environ: Mapping[str, str]) -> str:
    name = ref.value[0]
    if name not in environ:
        raise SecretError(
            f"{what} is not set: there is no environment variable {name}",
            hint=f"export {name}=… before running, or change `{field}` in the manifest",
        )
    return environ[name]


def _from_file(ref: SecretRef, what: str, warn: Callable[[str], None]) -> str:
    path = Path(ref.value[0]).expanduser()
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            raw = file.read(MAX_SECRET_BYTES + 3)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SecretError(
            f"{what} cannot be read from {path}: {reason}", hint="write the token there"
        ) from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        warn(f"{what} can be read by other users of this machine: chmod 600 {path}")
    return _text(raw, ref, what)


def _from_command(ref: SecretRef, what: str, environ: Mapping[str, str], run: Run) -> str:
    argv = list(ref.value)
    failure = ""
    try:
        done = run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT, env=environ)
    except subprocess.TimeoutExpired:
        failure = f"did not end within {COMMAND_TIMEOUT:g} seconds"
    except OSError as error:
        failure = f"cannot be run: {error.strerror or type(error).__name__}"
    else:
        if done.returncode == 0:
            return _text(done.stdout, ref, what)
        failure = f"ended with exit code {done.returncode}" + _last_line(done.stderr, done.stdout)
    # Raised here and not above, so that no exception that holds the output hangs on to this one.
    raise SecretError(
        f"{what}: the command `{argv[0]}` {failure}", hint="run it by hand to see what it needs"
    )


def _last_line(stderr: bytes, stdout: bytes) -> str:
    """The last line of what a failing command complained, without anything it had printed as its result."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    last = "".join(c for c in lines[-1] if c.isprintable())[:200] if lines else ""
    for word in stdout.decode("utf-8", "replace").split():
        last = last.replace(word, "***")
    return f": {last}" if last else ""


def _from_keyring(ref: SecretRef, what: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise SecretError(
            f"{what} is in a keyring, and the keyring library is not installed",
            hint="pip install 'pinrec[keyring]'",
        ) from None
    service, user = ref.value if len(ref.value) == 2 else ref.value[0].rpartition("/")[::2]
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise SecretError(
            f"{what}: the keyring cannot be opened ({type(error).__name__})", hint="unlock it and try again"
        ) from None
    if value is None:
        raise SecretError(
            f"{what} is not in the keyring: no entry {service} / {user}", hint=f"keyring set {service} {user}"
        )
    return str(value)


def _text(raw: bytes, ref: SecretRef, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    raise SecretError(
        f"{what} holds characters that cannot stand in an HTTP header ({ref})",
        hint="a token is one line of printable ASCII",
    )
