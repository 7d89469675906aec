"""GET /pins: the page and the count for a query.

A page walks one index in the order of `created` and stops at the limit; which one is said, not left to the planner.
The count comes from the tallies where only statuses and times are asked for, else by counting what matches.
"""

import msgspec
from msgspec import Struct

from reconciler.sandbox.documents import page, spelling
from reconciler.sandbox.personality import Personality
from reconciler.sandbox.pin import STATUSES, fold
from reconciler.sandbox.query import FOREVER, Query
from reconciler.sandbox.store import Store
from reconciler.sandbox.tables import SHIFTS

_ALL = tuple(range(len(STATUSES)))


class _Select(Struct, frozen=True, kw_only=True):
    """How to get a page and a count. `page` lacks its ORDER BY and LIMIT, the last parameter of the page.

    `known` is the count where it had to be found out anyway.
    """

    page: str
    count: str = ""
    parameters: list[object]
    known: int | None = None


def answer(store: Store, account: int, query: Query, habits: Personality, turn: int) -> bytes:
    """A PinResults in JSON. `turn` makes each unsorted answer come in another order."""
    asked = count(store, account, query.statuses, query.since, query.until)
    if query.statuses != _ALL and asked == count(store, account, _ALL, query.since, query.until):
        # There are no others, so none need be kept out.
        query = msgspec.structs.replace(query, statuses=_ALL)
    # The table that leads, whose index is in this order.
    by_meta = bool(query.meta) and not query.cids and query.name is None
    order = _order(habits, turn, "first" if by_meta else "pin")
    if query.cids or query.name is not None:
        select = _matching(account, query)
    elif by_meta:
        select = _by_meta(account, query)
    else:
        select = _plain(account, query, order, known=asked)
    rows = store.read(f"{select.page} ORDER BY {order} LIMIT ?", [*select.parameters, query.limit + 1])
    more = len(rows) > query.limit
    del rows[query.limit :]
    n = len(rows)
    if more and habits.count == "plus1":
        n += 1
    elif more and habits.count == "total":
        n = store.number(select.count, select.parameters) if select.known is None else select.known
    if habits.count == "unfiltered":
        n = count(store, account, _ALL, -FOREVER, FOREVER)
    return page(n, rows)


def count(store: Store, account: int, statuses: tuple[int, ...], since: int, until: int) -> int:
    """How many pins have one of `statuses` and since <= created < until."""
    if since >= until:
        return 0
    before = _earlier(store, account, statuses, since) if since > -FOREVER else 0
    return _earlier(store, account, statuses, until) - before


def _earlier(store: Store, account: int, statuses: tuple[int, ...], instant: int) -> int:
    """Whole stretches up to `instant`, from the longest to the shortest, and the pins of the last one begun."""
    among = ",".join(map(str, statuses))
    parts, parameters = [], []
    start = -FOREVER
    for shift in reversed(SHIFTS):
        parts.append(
            f"SELECT coalesce(sum(n), 0) AS n FROM tally WHERE account = ? AND status IN ({among})"
            f" AND shift = {shift} AND stretch >= ? AND stretch < ?"
        )
        end = instant >> shift
        parameters += [account, start >> shift, end]
        start = end << shift
    parts.append(
        f"SELECT count(*) FROM pin INDEXED BY pin_status WHERE account = ? AND status IN ({among})"
        " AND created >= ? AND created < ?"
    )
    parameters += [account, start, instant]
    return store.number(f"SELECT sum(n) FROM ({' UNION ALL '.join(parts)})", parameters)


def _order(habits: Personality, turn: int, table: str) -> str:
    if habits.order == "unsorted":
        # Squares, since a line would leave neighbours in order.
        x = f"({table}.created % 1000003 + {turn * 104729 % 1000003})"
        return f"{x} * {x} % 1000003 * 7919 % 1000003"
    return f"{table}.created DESC" if habits.order == "newest" else f"{table}.created"


def _plain(account: int, query: Query, order: str, *, known: int) -> _Select:
    """By status and time: a stretch of the table where all statuses will do, else of the index of each status."""
    window = "account = ? AND created >= ? AND created < ?"
    bounds: list[object] = [account, query.since, query.until]
    if query.statuses == _ALL:
        return _Select(
            page=f"SELECT json, status, info FROM pin NOT INDEXED WHERE {window}",
            parameters=bounds,
            known=known,
        )
    each = [
        "SELECT * FROM (SELECT created, json, status, info FROM pin INDEXED BY pin_status"
        f" WHERE status = {status} AND {window} ORDER BY {order} LIMIT {query.limit + 1})"
        for status in query.statuses
    ]
    return _Select(
        page=f"SELECT json, status, info FROM ({' UNION ALL '.join(each)}) AS pin",
        parameters=bounds * len(each),
        known=known,
    )


def _matching(account: int, query: Query) -> _Select:
    """By CID or by name, whatever else is asked."""
    where = ["pin.account = ?", "pin.created >= ?", "pin.created < ?", _statuses(query)]
    parameters: list[object] = [account, query.since, query.until]
    index = "NOT INDEXED"
    if query.cids:
        index = "INDEXED BY pin_cid"
        where.append(f"pin.cid IN ({','.join('?' * len(query.cids))})")
        parameters += query.cids
    if query.spellings:
        where.append(f"({' OR '.join(['instr(pin.json, CAST(? AS BLOB)) > 0'] * len(query.spellings))})")
        parameters += [spelling(text) for text in query.spellings]
    if query.name is not None:
        match query.match:
            case "exact" | "iexact":
                index = index if query.cids else "INDEXED BY pin_name"
                where.append("pin.folded = ?")
                parameters.append(fold(query.name))
                if query.match == "exact":
                    where.append("pin.name = ?")
                    parameters.append(query.name)
            case "partial":
                where.append("instr(pin.name, ?) > 0")
                parameters.append(query.name)
            case "ipartial":
                where.append("instr(pin.folded, ?) > 0")
                parameters.append(fold(query.name))
    for pair in query.meta:
        where.append(_HAS_META)
        parameters += pair
    source = f"FROM pin {index} WHERE {' AND '.join(where)}"
    return _Select(
        page=f"SELECT json, status, info {source}", count=f"SELECT count(*) {source}", parameters=parameters
    )


def _by_meta(account: int, query: Query) -> _Select:
    """By meta alone: the first pair leads, the others are looked up. Counts leave the pins alone where they can."""
    first, *others = query.meta
    mine = (
        "first.account = ? AND first.key = ? AND first.value = ? AND first.created >= ? AND first.created < ?"
    )
    parameters: list[object] = [account, *first, query.since, query.until]
    source = f"FROM meta AS first CROSS JOIN pin WHERE {mine}"
    source += f" AND pin.account = first.account AND pin.created = first.created AND {_statuses(query)}"
    for pair in others:
        source += f" AND {_HAS_META}"
        parameters += pair
    counted = source if others or query.statuses != _ALL else f"FROM meta AS first WHERE {mine}"
    return _Select(
        page=f"SELECT pin.json, pin.status, pin.info {source}",
        count=f"SELECT count(*) {counted}",
        parameters=parameters,
    )


_HAS_META = (
    "EXISTS (SELECT 1 FROM meta WHERE meta.account = pin.account AND meta.created = pin.created"
    " AND meta.key = ? AND meta.value = ?)"
)


def _statuses(query: Query) -> str:
    # The plus keeps the planner off the index of statuses.
    return f"+pin.status IN ({','.join(map(str, query.statuses))})"
