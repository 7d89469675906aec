"""Names for tests: keys that sign IPNS records, a DNS server, a trustless gateway. All on loopback.

    key = Key.new("ed25519"); key.name; key.record("/ipfs/…", sequence=3)
    with DnsServer({"_dnslink.example.org": ["dnslink=/ipfs/…"]}) as dns: Dns(dns.address)
    with Gateway() as gateway: gateway.records[key.name] = key.record(…); gateway.add(block)

The DNS server answers UDP and TCP. A value of its zone may be a function of the query that gives the bytes to send,
None for silence.
"""

import contextlib
import hashlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reconciler.core.cid import LIBP2P_KEY, parse
from reconciler.core.unixfs import address

# --- records ------------------------------------------------------------------------------------------------------

LATER = "2100-01-01T00:00:00.000000001Z"


def varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def protobuf(fields: Mapping[int, int | bytes]) -> bytes:
    out = b""
    for number, value in fields.items():
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def cbor(value: Any) -> bytes:
    """DAG-CBOR of what tests put into records."""

    def head(kind: int, n: int) -> bytes:
        if n < 24:
            return bytes([kind << 5 | n])
        for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if n < 1 << 8 * width:
                return bytes([kind << 5 | code]) + n.to_bytes(width, "big")
        raise ValueError(n)

    match value:
        case bool() | None:
            return bytes([{False: 0xF4, True: 0xF5, None: 0xF6}[value]])
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list():
            return head(4, len(value)) + b"".join(map(cbor, value))
    items = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
    return head(5, len(items)) + b"".join(cbor(k) + cbor(v) for k, v in items)


@dataclass(frozen=True)
class Key:
    kind: str
    private: Any

    @classmethod
    def new(cls, kind: str = "ed25519") -> "Key":
        match kind:
            case "ed25519":
                return cls(kind, ed25519.Ed25519PrivateKey.generate())
            case "rsa":
                return cls(kind, rsa.generate_private_key(65537, 2048))
            case "secp256k1":
                return cls(kind, ec.generate_private_key(ec.SECP256K1()))
        return cls(kind, ec.generate_private_key(ec.SECP256R1()))

    @property
    def public(self) -> bytes:
        """The protobuf PublicKey."""
        code = ("rsa", "ed25519", "secp256k1", "ecdsa").index(self.kind)
        public = self.private.public_key()
        match self.kind:
            case "ed25519":
                data = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            case "secp256k1":
                data = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
            case _:
                data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return protobuf({1: code, 2: data})

    @property
    def multihash(self) -> bytes:
        if len(self.public) <= 42:
            return bytes([0, len(self.public)]) + self.public
        return b"\x12\x20" + hashlib.sha256(self.public).digest()

    @property
    def name(self) -> str:
        """In base32, which the code under test does not print."""
        return parse("f01" + (bytes([LIBP2P_KEY]) + self.multihash).hex()).canonical

    def sign(self, message: bytes) -> bytes:
        match self.kind:
            case "ed25519":
                signature = self.private.sign(message)
            case "rsa":
                signature = self.private.sign(message, padding.PKCS1v15(), SHA256())
            case _:
                signature = self.private.sign(message, ec.ECDSA(SHA256()))
        assert isinstance(signature, bytes)
        return signature

    def record(
        self,
        value: str,
        *,
        sequence: int = 0,
        until: str = LATER,
        v1: bool = True,
        signed: Mapping[str, Any] | None = None,
        fields: Mapping[int, int | bytes] | None = None,
    ) -> bytes:
        """A good record; `signed` changes what is signed, `fields` what is around it (b"" takes a field out)."""
        data = {
            "Value": value.encode(),
            "Validity": until.encode(),
            "ValidityType": 0,
            "Sequence": sequence,
            "TTL": 300_000_000_000,
        } | dict(signed or {})
        encoded = cbor({k: v for k, v in data.items() if v is not ...})
        whole: dict[int, int | bytes] = {}
        if v1:
            whole = {
                1: data["Value"],
                2: b"v1",
                3: 0,
                4: data["Validity"],
                5: data["Sequence"],
                6: data["TTL"],
            }
        if self.multihash[0]:
            whole[7] = self.public
        whole |= {8: self.sign(b"ipns-signature:" + encoded), 9: encoded} | dict(fields or {})
        return protobuf({n: v for n, v in whole.items() if v != b""})


# --- DNS ----------------------------------------------------------------------------------------------------------

Zone = Mapping[str, Any]


class DnsServer:
    """`zone`: domain → its TXT records (strings, or lists of strings that are one record), an rcode, or a function."""

    def __init__(self, zone: Zone) -> None:
        self.zone = dict(zone)
        #: (domain, "udp" or "tcp") of each question.
        self.asked: list[tuple[str, str]] = []
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                reply = server._reply(data, "udp")
                if reply is not None:
                    sock.sendto(reply, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                size = int.from_bytes(self.rfile.read(2), "big")
                reply = server._reply(self.rfile.read(size), "tcp")
                if reply is not None:
                    self.wfile.write(len(reply).to_bytes(2, "big") + reply)

        self._tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp)
        self.port = self._tcp.server_address[1]
        self._udp = socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp)
        self._threads = [
            threading.Thread(target=s.serve_forever, args=(0.02,), daemon=True)
            for s in (self._tcp, self._udp)
        ]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._tcp, self._udp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def _reply(self, data: bytes, how: str) -> bytes | None:
        query = dns.message.from_wire(data)
        domain = query.question[0].name.to_text(omit_final_dot=True).lower()
        self.asked.append((domain, how))
        there = self.zone.get(domain)
        if callable(there):
            made = there(query, how)
            assert made is None or isinstance(made, bytes)
            return made
        return txt_reply(query, there)


def txt_reply(query: dns.message.Message, there: Any) -> bytes:
    reply = dns.message.make_response(query)
    name = query.question[0].name
    if there is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif isinstance(there, dns.rcode.Rcode):
        reply.set_rcode(there)
    elif there:
        texts = [record if isinstance(record, list) else [record] for record in there]
        quoted = [" ".join('"' + part.replace('"', '\\"') + '"' for part in parts) for parts in texts]
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *quoted))
    return reply.to_wire(max_size=65535)


# --- gateway ------------------------------------------------------------------------------------------------------


@dataclass
class Gateway:
    """Serves blocks and records. `answer` may take a path over: (status, headers, body), or None to go on."""

    blocks: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, bytes] = field(default_factory=dict)
    answer: Callable[[str], tuple[int, dict[str, str], bytes] | None] = lambda path: None
    asked: list[str] = field(default_factory=list)

    def put(self, cid: bytes, block: bytes) -> None:
        """A sink for `core.unixfs`."""
        self.blocks[parse(address.to_text(cid)).canonical] = block

    def publish(self, key: Key, value: str, **more: Any) -> None:
        self.records[key.name] = key.record(value, **more)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gateway.asked.append(self.path)
                status, headers, body = gateway.answer(self.path) or gateway._serve(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, path: str) -> tuple[int, dict[str, str], bytes]:
        _, kind, rest = path.split("/", 2)
        text, _, query = rest.partition("?")
        canonical = parse(text).canonical
        if kind == "ipfs" and query == "format=raw" and canonical in self.blocks:
            return 200, {"content-type": "application/vnd.ipld.raw"}, self.blocks[canonical]
        if kind == "ipns" and query == "format=ipns-record" and canonical in self.records:
            return 200, {"content-type": "application/vnd.ipfs.ipns-record"}, self.records[canonical]
        return 404, {"content-type": "text/plain; charset=utf-8"}, b"it is nowhere to be found\n"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
