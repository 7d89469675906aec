import copy
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reconciler.core.errors import SecretError
from reconciler.core.manifest import SecretRef
from reconciler.transport.secret import Secret, resolve

KEY = "c4n4ry-0f-th3-t3sts"


def ref(kind: Any, *value: str) -> SecretRef:
    return SecretRef(kind=kind, value=value)


def refusal(reference: SecretRef, environ: dict[str, str] | None = None, **more: Any) -> str:
    with pytest.raises(SecretError) as caught:
        resolve(reference, environ=environ or {}, what="the key of service x", **more)
    text = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert KEY not in text
    assert "the key of service x" in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


def test_a_secret_shows_nothing() -> None:
    secret = Secret(KEY)
    assert {str(secret), repr(secret), f"{secret}", f"{secret:>30}", "%s" % secret, repr([secret])} == {  # noqa: UP031
        "***",
        "[***]",
    }
    assert not hasattr(secret, "__dict__")
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(secret)
    assert secret.redact(f"a {KEY} b") == "a *** b"
    assert secret.reveal() == KEY


def test_env() -> None:
    assert resolve(ref("env", "K"), environ={"K": KEY}).reveal() == KEY
    assert "no environment variable K" in refusal(ref("env", "K"))
    assert "is empty (env: K)" in refusal(ref("env", "K"), {"K": ""})
    assert "is empty" in refusal(ref("env", "K"), {"K": "\n"})


@pytest.mark.parametrize(
    "bad", [f"{KEY}\r\nX: y", f"{KEY}\x00", f"{KEY}\x7f", f" {KEY}", f"{KEY}é", f"{KEY}\n\n"]
)
def test_what_cannot_stand_in_a_header_is_refused_unseen(bad: str) -> None:
    assert "HTTP header" in refusal(ref("env", "K"), {"K": bad})


def test_a_key_with_its_scheme_is_refused() -> None:
    assert 'begins with "Bearer "' in refusal(ref("env", "K"), {"K": f"Bearer {KEY}"})


def test_only_what_is_encoded_before_it_is_sent_may_hold_other_letters(tmp_path: Path) -> None:
    token = "basic:jürgen:pässwörd"
    assert resolve(ref("env", "K"), environ={"K": token}, field="token").reveal() == token
    path = tmp_path / "token"
    path.write_text(f"{token}\n", encoding="utf-8")
    path.chmod(0o600)
    assert resolve(ref("file", str(path)), environ={}, field="token").reveal() == token
    for text in ("bearer:pässwörd", "basic:cMOkc3M=ö", "pässwörd", "basic:u:p\udce4ss", "basic:u:p\nss"):
        assert "HTTP header" in refusal(ref("env", "K"), {"K": text}, field="token")
    assert "HTTP header" in refusal(ref("env", "K"), {"K": token})


def test_what_to_change_is_what_is_there() -> None:
    with pytest.raises(SecretError) as caught:
        resolve(ref("env", "K"), environ={}, what="the token of the node", field="token")
    assert caught.value.hint == "export K=… before running, or change `token` in the manifest"


def test_a_whole_file_is_no_key() -> None:
    assert "longer than" in refusal(ref("env", "K"), {"K": KEY * 2000})


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    warnings: list[str] = []
    assert resolve(ref("file", str(path)), environ={}, warn=warnings.append).reveal() == KEY
    assert warnings == []
    path.chmod(0o644)
    assert resolve(ref("file", str(path)), environ={}, what="the key", warn=warnings.append).reveal() == KEY
    assert warnings == [f"the key can be read by other users of this machine: chmod 600 {path}"]


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "No such file" in refusal(ref("file", str(tmp_path / "absent")))
    assert "Is a directory" in refusal(ref("file", str(tmp_path)))
    (tmp_path / "binary").write_bytes(b"\xff" + KEY.encode())
    assert "HTTP header" in refusal(ref("file", str(tmp_path / "binary")), warn=lambda text: None)


def test_command() -> None:
    command = ref("command", sys.executable, "-c", "import os; print(os.environ['K'])")
    assert resolve(command, environ={"K": KEY}).reveal() == KEY


def test_commands_that_fail(tmp_path: Path) -> None:
    loud = f"import sys; print('{KEY}'); print('first'); sys.exit('wrong for {KEY}')"
    script = tmp_path / "loud.py"
    script.write_text(loud)
    text = refusal(ref("command", sys.executable, str(script)))
    assert "ended with exit code 1: wrong for ***" in text
    assert "cannot be run: No such file" in refusal(ref("command", "/nonexistent/tool"))
    assert "is empty" in refusal(ref("command", "true"))

    def hangs(args: list[str], **more: Any) -> Any:
        raise subprocess.TimeoutExpired(args, more["timeout"], output=KEY.encode())

    assert "did not end within 30 seconds" in refusal(ref("command", "slow"), run=hangs)


def test_keyring_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'pinrec[keyring]'" in refusal(ref("keyring", "pinrec", "pinata"))


def test_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")

    class KeyringError(Exception):
        pass

    def get_password(service: str, user: str) -> str | None:
        if service == "locked":
            raise KeyringError(KEY)
        return {("pinrec", "pinata"): KEY}.get((service, user))

    errors.KeyringError = KeyringError  # type: ignore[attr-defined]
    module.errors = errors  # type: ignore[attr-defined]
    module.get_password = get_password  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert resolve(ref("keyring", "pinrec", "pinata"), environ={}).reveal() == KEY
    assert resolve(ref("keyring", "pinrec/pinata"), environ={}).reveal() == KEY
    assert "no entry pinrec / other" in refusal(ref("keyring", "pinrec", "other"))
    assert "cannot be opened (KeyringError)" in refusal(ref("keyring", "locked", "x"))
