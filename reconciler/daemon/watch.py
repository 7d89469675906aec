"""The watch on the node: sees a new root soon, and costs the node next to nothing.

A look is one `files/stat` for each path. What that costs is not the same everywhere: 0.2 ms in an MFS as it was copied,
30 to 300 ms where many directories have been opened (each stat puts all of them into the tree again, boxo
`mfs/dir.go`, measured on Kubo 0.44). So the interval follows what a look takes: it is never so short that looking
would take more than one percent of the node's time, nor half a percent of ours.

A change counts when it has settled: the same answer again after `settle`, or five seconds of restlessness.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from reconciler.core.errors import NodeError
from reconciler.core.manifest import Manifest
from reconciler.core.question import Answer, Facts, Missing, NotKnown, Question, Stat, StatOf
from reconciler.daemon.state import RootState, WatchState
from reconciler.node.protocol import Node
from reconciler.policies import KINDS

#: Seconds between two looks where they cost nothing.
SOON = 0.5
#: Longest time that a change may go on changing.
RESTLESS = 5.0
#: The node spends up to 1.6 times of what an answer takes (measured), and shall spend a hundredth of the time.
NODE_SHARE = 160.0
#: Of ours it is the processor's time of a look that counts, and 0.4 % of a core.
OUR_SHARE = 250.0
#: Seconds after which a look is given up: MFS calls know no deadline of their own.
DEADLINE = 30.0
#: Looks after a node that does not answer: how much longer each waits than the one before, and the longest.
SLOWER, SLOWEST = 2.0, 30.0
#: The second look, which tells whether the first was as dear as all are or met a busy machine, is no later than this.
SECOND = 2.0
#: Costs of so many looks are kept. What a look costs is what a quarter of them stayed below: a machine that is busy
#: with other things makes some of them slow, one with a dear MFS makes all of them so.
SAMPLES = 9

Gather = Callable[[], Awaitable[Facts]]


class Watch:
    """Asks `node` for the roots of all policies of a manifest, and tells `changed` of paths that have settled anew."""

    def __init__(
        self,
        *,
        node: Node,
        gather: Gather,
        changed: Callable[[frozenset[StatOf]], None],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._node = node
        self._gather = gather
        self._changed = changed
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._settle: dict[StatOf, float] = {}
        self._settled: dict[StatOf, Answer] = {}
        self._since: dict[StatOf, datetime] = {}
        self._facts: Facts | None = None
        #: Counts what made facts doubtful: what was asked before that is not kept.
        self._doubts = 0
        self._facts_lock = asyncio.Lock()
        self._took: deque[float] = deque(maxlen=SAMPLES)
        self._worked: deque[float] = deque(maxlen=SAMPLES)
        self._silent = 0

    def watch(self, manifest: Manifest) -> None:
        """From now on, what this manifest's policies ask."""
        self._settle = watched(manifest)
        self._settled = {q: a for q, a in self._settled.items() if q in self._settle}
        self.doubt()

    def lost(self) -> None:
        """Nothing is known until the next look, and what that finds is a change: others were told that the node is
        silent."""
        for question in self._settle:
            self._note(question, NotKnown(why=f"the node at {self._node.where} has not answered yet"))

    async def facts(self) -> Facts:
        """What is known now: asked for once, and again when anything of it has changed or is no longer sure."""
        async with self._facts_lock:
            facts = self._facts
            if facts is None:
                doubts, facts = self._doubts, await self._gather()
                # Another manifest, or another root, while it was asked: whoever comes next asks anew.
                self._facts = facts if doubts == self._doubts else None
                for question in self._settle:
                    # Before the first look, what was told here; after it, nothing that has not settled.
                    if question not in self._settled and question in facts.answers:
                        self._note(question, facts[question])
            answers: dict[Question, Answer] = {**facts.answers}
            for question, answer in self._settled.items():
                answers[question] = answer  # noqa: PERF403  # keys of another type than those that are there
            return Facts(answers)

    def doubt(self) -> None:
        """What is known may be old: the next who asks for it is told anew."""
        self._facts = None
        self._doubts += 1

    async def run(self) -> None:
        """Looks for as long as it is not cancelled."""
        while True:
            spent = await self.look()
            await self._sleep(self._pause(spent))

    async def look(self) -> float:
        """One look at every path, until what has changed has settled. Returns the seconds that it cost the node: each
        time that it was asked at the usual cost, since one slow answer may be that of a busy machine."""
        asked = 0
        changed: set[StatOf] = set()
        for question, settle in list(self._settle.items()):
            answer = await self._ask(question)
            asked += 1
            if question not in self._settle:
                continue
            if _same(self._settled.get(question), answer):
                continue
            if question not in self._settled:
                # What is there at first is no change; whoever asks for facts finds it.
                self._note(question, answer)
                continue
            answer, more = await self._settling(question, answer, settle)
            asked += more
            # A manifest that came into force meanwhile may have it watched no more.
            if question in self._settle and not _same(self._settled.get(question), answer):
                self._note(question, answer)
                changed.add(question)
        if changed:
            # Who the node is, and what else it was asked, is asked again with every change.
            self.doubt()
            self._changed(frozenset(changed))
        return asked * self._cost()

    @property
    def silent(self) -> bool:
        """Whether the node did not answer when it was last asked."""
        return self._silent > 0

    def state(self) -> WatchState:
        stat, interval = self._cost(), self._pause(0.0)
        return WatchState(
            node=self._node.where,
            stat=round(stat, 6),
            interval=round(interval, 3),
            bound=interval > SOON and not self._silent,
            roots=[
                RootState(path=q.path, cid=_cid(a), why=_why(a), since=self._since.get(q))
                for q, a in sorted(self._settled.items(), key=lambda item: item[0].path)
            ],
        )

    # --- one question ---------------------------------------------------------------------------------------

    async def _settling(self, question: StatOf, answer: Answer, settle: float) -> tuple[Answer, int]:
        """The answer that stays the same for `settle` seconds, or the last one after five; and how often it was
        asked for."""
        asked, began = 0, self._monotonic()
        while isinstance(answer, Stat | Missing) and (left := began + RESTLESS - self._monotonic()) > 0:
            await self._sleep(min(settle, left))
            again = await self._ask(question)
            asked += 1
            if _same(answer, again):
                break
            answer = again
        return answer, asked

    async def _ask(self, question: StatOf) -> Answer:
        began, worked = self._monotonic(), time.process_time()
        answer: Answer
        try:
            stat = await self._node.stat(question.path, deadline=DEADLINE)
        except NodeError as error:
            self._silent += 1
            answer = NotKnown(why=error.message, hint=error.hint)
        else:
            self._silent = 0
            answer = Missing(question.path) if stat is None else stat
            self._worked.append(time.process_time() - worked)
            self._took.append(self._monotonic() - began)
        return answer

    def _note(self, question: StatOf, answer: Answer) -> None:
        if not _same(self._settled.get(question), answer):
            self._since[question] = self._now()
        self._settled[question] = answer

    # --- how often --------------------------------------------------------------------------------------------

    def _cost(self) -> float:
        return _quarter(self._took)

    def _pause(self, spent: float) -> float:
        """Seconds until the next look, after one that cost the node `spent` seconds."""
        if self._silent:
            return min(SOON * SLOWER ** min(self._silent, 10), SLOWEST)
        paths = max(1, len(self._settle))
        ours = OUR_SHARE * _quarter(self._worked)
        usual = max(SOON, paths * NODE_SHARE * self._cost(), paths * ours)
        # A change that took many looks to settle is paid for before the next one, if looks are dear.
        extra = NODE_SHARE * spent if self._cost() * NODE_SHARE > SOON else 0.0
        return min(max(usual, extra), SECOND) if len(self._took) <= paths else max(usual, extra)


def _same(one: Answer | None, other: Answer) -> bool:
    """Whether nothing has happened. Why something is not known may be put differently each time."""
    if isinstance(one, NotKnown) and isinstance(other, NotKnown):
        return True
    if isinstance(one, Stat) and isinstance(other, Stat):
        return one.cid == other.cid and one.kind == other.kind
    return one == other


def _quarter(samples: Collection[float]) -> float:
    return sorted(samples)[len(samples) // 4] if samples else 0.0


def _cid(answer: Answer) -> str:
    return answer.cid.canonical if isinstance(answer, Stat) else ""


def _why(answer: Answer) -> str:
    if isinstance(answer, NotKnown):
        return answer.why
    return f"there is no {answer.what} in MFS" if isinstance(answer, Missing) else ""


def watched(manifest: Manifest) -> dict[StatOf, float]:
    """What a manifest's policies have watched, and for how many seconds each must have settled."""
    settle: dict[StatOf, float] = {}
    for policy in manifest.policies.values():
        if not policy.uses or not policy.enabled:
            continue
        for question in KINDS[policy.kind].questions(policy):
            if isinstance(question, StatOf):
                settle[question] = min(settle.get(question, policy.settle), policy.settle)
    return settle
