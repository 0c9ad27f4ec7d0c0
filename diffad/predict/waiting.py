"""Scans that other programs are at work on: waited for, as long as these give signs of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from diffad.io.subjects import Subject
from diffad.io.terminal import say
from diffad.predict.claims import ScanClaims

PATIENCE_SECONDS = 120.0
"""How long to wait for scans that other programs are at work on, while these give no sign of life."""

POLL_SECONDS = 0.5
"""How often to look whether it is."""


def wait_for_others(
    rest: list[Subject], claims: ScanClaims, run_once: Callable[[list[Subject]], list[Subject]]
) -> list[Subject]:
    """Wait for scans that other programs are at work on; what they leave unfinished is done here.

    Args:
        rest: The scans.
        claims: Which program is at which scan.
        run_once: Does scans that are free, and returns those of them that are not.

    Returns:
        The scans of programs that gave no sign of life.
    """
    if rest:
        say(f"waiting for {len(rest)} scans that {claims.describe_holder(rest[0].naming)} is at")
    end, signs = time.monotonic() + PATIENCE_SECONDS, _read_signs(claims, rest)
    while rest and time.monotonic() < end:
        if free := [s for s in rest if claims.is_free(s.naming)]:
            rest = [s for s in rest if s not in free] + run_once(free)
        else:
            time.sleep(POLL_SECONDS)
        if free or _read_signs(claims, rest) != signs:
            end, signs = time.monotonic() + PATIENCE_SECONDS, _read_signs(claims, rest)
    if rest:
        holder = claims.describe_holder(rest[0].naming)
        say(f"gave up {len(rest)} scans: {holder} has them and gives no sign of life; end it and rerun")
    return rest


def _read_signs(claims: ScanClaims, subjects: Sequence[Subject]) -> list[int]:
    return claims.read_signs([subject.naming for subject in subjects])
