"""Whether two visits can be compared: refusals, and warnings for the reader."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
OUTSIDE = "outside what the model knows"
"""How warnings about the domain begin."""
SPACING_RATIO = 1.15
"""Ratio of the spacings of two visits above which there is a warning."""


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
        names = [v.path.name for v, word in zip((first, second), words, strict=True) if not word]
        warnings.append(f"{' and '.join(names)}: the sequence is unknown; check that both have the same")
    agents = [bool(contrast.enhancement) for contrast in contrasts]
    if agents[0] != agents[1]:
        index = agents.index(True)
        name = (first, second)[index].path.name
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


def list_visit_warnings(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    """Return what of the files of two visits should be known before changes are read."""
    return [
        *_list_sameness(first, second),
        *_list_spacings(first, second),
        *_list_stripping(first, second),
        *_list_domains(first, second),
        *_list_results(first, second),
    ]


def are_same_scan(first: FollowUpVisit, second: FollowUpVisit) -> bool:
    """Tell whether two visits are one scan, by their voxels and their place in the world."""
    a, b = first.volume, second.volume
    same_grid = a.data.shape == b.data.shape and np.allclose(a.affine, b.affine, atol=1e-4)
    return same_grid and bool((a.data == b.data).all())


def _list_sameness(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    if not are_same_scan(first, second):
        return []
    return [f"{first.path.name} and {second.path.name} are the same scan, so that everything is stable"]


def _list_spacings(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    spacings = [visit.volume.spacing for visit in (first, second)]
    ratio = np.sort(spacings[0]) / np.sort(spacings[1])
    if np.maximum(ratio, 1 / ratio).max() <= SPACING_RATIO:
        return []
    edges = [" x ".join(f"{edge:.2f}" for edge in spacing) for spacing in spacings]
    return [
        f"the visits have voxels of {edges[0]} mm and {edges[1]} mm: another resolution changes maps and "
        "volumes"
    ]


def _list_stripping(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    if first.is_stripped == second.is_stripped:
        return []
    bare, whole = (first, second) if first.is_stripped else (second, first)
    return [
        f"{bare.path.name} comes without its skull and {whole.path.name} with it: their brain masks were "
        "made in different ways, so changes at the surface of the brain may come from that"
    ]


def _list_domains(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    sentences = []
    for number, visit in enumerate((first, second), 1):
        domain = visit.info.get("domain") or {}
        if domain.get("status") == "outside":
            reason = (domain.get("reasons") or ["no reason is stored"])[0]
            sentences.append(f"visit {number} ({visit.path.name}) is outside what the model knows: {reason}")
    if len(sentences) == 1:
        sentences[0] += "; the other is not, so that maps of both are not alike"
    return sentences


def _list_results(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    """Return what the results of the visits say themselves, but for their domains."""
    texts = [
        [text for text in visit.info.get("warnings") or () if not text.startswith(OUTSIDE)]
        for visit in (first, second)
    ]
    shared_texts = [text for text in texts[0] if text in texts[1]]
    sentences = [f"both visits: {text}" for text in shared_texts]
    for number, (visit, rows) in enumerate(zip((first, second), texts, strict=True), 1):
        sentences += [f"visit {number} ({visit.path.name}): {t}" for t in rows if t not in shared_texts]
    return sentences
