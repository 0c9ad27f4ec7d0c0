"""What is odd about two visits, each or both, in sentences for the reader."""

from __future__ import annotations

import numpy as np

from diffad.follow_up.visit import FollowUpVisit

DOMAIN_START = "outside what the model knows"
"""How warnings about the domain begin."""
SPACING_RATIO = 1.15
"""Ratio of the spacings of two visits above which there is a warning."""


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
    return [f"{first.name} and {second.name} are the same scan, so that everything is stable"]


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
        f"{bare.name} comes without its skull and {whole.name} with it: their brain masks were "
        "made in different ways, so changes at the surface of the brain may come from that"
    ]


def _list_domains(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    sentences = []
    for visit in (first, second):
        domain = visit.info.get("domain") or {}
        if domain.get("status") == "outside":
            reason = (domain.get("reasons") or ["no reason is stored"])[0]
            sentences.append(f"{visit.name} is outside what the model knows: {reason}")
    if len(sentences) == 1:
        sentences[0] += "; the other is not, so that maps of both are not alike"
    return sentences


def _list_results(first: FollowUpVisit, second: FollowUpVisit) -> list[str]:
    """Return what the results of the visits say themselves, but for their domains."""
    texts = [
        [text for text in visit.info.get("warnings") or () if not text.startswith(DOMAIN_START)]
        for visit in (first, second)
    ]
    shared_texts = [text for text in texts[0] if text in texts[1]]
    sentences = [f"both visits: {text}" for text in shared_texts]
    for visit, rows in zip((first, second), texts, strict=True):
        sentences += [f"{visit.name}: {text}" for text in rows if text not in shared_texts]
    return sentences
