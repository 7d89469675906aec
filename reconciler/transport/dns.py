"""The one door to dnspython: TXT records, within a deadline, from the system's resolver or a named one.

What is there not is an answer: `()`. What is raised says that nobody knows: no server, no answer in time, SERVFAIL.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from reconciler.core.dns_address import address_of

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

#: Seconds for one question, with all its repetitions.
DEADLINE: Final = 10.0
#: A domain with more records than that is passed over, with an error.
MAX_RECORDS: Final = 100


class DnsError(Exception):
    """No answer that can be relied on. The text is one clear reason; `hint` says what to do."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


class Dns:
    """`server` is an address of a DNS server, `192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:53`; "" are those that
    the system is set up with."""

    def __init__(self, server: str = "", *, deadline: float = DEADLINE) -> None:
        self._server = server
        self._deadline = deadline
        self._resolver: Resolver | None = None

    async def txt(self, domain: str) -> tuple[str, ...]:
        """The TXT records of a domain, each whole; none if there are none, or no such domain. Characters beyond ASCII
        are asked for in their ASCII form (UTS 46, as browsers do). Raises DnsError."""
        import dns.exception
        import dns.name
        import dns.resolver

        # Made here, since reading the system's settings is file input, and only where somebody asks.
        if self._resolver is None:
            self._resolver = await asyncio.to_thread(_resolver, self._server)
        failure, hint = "", ""
        try:
            codec = dns.name.IDNA_2008_UTS_46
            # Label by label, since `_dnslink` is none that IDNA lets through.
            labels = [x if x.isascii() else codec.encode(x).decode("ascii") for x in domain.split(".")]
            name = dns.name.from_text(".".join(labels), origin=dns.name.root)
            # Absolute, so that no search list of the system makes another domain of it.
            answer = await self._resolver.resolve(
                name, "TXT", lifetime=self._deadline, search=False, raise_on_no_answer=False
            )
            records = [b"".join(record.strings).decode("utf-8", "replace") for record in answer.rrset or ()]
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.resolver.LifetimeTimeout, dns.exception.Timeout):
            failure = f"no DNS server answered for {domain} within {self._deadline:g} s"
        except dns.resolver.NoNameservers:
            failure = f"the DNS servers could not answer for {domain}"
            hint = "a wrong DNSSEC signature or servers of the domain that are down; see `dig TXT`"
        except dns.exception.DNSException as error:
            # Names that are too long, labels that are no IDN, answers that are no DNS.
            failure = f"{domain} cannot be asked for: {_line(error)}"
        else:
            if len(records) > MAX_RECORDS:
                raise DnsError(f"{domain} has {len(records)} TXT records, {MAX_RECORDS} are the most")
            return tuple(records)
        raise DnsError(failure, hint=hint)


def _resolver(server: str) -> "Resolver":
    """Raises DnsError."""
    import dns.asyncresolver
    import dns.resolver

    hint = "name a DNS server: `names: {dns: 192.0.2.1}`"
    if not server:
        try:
            return dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            pass
        raise DnsError("the system names no DNS server", hint=hint)
    try:
        host, port = address_of(server)
    except ValueError as error:
        failure = f"the DNS server {_line(error)}"
    else:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [host]
        resolver.port = port
        return resolver
    raise DnsError(failure, hint=hint)


def _line(error: Exception) -> str:
    text = "".join(c if c.isprintable() else " " for c in str(error))
    return " ".join(text.split())[:200] or type(error).__name__
