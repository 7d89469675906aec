"""What a deviation from the API means for the user, and what pinrec does about it: a sentence each."""

from typing import Final

from reconciler.core.learned import Value

#: field → observed value → sentence
_MEANS: Final[dict[str, dict[Value, str]]] = {
    "largeLimit": {
        True: "pages of more than 1000 pins are given: pinrec asks for all at once where that saves requests",
    },
    "order": {
        "oldest": "paging as the API means it stops after one page: pinrec walks upwards in time instead",
        "unsorted": "paging as the API means it loses pins: pinrec halves windows of time until they fit a page",
    },
    "precisionMs": {
        1000: "pins of one second cannot be told apart by time: pinrec overlaps its windows by a second, and says "
        "so where more than a page of pins share one",
    },
    "count": {
        "plus1": "`count` says only that there are more: pinrec never shows it as a total, and reads on until an "
        "empty page",
        "page": "`count` never says that there are more, so others stop after one page: pinrec reads on until an "
        "empty page",
    },
    "edges": {
        "inclusive": "a page begins with the last pin of the one before: pinrec drops what it knows already",
    },
    "meta": {
        "dropped": "marks cannot be kept in meta: set `ownership: prefix`, so that they go into the name; declared "
        "meta is not compared",
    },
    "secondAdd": {
        "overwrite": "a CID exists once, and a second add renames it, also a pin that is not yours: pinrec looks "
        "before every add, and names that want one CID share a pin",
        "same": "a CID exists once, and a second add changes nothing: pinrec looks before every add, and names "
        "that want one CID share a pin",
        "stuck": "a second pin of a CID never gets pinned: pinrec lets names that want one CID share a pin",
    },
    "sameCidReplace": {
        "inPlace": "a name or meta can be changed in place: pinrec renames that way where adds cannot",
        "loses": "renaming by the service's own replace loses the pin: pinrec never does",
    },
    "modify": {
        "loses": "the service's own replace can lose what is pinned: pinrec adds the new pin, waits until it is "
        "pinned, then deletes the old one, also where the manifest says `replace: modify`",
    },
    "idIsCid": {
        True: "the requestid is the CID, so a delete takes it from every name: pinrec never deletes an id that is "
        "still wanted",
    },
}

_SMALL_LIMIT: Final = "pages are shorter than asked for: listings take more requests, and pinrec reads on"
_FILTERS: Final = (
    "not obeyed: {}. pinrec filters again what comes, and reads the whole account where it must be sure"
)


def meaning(field: str, spec: Value, observed: Value | None) -> str:
    """The sentence for a field, or "" where it is as the API says or is not known."""
    if observed is None or observed == spec:
        return ""
    if field == "limit":
        return _SMALL_LIMIT
    if field == "filters" and isinstance(spec, tuple) and isinstance(observed, tuple):
        return _FILTERS.format(", ".join(f for f in spec if f not in observed))
    return _MEANS.get(field, {}).get(observed, "")
