"""Whether two visits can be compared: refusals, and warnings for the reader."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from diffad.data.volume import VolumeError
from diffad.follow_up.alignment import Alignment
from diffad.follow_up.visit import FollowUpVisit
from diffad.inference.scan import ScanSource
from diffad.inference.scan_contrast import ScanContrast

REFUSED_AGREEMENT, USUAL_AGREEMENT = 0.83, 0.95
"""Agreement of the edges of both visits, below which they are refused as two people, and below which there is
a warning. ``tests/timings/same_person.py`` measures both kinds of pairs; the guide has the figures."""
REFUSED_DISAGREEMENT, USUAL_DISAGREEMENT = 5.0, 2.0
"""How far the registrations there and back may differ, in mm: above the first they failed, above the second
there is a warning."""
USUAL_DICE = 0.95
"""Overlap of the brains below which there is a warning; a head that was moved had .98 and more."""


@dataclass(frozen=True)
class VisitNames:
    """What messages call the two visits."""

    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.first} and {self.second}"


def read_contrast(visit: FollowUpVisit) -> ScanContrast:
    """Return the contrast of a visit, by picture and name."""
    image, brain = torch.from_numpy(visit.volume.data)[None], torch.from_numpy(visit.brain)[None, None]
    return ScanContrast.of_source(ScanSource(image, brain, visit.volume))


def check_visit_models(first: FollowUpVisit, second: FollowUpVisit) -> None:
    """Refuse visits that were looked at in different ways, whose maps have different units.

    Raises:
        ValueError: If models or settings differ; what differs is named.
    """
    scan_keys = ("scan", "mask", "region")
    requests = [
        {k: v for k, v in visit.info["request"].items() if k not in scan_keys} for visit in (first, second)
    ]
    keys = {**requests[0], **requests[1]}
    if odd := [key for key in keys if requests[0].get(key) != requests[1].get(key)]:
        names = VisitNames(str(first.path), str(second.path))
        raise ValueError(f"{names}: expected visits looked at alike, found other {', '.join(odd)}")


def check_visit_contrasts(first: FollowUpVisit, second: FollowUpVisit) -> tuple[str, list[str]]:
    """Return the contrast of two visits and what should be known of it.

    Raises:
        VolumeError: If they are of different contrasts.
    """
    contrasts = (read_contrast(first), read_contrast(second))
    words = [contrast.choice or contrast.named for contrast in contrasts]
    if all(words) and words[0] != words[1]:
        raise VolumeError(
            f"{first.path} and {second.path}: expected visits of one sequence, found {words[0]} and "
            f"{words[1]}"
        )
    warnings = []
    if not all(words):
        names = [v.name for v, word in zip((first, second), words, strict=True) if not word]
        warnings.append(f"{' and '.join(names)}: the sequence is unknown; check that both have the same")
    agents = [bool(contrast.enhancement) for contrast in contrasts]
    if agents[0] != agents[1]:
        index = agents.index(True)
        name = (first, second)[index].name
        warnings.append(
            f"{name} looks like a scan after a contrast agent ({contrasts[index].enhancement}), the other "
            "visit does not: enhancement counts as change"
        )
    return words[0] or words[1], warnings


def check_alignment(
    alignment: Alignment, first: FollowUpVisit, second: FollowUpVisit, same_person: bool = False
) -> list[str]:
    """Return what should be known of a registration.

    Args:
        alignment: The registration.
        first: First visit.
        second: Second visit.
        same_person: Whether somebody vouches that both are of one person.

    Raises:
        VolumeError: If it failed, or if they are of different people, unless somebody vouches for them.
    """
    names = f"{first.path} and {second.path}"
    measure = (
        f"edges that agree by {alignment.agreement:.2f} in both brains after rigid registration, and an "
        f"overlap (Dice) of {alignment.dice:.2f}"
    )
    if alignment.disagreement_mm > REFUSED_DISAGREEMENT:
        finding = (
            f"registrations there and back that differ by {alignment.disagreement_mm:.1f} mm, with {measure}"
        )
        raise VolumeError(f"{names}: expected visits that can be registered rigidly, found {finding}")
    warnings = []
    if alignment.dice < USUAL_DICE:
        warnings.append(
            f"the brains overlap by a Dice of {alignment.dice:.2f} only: masks or fields of view differ, and "
            "changes at their edges may come from that"
        )
    if alignment.disagreement_mm > USUAL_DISAGREEMENT:
        warnings.append(
            f"the registration is uncertain by up to {alignment.disagreement_mm:.1f} mm, as there and back "
            "differ"
        )
    if alignment.agreement < REFUSED_AGREEMENT:
        limit = f"a person seen again is above {REFUSED_AGREEMENT:g}"
        if not same_person:
            raise VolumeError(
                f"{names}: expected two visits of one person, found {measure}; {limit}; --same-person "
                "compares them nevertheless"
            )
        warnings.append(f"the visits may be of two people: {measure}; {limit}")
    elif alignment.agreement < USUAL_AGREEMENT:
        warnings.append(
            f"the visits fit together less well than two scans of one day: {measure}; another scanner or "
            "protocol, large changes or movement may be behind it"
        )
    return warnings
