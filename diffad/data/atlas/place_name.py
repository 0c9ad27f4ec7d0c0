"""The name of a place in plain words, from the labels that its voxels have in the atlas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from diffad.data.atlas.place_atlas import SURFACE, ZONES, PlaceAtlas, Region
from diffad.data.volume import Array

LEAST_SHARE = 0.3
"""Share of the voxels that a second lobe, side or tissue has at least, to be named beside the first."""
TOUCHING_SHARE = 0.1
"""Share of the voxels in a zone from which on the whole lies in it: the criteria ask for a touch."""
LEAST_COVER = 0.5
"""Share of the voxels that have a label at least, to name a place at all."""
MOST_SHARE, OTHERS = 0.5, "others"
"""Least share of the voxels in the named structures, and what is named beside them where they have less."""
MOST_STRUCTURES = 3
"""Largest number of structures that are named."""


@dataclass(frozen=True)
class PlaceName:
    """Where something lies.

    Args:
        place: The whole name, such as "left frontal lobe, white matter, periventricular"; "" if unknown.
        side: "left", "right", "both" or "midline" of the person, not of the picture; "" if unknown.
        structure: Lobes or structures, joined by " and ", the one with most voxels first; "others" comes last
            where those that are named have less than half of the voxels.
        tissue: Tissues joined by " and ", see ``Region``.
        zone: Zones joined by " and ", see ``Region``; "" for none.
    """

    place: str = ""
    side: str = ""
    structure: str = ""
    tissue: str = ""
    zone: str = ""


def name_place(points: Array, atlas: PlaceAtlas) -> PlaceName:
    """Name the place of some voxels by the votes of all of them.

    Args:
        points: Centres of the voxels in the world of the template, (N, 3), in mm.
        atlas: The atlas.
    """
    counts = Counter(atlas.look_up(points).tolist())
    votes = {atlas.regions[index]: count for index, count in counts.items() if index}
    if not votes or sum(votes.values()) < LEAST_COVER * len(points):
        return PlaceName()
    structures = _list_leaders(votes, lambda region: region.structure)[:MOST_STRUCTURES]
    named_votes = {region: count for region, count in votes.items() if region.structure in structures}
    if sum(named_votes.values()) < MOST_SHARE * sum(votes.values()):
        structures = [*structures, OTHERS]
    else:
        votes = named_votes
    tissues = [x for x in _list_leaders(votes, lambda region: region.tissue) if x]
    sides = sorted(x for x in _list_leaders(votes, lambda region: region.side) if x)
    zones = _list_zones(votes, tissues)
    plain = set(structures) <= _list_plain_structures(atlas.regions)
    return PlaceName(
        _phrase(sides, structures, [] if plain else tissues, zones),
        "both" if len(sides) == 2 else (sides or ["midline"])[0],
        " and ".join(structures),
        " and ".join(tissues),
        " and ".join(zones),
    )


def _list_leaders(votes: Mapping[Region, int], get: Callable[[Region], str]) -> list[str]:
    """List the values with a fair share of the votes, the first one first."""
    counts = Counter[str]()
    for region, count in votes.items():
        counts[get(region)] += count
    limit = LEAST_SHARE * counts.total()
    ranks = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [value for index, (value, count) in enumerate(ranks) if index == 0 or count >= limit]


def _list_zones(votes: Mapping[Region, int], tissues: Sequence[str]) -> list[str]:
    """List the zones that the voxels reach; those of white matter if it is named, or fluid that may be it."""
    total, zones = sum(votes.values()), []
    for zone in ZONES:
        count = sum(count for region, count in votes.items() if zone in region.zones)
        is_open = zone == "infratentorial" or bool({"white matter", "fluid"} & set(tissues))
        if is_open and count >= TOUCHING_SHARE * total:
            zones.append(zone)
    return zones


def _list_plain_structures(regions: Sequence[Region]) -> set[str]:
    """List the structures of one tissue, which goes without saying."""
    tissues: dict[str, set[str]] = {}
    for region in regions:
        tissues.setdefault(region.structure, set()).add(region.tissue)
    return {structure for structure, names in tissues.items() if len(names - {SURFACE}) == 1}


def _phrase(
    sides: Sequence[str], structures: Sequence[str], tissues: Sequence[str], zones: Sequence[str]
) -> str:
    head = " ".join([" and ".join(sides), " and ".join(structures)]).strip()
    return ", ".join(text for text in (head, " and ".join(tissues), *zones) if text)
