"""How it answers: codes, keys it should not know, rate headers, and how long it takes."""

from statistics import median

from reconciler.services.examination import Notes
from reconciler.services.tape import Tape, Taped

#: Of no service: requestids are at the service's choice, and none chooses this.
NOBODY = "pinrec-doctor-nobody"


async def probe(taped: Taped, notes: Notes, *, nobody: str = NOBODY, read_only: bool) -> None:
    """Raises nothing: what is not answered is not told. `nobody`: a requestid that is not there."""
    code = await taped.stranger.status_of("GET", "/pins?limit=1")
    if 200 <= code < 300:
        notes.saw(
            "key", "a key that is none is let in: anybody may read, and perhaps write, this account", ok=False
        )
    elif code and code != 401:
        notes.saw("key", f"a key that is none is answered with HTTP {code}", ok=code == 403)
    code = await taped.tape.status_of("GET", f"/pins/{nobody}")
    if code and code != 404:
        notes.saw("codes", f"reading a requestid that is not there: HTTP {code}", ok=False)
    if not read_only:
        code = await taped.tape.status_of("DELETE", f"/pins/{nobody}")
        if code and code != 404:
            notes.saw("codes", f"deleting a requestid that is not there: HTTP {code}", ok=False)
    code = await taped.tape.status_of("GET", "/pins?status=none-that-is-known")
    if code and code != 400:
        notes.saw("codes", f"a status that the API does not know: HTTP {code}", ok=False)


def summary(tape: Tape, notes: Notes) -> None:
    """What the whole examination heard."""
    for kind in ("add", "replace", "delete"):
        codes = sorted({h.status for h in tape.heard if h.kind == kind and 200 <= h.status < 300})
        if codes:
            ok = codes == [202]
            notes.saw("codes", f"{kind}: HTTP {', '.join(map(str, codes))}", ok=ok)
    for kind in ("list", "add"):
        times = [h.seconds for h in tape.heard if h.kind == kind]
        if times:
            notes.saw(
                "latency", f"{kind}: {median(times) * 1000:.0f} ms in the median of {len(times)} requests"
            )
    limited = sum(h.status == 429 for h in tape.heard)
    if limited:
        notes.saw("rate", f"{limited} requests were answered with 429", ok=False)
    if tape.rates:
        notes.saw("rate", "; ".join(f"{k}: {v}" for k, v in sorted(tape.rates.items()))[:200])
