"""`loop:` of a manifest that fits the schema: how `pinrec run` goes about it."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconciler.core.endpoint import is_private
from reconciler.core.manifest import Loop, LoopVerify, SecretRef, Webhook, Window
from reconciler.manifest.durations import seconds
from reconciler.manifest.problems import Document, Problems, Raw, did_you_mean, shown
from reconciler.manifest.services import secret_ref

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = 1440
_TIMES = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: From 0 on, as crontab(5) counts them.
WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: What the fields of a cron expression are called, the least and the greatest number, and names from the least on.
_CRON = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, WEEK),
)
_VALUE = "[0-9]{1,4}|[a-z]{3}"
_CRON_PART = re.compile(rf"(?:\*|({_VALUE})(?:-({_VALUE}))?)(?:/([0-9]{{1,4}}))?")
_HOST = re.compile(r"(https?)://(?:[^/?#@]*@)?(\[[^\]]+\]|[^/?#:]+)")


class WindowError(ValueError):
    """Text that is no window. `hint` is what to write."""

    def __init__(
        self, message: str, hint: str = 'for example "Mon-Fri 22:00-06:00", "Sat,Sun" or "02:00-05:00"'
    ) -> None:
        super().__init__(message)
        self.hint = hint


def build_loop(raw: Raw, *, document: Document, problems: Problems) -> Loop | None:
    """The settings, or None after a problem was noted."""
    usual = Loop()
    good = True
    zone = raw.get("timezone", usual.timezone)
    if not _is_zone(zone):
        good = False
        problems.at(
            document,
            ("loop", "timezone"),
            f"there is no time zone {zone!r} on this machine",
            hint="UTC, or a name such as Europe/Berlin",
        )
    if "cron" in raw and (wrong := wrong_cron(raw["cron"])):
        good = False
        hint = "minute, hour, day of the month, month, day of the week, as in */10 * * * mon-fri"
        problems.at(document, ("loop", "cron"), wrong, hint=hint)
    windows: list[Window] = []
    for i, text in enumerate(raw.get("applyWindows", ())):
        try:
            windows.append(parse_window(text))
        except WindowError as error:
            good = False
            problems.at(document, ("loop", "applyWindows", i), str(error), hint=error.hint)
    if "interval" in raw and "cron" in raw:
        good = False
        problems.at(
            document,
            ("loop", "cron"),
            "`interval` and `cron` are two ways to say the same",
            hint="remove one",
            at_key=True,
        )
    webhook = _webhook(raw["webhook"], document, problems) if "webhook" in raw else None
    if not good or ("webhook" in raw and webhook is None):
        return None
    return Loop(
        interval=seconds(raw.get("interval", usual.interval)),
        cron=raw.get("cron", ""),
        jitter=seconds(raw.get("jitter", usual.jitter)),
        full_sweep=seconds(raw.get("fullSweep", usual.full_sweep)),
        incremental=seconds(raw.get("incremental", usual.incremental)),
        plan_only=raw.get("planOnly", False),
        windows=tuple(windows),
        timezone=zone,
        webhook=webhook,
        verify=_verify(raw["verify"]) if "verify" in raw else None,
    )


def _verify(raw: Raw) -> LoopVerify:
    usual = LoopVerify()
    return LoopVerify(
        interval=seconds(raw.get("interval", usual.interval)),
        pins=int(raw.get("pins", usual.pins)),
        sample=int(raw.get("sample", usual.sample)),
    )


def wrong_cron(text: str) -> str:
    """What is wrong with a cron expression of five fields, by what crontab(5) allows, or ""."""
    fields = text.lower().split()
    if len(fields) != len(_CRON):
        return f"a cron expression has five fields, not {len(fields)}"
    for field, (what, least, greatest, names) in zip(fields, _CRON, strict=True):
        for part in field.split(","):
            if part == "last" and what == "day of the month":
                continue
            found = _CRON_PART.fullmatch(part)
            if found is None:
                return f"{shown(part)} is no {what}"
            ends = [least + names.index(v) if v in names else v for v in found.group(1, 2) if v is not None]
            for end in ends:
                if not str(end).isdecimal():
                    return f"{shown(str(end))} is no {what}"
                if not least <= int(end) <= greatest:
                    return f"the {what} goes from {least} to {greatest}, and this is {end}"
            first, last = int(ends[0]) if ends else least, int(ends[-1]) if ends else greatest
            if first > last and found[2] != "sun":
                return f"{shown(part)} goes from a later {what} to an earlier one"
            if found[3] is not None and int(found[3]) == 0:
                return f"{shown(part)} has steps of 0"
    return ""


def parse_window(text: str) -> Window:
    """`Mon-Fri 22:00-06:00`, `Sat,Sun`, `02:00-05:00`: days, times, or both. Raises WindowError."""
    parts = text.split()
    if not 1 <= len(parts) <= 2:
        raise WindowError("a window is days, times, or days and times")
    times = parts[-1] if _TIMES.fullmatch(parts[-1]) else ""
    if len(parts) == 2 and not times:
        raise WindowError(f"{parts[1]!r} is no span of time")
    days = parts[0] if not times or len(parts) == 2 else ""
    start, end = _span(times) if times else (0, _DAY)
    return Window(days=_days(days) if days else tuple(range(7)), start=start, end=end, text=text)


def _span(text: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(text)
    assert found is not None
    h1, m1, h2, m2 = map(int, found.groups())
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if m1 > 59 or m2 > 59 or start >= _DAY or end > _DAY:
        raise WindowError(f"{text!r} is no span of time", hint="hours go from 00:00 to 24:00")
    if start == end:
        raise WindowError(f"{text!r} lasts no time at all", hint="leave the times out for the whole day")
    return start, end


def _days(text: str) -> tuple[int, ...]:
    chosen: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        a, b = _day(first), _day(last) if dash else _day(first)
        # `Sat-Mon` goes over the end of the week.
        chosen.update((a + i) % 7 for i in range((b - a) % 7 + 1))
    return tuple(sorted(chosen))


def _day(text: str) -> int:
    for i, name in enumerate(_DAYS):
        if text.casefold() == name.casefold():
            return i
    raise WindowError(
        f"{text!r} is no day",
        hint=did_you_mean(text.title(), list(_DAYS)) or "Mon, Tue, Wed, Thu, Fri, Sat, Sun",
    )


def _is_zone(name: str) -> bool:
    if name == "UTC":
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _webhook(raw: Raw, document: Document, problems: Problems) -> Webhook | None:
    url: str | SecretRef = (
        raw["url"] if isinstance(raw["url"], str) else secret_ref(raw["url"], document.base)
    )
    insecure = raw.get("insecure", False)
    if isinstance(url, str):
        found = _HOST.match(url)
        host = found[2].strip("[]").lower() if found else ""
        if found and found[1] == "http" and not is_private(host) and not insecure:
            problems.at(
                document,
                ("loop", "webhook", "url"),
                "plain http to a host that is not on this machine or a private network",
                hint="use https, or say insecure: true",
            )
            return None
    secret = secret_ref(raw["secret"], document.base) if "secret" in raw else None
    return Webhook(url=url, secret=secret, insecure=insecure)
