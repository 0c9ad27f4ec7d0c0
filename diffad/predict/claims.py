"""Which program does which scan, where several work on one folder of results."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from diffad.io.atomic import shorten_name
from diffad.io.claims import RUNNING, Claim
from diffad.io.naming import Naming

BEAT_SECONDS = 10.0
"""How often a program shows that it is alive, in the lock files of its scans."""


class ScanClaims:
    """The scans of a folder of results that this program is at work on.

    A scan is claimed before it is looked at and given back when its results are in place, so that no two
    programs, on however many machines, do it at the same time or write its files at once.

    Args:
        out: Folder of the results.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._claims: dict[str, Claim] = {}
        self._end = threading.Event()
        self._beat: threading.Thread | None = None

    def acquire(self, naming: Naming) -> bool:
        """Claim a scan; return whether no other program has it."""
        claim = Claim(self._path(naming))
        if not claim.acquire():
            return False
        self._claims[naming.key] = claim
        if self._beat is None:
            self._beat = threading.Thread(target=self._give_signs, args=(self._end,), daemon=True)
            self._beat.start()
        return True

    def release(self, naming: Naming) -> None:
        """Give a scan back, if it is claimed."""
        if claim := self._claims.pop(naming.key, None):
            claim.release()

    def release_all(self) -> None:
        """Give all scans back."""
        self._end.set()
        self._end, self._beat = threading.Event(), None
        for key in list(self._claims):
            self._claims.pop(key).release()

    def is_free(self, naming: Naming) -> bool:
        """Tell whether no program is at work on a scan just now."""
        claim = Claim(self._path(naming))
        free = claim.acquire()
        claim.release()
        return free

    def read_signs(self, namings: Sequence[Naming]) -> list[int]:
        """Return what changes while the programs that are at work on scans are alive, and not stopped."""
        return [Claim(self._path(naming)).read_sign() for naming in namings]

    def _give_signs(self, end: threading.Event) -> None:
        while not end.wait(BEAT_SECONDS):
            for claim in list(self._claims.values()):
                claim.give_sign()

    def describe_holder(self, naming: Naming) -> str:
        """Return who is at work on a scan."""
        return Claim(self._path(naming)).describe_holder()

    def _path(self, naming: Naming) -> Path:
        digest = hashlib.sha256(os.fsencode(naming.key)).hexdigest()
        return self._out / RUNNING / f"{shorten_name(naming.name)}-{digest[:12]}.lock"
