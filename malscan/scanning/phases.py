"""How long each part of a scan took."""

import time


class Phases:
    """Times the parts of a scan, one after the other; a part ends where the next one begins."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._name: str | None = None
        self._since = time.monotonic()

    def begin(self, name: str) -> None:
        """Begin a part; nothing happens if it is under way."""
        if name != self._name:
            self.end()
            self._name = name

    def end(self) -> None:
        """End the part that is under way."""
        now = time.monotonic()
        if self._name is not None:
            self._seconds[self._name] = self._seconds.get(self._name, 0) + now - self._since
        self._name, self._since = None, now

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._seconds.items())
