"""What `verify` found, as a table and sentences, or as JSON. Words of services are escaped."""

import textwrap
from typing import Final

from reconciler.cli.render.escape import clip, terminal
from reconciler.cli.render.machine import render_json
from reconciler.cli.render.style import PLAIN, Style
from reconciler.cli.render.table import table
from reconciler.cli.render.words import plural, short_cid
from reconciler.core.verified import Verdict, Verification, Verified

_HEAD: Final = ("SERVICE", "NAME", "CID", "VERDICT", "BY", "BLOCKS", "MS")
_WIDTH: Final = 100
_BY: Final = {
    "gateway": "gateway",
    "delegates": "its peers",
    "node": "the node",
    "providers": "providers",
    "": "-",
}
#: Sentences about pins of one verdict; the rest are counted.
_MOST: Final = 50
_TITLES: Final[dict[Verdict, str]] = {
    "unretrievable": "Called pinned, and not retrievable",
    "cannot-tell": "Cannot be told",
    "announced": "Announced only",
    "retrievable": "Retrievable, from somebody",
    "retrieved": "Retrieved",
}


def verification(found: Verification, *, as_json: bool, style: Style = PLAIN, verbose: bool = False) -> str:
    if as_json:
        return render_json(found)
    parts = []
    if found.pins:
        parts.append(table(_HEAD, (_row(v, verbose=verbose) for v in found.pins), style=style))
    for verdict, title in _TITLES.items():
        told = [v for v in found.pins if v.verdict == verdict and v.why]
        if told and (verbose or verdict in ("unretrievable", "cannot-tell")):
            lines = [f"{v.service} {v.name}: {v.why}" for v in told[:_MOST]]
            if len(told) > _MOST:
                lines.append(f"and {len(told) - _MOST:,} more; --json has all")
            parts.append(style(f"{title}:", "bold") + "\n" + "".join(map(_filled, lines)))
    if found.unread:
        lines = [f"{u.service}: {u.why}" for u in found.unread]
        parts.append(style("Not read:", "bold") + "\n" + "".join(map(_filled, lines)))
    parts.append(_end(found))
    return "\n".join(parts)


def _row(v: Verified, *, verbose: bool) -> tuple[str, ...]:
    cid = terminal(clip(v.cid))
    return (
        terminal(v.service),
        terminal(clip(v.name, 60)),
        cid if verbose else short_cid(cid),
        v.verdict,
        _BY[v.how],
        f"{v.blocks:,}",
        f"{v.ms:,}",
    )


def _filled(line: str) -> str:
    text = textwrap.fill(
        terminal(clip(line, 500)),
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="      ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text + "\n"


def _end(found: Verification) -> str:
    looked = f"{len(found.pins):,} of {plural(found.pinned, 'pinned pin')} looked at"
    counts = ", ".join(f"{n:,} {verdict}" for verdict, n in found.counts().items())
    text = looked + (f": {counts}" if counts else "") + f" (seed {found.seed}).\n"
    return text + ("Interrupted: the others were not looked at.\n" if found.interrupted else "")
