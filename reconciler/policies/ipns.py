"""`kind: ipns`: what a name leads to stays pinned, and when it leads elsewhere the pin is replaced.

The name is a key's (`/ipns/k51…`) or a domain's (`/ipns/docs.example.org`, DNSLink), and a path may follow it. A name
that leads nowhere today is not known: what is pinned stays.
"""

from collections.abc import Mapping

from reconciler.core.content_path import PathError, parse_path
from reconciler.core.policy import Policy
from reconciler.core.question import Facts, Question, Resolve, Resolved
from reconciler.core.wanting import Want, Wanted
from reconciler.policies.unknown import not_known, switched_off

#: A folder without entries and a file without bytes, which a build that failed may have published.
EMPTY = frozenset(
    (
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
        "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "bafkqaaa",
    )
)
HINT = "such as /ipns/docs.example.org or /ipns/k51qzi5uqu5d…"


def problems(policy: Policy) -> tuple[tuple[str, str], ...]:
    text = str(policy.settings.get("name", ""))
    try:
        path = parse_path(text)
    except PathError as error:
        return (("name", f"is no name that can be followed: {error}; {HINT}"),)
    if not path.mutable:
        return (("name", "leads to the same content for ever; pin it by its CID, under `pins`"),)
    return ()


def questions(policy: Policy) -> tuple[Question, ...]:
    return (_question(policy),)


def wanted(policy: Policy, facts: Facts, endpoints: Mapping[str, str]) -> Wanted:
    if not policy.enabled:
        return switched_off(policy)
    asked = _question(policy)
    answer = facts[asked]
    if not isinstance(answer, Resolved):
        return not_known(policy, answer)
    whence = f"{asked.path}, by {answer.via}" if answer.via else asked.path
    empty = answer.cid.canonical in EMPTY
    return Wanted(wants=(Want(name=policy.pin_name, cid=answer.cid, whence=whence, empty=empty),))


def _question(policy: Policy) -> Resolve:
    """Two spellings of one name are one question."""
    text = str(policy.settings.get("name", ""))
    try:
        return Resolve(str(parse_path(text)))
    except PathError:
        return Resolve(text)
