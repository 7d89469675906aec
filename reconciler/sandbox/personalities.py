"""The services that the sandbox can pass itself off as. What nobody has published of one is left as the API has it.

Sources are named with each row. "Compliance report" is what ipfs-shipyard/pinning-service-compliance recorded of the
service (August 2022 to June 2023, requests and answers in full).
"""

from reconciler.sandbox.personality import Personality

SPEC = Personality()

#: ipfs-cluster 1.1.6, run and measured; the wording of its errors and `info` is its own
#: (api/pinsvcapi/pinsvcapi.go, pinsvc/pinsvc.go).
CLUSTER = Personality(
    name="ipfs-cluster",
    second_add="overwrite",
    replace="loses",
    same_cid_replace="loses",
    starts="queued",
    requestid="cid",
    body_check="loose",
    no_cid="200-empty",
    strange_id="pins",
    cid_echo="base32",
    precision="s",
    post_precision="ns",
    unique=False,
    delegates="none",
    info={
        "source": "IPFS cluster API",
        "warning1": "CID used for requestID. Conflicts possible",
        "warning2": "experimental",
    },
    order="unsorted",
    edges="inclusive",
    default_limit=10,
    large_limit=True,
    limit_check="zero",
    default_status="all",
    empty_status=True,
    match="lenient",
    cid_filter="alone",
    bad_query="500",
    accepted=200,
    errors="reason-only",
)

#: @helia/pinning-service-api-server 1.0.4, run and measured. A replace there gives up the old content at once, which
#: only its loss would show: through the API it looks as it should. What validates its tokens refuses by throwing:
#: where it answers with false, as it was measured, a wrong token is let in, and so is none.
HELIA = Personality(
    name="helia",
    second_add="stuck",
    same_cid_replace="inPlace",
    body_check="coerced",
    cid_echo="base32",
    unique=False,
    limit_check="zero",
    default_status="all",
    status_check="none",
    instant_check="none",
    ignored=frozenset({"cid", "meta"}),
    missing_token=200,
    wrong_token=200,
    errors="fastify",
    missing_errors="failure",
    bad_cid_errors="text",
    unknown_path="404",
)

#: Compliance report and ipfs/pinning-services-api-spec#86 (`count` is results + 1 since February 2025). Codes 200,
#: "OK" for a delete, 400 KEYS_MUST_BE_STRINGS without a token, no limit unless asked for, X-RateLimit headers on a
#: listing and nowhere else (30 a minute, as its page on limits has it; ask for one that is kept with a rate).
PINATA = Personality(
    name="pinata",
    count="plus1",
    default_limit=None,
    accepted=200,
    deleted="200-text",
    missing_token=400,
    rate_headers="listing",
)

#: Compliance report: whole seconds with `.000` and a local offset, base64 ids, the CID as the name where none is
#: sent, queued pins listed without a status filter, 200 for a replace.
FILEBASE = Personality(
    name="filebase",
    requestid="base64",
    name_is_cid=True,
    precision="s",
    unique=False,
    offset="-05:00",
    zeros="padded",
    default_status="all",
    replaced=200,
)

#: Compliance report: meta comes back empty, the CID is the name where none is sent; match iexact and ipartial list
#: everything, partial nothing.
FOUREVERLAND = Personality(name="4everland", meta="dropped", name_is_cid=True, match="broken")

#: The fake that Kubo's own tests use (kubo/test/cli/testutils/pinningservice): read, not measured.
KUBO_TEST = Personality(
    name="kubo-test",
    replace="edits",
    same_cid_replace="inPlace",
    precision="ns",
    order="oldest",
    count="page",
    instant_check="z",
    meta_filter="nothing",
    replace_body="empty",
    missing_token=400,
    errors="no-reason",
)

#: mock-ipfs-pinning-service 0.4.2, run and measured.
MOCK = Personality(
    name="mock",
    second_add="same",
    same_cid="text",
    starts="by-name",
    body_check="none",
    no_cid="pins",
    delegates="four",
    order="oldest",
    count="page",
    limit_check="none",
    default_status="all",
    match="exact",
    cid_filter="text",
    meta_filter="error",
    bad_query="empty",
    bearer="exact",
    errors="no-details",
    missing_errors="failure",
    unknown_path="404-html",
)

PERSONALITIES: dict[str, Personality] = {
    p.name: p for p in (SPEC, PINATA, FILEBASE, FOUREVERLAND, CLUSTER, HELIA, KUBO_TEST, MOCK)
}
