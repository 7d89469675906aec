"""Paths that lead to content: `/ipfs/<cid>[/path]`, `/ipns/<name of a key>[/path]`, `/ipns/<domain>[/path]`.

    cleaned         a `/` at the end, `//`; the schemes `ipfs://` and `ipns://`
    refused         `.` and `..`, control characters, a name that is neither a key's nor a domain

Parts are literal: a path is no URL, and `%20` is three characters. A domain is in lower case, and may hold characters
beyond ASCII; how it is asked for is for DNS to say.
"""

import re
from typing import Final

from msgspec import Struct

from reconciler.core.cid import LIBP2P_KEY, Cid, CidError
from reconciler.core.cid import parse as parse_cid
from reconciler.core.ipns import IpnsError, IpnsName, parse_name

MAX_CHARACTERS: Final = 2048
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LABEL: Final = r"[0-9a-z_\u0080-\U0010ffff](?:[0-9a-z_\u0080-\U0010ffff-]*[0-9a-z_\u0080-\U0010ffff])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
#: Of a name as DNS writes it, with its dots.
_MAX_DOMAIN, _MAX_LABEL = 253, 63


class PathError(ValueError):
    """A text that is no path to content. The text is one clear reason, and does not repeat the path."""


class Domain(Struct, frozen=True):
    """A domain whose DNSLink is meant."""

    text: str

    def __str__(self) -> str:
        return self.text


class ContentPath(Struct, frozen=True):
    """`root` says what the path goes by; `rest` are the names below it."""

    root: Cid | IpnsName | Domain
    rest: tuple[str, ...] = ()

    @property
    def mutable(self) -> bool:
        """Whether it may lead elsewhere tomorrow."""
        return not isinstance(self.root, Cid)

    def __str__(self) -> str:
        return "/".join(("/ipns" if self.mutable else "/ipfs", str(self.root), *self.rest))


def parse_path(text: str) -> ContentPath:
    """Raises PathError."""
    if len(text) > MAX_CHARACTERS:
        raise PathError(f"it has {len(text)} characters, {MAX_CHARACTERS} are the most")
    if _CONTROL.search(text):
        raise PathError("it holds control characters")
    for scheme in ("ipfs", "ipns"):
        if text.startswith(f"{scheme}://"):
            text = f"/{scheme}/" + text.removeprefix(f"{scheme}://")
    head, _, tail = text.removeprefix("/").partition("/")
    if not text.startswith("/") or head not in ("ipfs", "ipns"):
        raise PathError("it must begin with /ipns/ or /ipfs/")
    parts = [part for part in tail.split("/") if part]
    if not parts:
        raise PathError(f"nothing follows /{head}/")
    if "." in parts or ".." in parts:
        raise PathError("it holds . or .., which mean nothing here")
    return ContentPath(_content(parts[0]) if head == "ipfs" else _named(parts[0]), tuple(parts[1:]))


def _content(text: str) -> Cid:
    try:
        cid = parse_cid(text)
    except CidError as error:
        raise PathError(f"what follows /ipfs/ is no CID: {error.reason}") from None
    if cid.codec == LIBP2P_KEY:
        raise PathError("what follows /ipfs/ is the name of a key, which leads somewhere under /ipns/")
    return cid


def _named(text: str) -> IpnsName | Domain:
    if "." in text:
        domain = text.lower().removesuffix(".")
        labels = domain.split(".")
        if not _DOMAIN.fullmatch(domain) or len(domain) > _MAX_DOMAIN or max(map(len, labels)) > _MAX_LABEL:
            raise PathError("what follows /ipns/ is no domain")
        return Domain(domain)
    try:
        return parse_name(text)
    except IpnsError as error:
        raise PathError(f"what follows /ipns/ cannot be used: {error}") from None
