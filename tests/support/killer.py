"""kill -9 of a pinrec at one of its requests, before or after a service took it."""

import subprocess

from reconciler.sandbox import Answer, Drop, Fault, Received


class Killer:
    """Kills the process that sends the n-th changing request to any of its services or one after it, before or after
    it took effect."""

    def __init__(self, at: int, when: str) -> None:
        self.victim: subprocess.Popen[str] | None = None
        self.at, self.when, self.count = at, when, 0

    def before(self, request: Received) -> Fault | None:
        self.count += request.method != "GET"
        return self._kill(request, "before")

    def after(self, request: Received, answer: Answer) -> Fault | None:
        return self._kill(request, "after")

    def _kill(self, request: Received, when: str) -> Fault | None:
        if self.victim is None or when != self.when or self.count < self.at or request.method == "GET":
            return None
        self.victim.kill()
        return Drop()
