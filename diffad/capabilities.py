"""What parts can do beyond their call, asked by the types of ``diffad.protocols``: here, and nowhere else.

Former names of methods, which parts of other distributions may still have, are known here too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from diffad.protocols import (
    AnomalyScore,
    AsksNetwork,
    Composite,
    Corruption,
    Denoiser,
    NeedsNetworks,
    NoiseGenerator,
    RestrictsChildren,
    RestrictsToRegion,
    Saliency,
    Sampler,
    ScoreRun,
    StreamingSaliency,
    StreamingScore,
    TakesCodes,
    TakesSources,
    WantsReferences,
)
from diffad.schedule import Schedule
from diffad.types import Generators, Reconstruction, StepRecord

Place = tuple[str | int, ...]
"""Options, and numbers in a sequence, that lead from a part to one inside it."""


def list_parts(part: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield a part and all parts inside it, each with its place; those inside come first."""
    for option, child in _children(part):
        yield from list_parts(child, (*place, *option))
    yield place, part


def _children(part: Any) -> Iterator[tuple[Place, Any]]:
    if not isinstance(part, Composite):
        return
    for option, child in part.children.items():
        if isinstance(child, Sequence):
            yield from (((option, index), item) for index, item in enumerate(child))
        else:
            yield (option,), child


def attach_networks(part: Any, networks: Mapping[str, Any]) -> None:
    """Hand trained networks to a part, and to all parts inside it, that need them.

    Args:
        part: Any part.
        networks: By name: "network", which denoises, and those of ``AUXILIARY_NETWORKS`` that there are.
    """
    for _, member in list_parts(part):
        if isinstance(member, NeedsNetworks):
            member.attach_networks(networks)
        elif hasattr(member, "equip"):
            _warn_of_former(member, "equip", "attach_networks")
            member.equip(networks)


def count_references(part: Any) -> int:
    """Return how many healthy images a part, or a part inside it, wants to compare scans with; 0 for none."""
    members = (member for _, member in list_parts(part))
    return max((m.wanted_references for m in members if isinstance(m, WantsReferences)), default=0)


def count_evaluations(score: Any) -> int:
    """Return how often a score, and the parts inside it, ask networks about one image; 0 for most."""
    asking = (member for _, member in list_parts(score) if isinstance(member, AsksNetwork))
    return sum(member.count_evaluations() for member in asking)


def check_asking_score(score: Any, name: str, neighbours: int, is_coded: bool) -> None:
    """Refuse a score that asks the diffusion network for features of images where it sees other things.

    Args:
        score: The score.
        name: What messages call it.
        neighbours: Slices below and above that the network is shown.
        is_coded: Whether it is shown codes.

    Raises:
        ValueError: If it is shown either, and the score has no network of its own.
    """
    asks = any(m.asks_of_pipeline for _, m in list_parts(score) if isinstance(m, AsksNetwork))
    found = f"{neighbours} neighbouring slice(s)" if neighbours else "codes" if is_coded else ""
    if asks and found:
        raise ValueError(
            f"score {name!r} expected a network of single images, whose features it compares, found one of "
            f"{found}; give the score another network, or take another score"
        )


def picks_region(part: Any) -> bool:
    """Tell whether a part is a sampler that changes a region of its own choice, or from outside."""
    return isinstance(part, RestrictsToRegion) or hasattr(part, "within")


def takes_region(sampler: Sampler) -> bool:
    """Tell whether a sampler, or all samplers of a composite, can be restricted to a region."""
    if isinstance(sampler, RestrictsChildren):
        return all(takes_region(child) for _, child in _children(sampler))
    return picks_region(sampler)


def restrict_to_region(sampler: Sampler, region: Tensor) -> Sampler:
    """Return the same sampler that changes only what is in ``region``, (B, 1, *S) in [0, 1].

    Raises:
        ValueError: If the sampler changes the whole image.
    """
    if isinstance(sampler, RestrictsChildren):
        return sampler.restrict_children(region)
    if isinstance(sampler, RestrictsToRegion):
        return sampler.restricted_to(region)
    if hasattr(sampler, "within"):
        _warn_of_former(sampler, "within", "restricted_to")
        regional_sampler: Sampler = sampler.within(region)
        return regional_sampler
    name = type(sampler).__name__
    raise ValueError(f"expected no region, as sampler {name} changes the whole image, got one")


@dataclass(frozen=True)
class PlainRun:
    """The run of a score that looks at scan and reconstruction only.

    Args:
        score: The score.
    """

    score: AnomalyScore

    def record(self, step: StepRecord) -> None:
        """Let the move pass."""

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S) in [0, 1]."""
        return self.score(x, restoration, mask)


def begin_run(score: AnomalyScore, x: Tensor, schedule: Schedule) -> ScoreRun:
    """Begin a run of any score on ``x`` (B, C, *S) in [-1, 1]."""
    return score.begin(x, schedule) if isinstance(score, StreamingScore) else PlainRun(score)


def wants_records(run: ScoreRun) -> bool:
    """Tell whether a run wants the sampler's moves; recording them for nobody can be dear."""
    if isinstance(run, Composite):
        return any(wants_records(child) for _, child in _children(run))
    return not isinstance(run, PlainRun)


def begin_saliency(
    saliency: Saliency, denoiser: Denoiser, noise: NoiseGenerator, generator: Generators
) -> Saliency:
    """Return a saliency that can be called: one that asks the network is given what it asks with."""
    if isinstance(saliency, StreamingSaliency):
        return saliency.begin(denoiser, noise, generator)
    return saliency


def give_sources(
    corruption: Corruption, others: Sequence[Tensor], foreign: Sequence[Tensor] = ()
) -> Corruption:
    """Return a corruption with images that patches come from, (C', *S') each; itself where it takes none."""
    return corruption.with_sources(others, foreign) if isinstance(corruption, TakesSources) else corruption


def takes_codes(corruption: Corruption) -> bool:
    """Tell whether a corruption reads no intensities of a scan, so that codes will do."""
    return isinstance(corruption, TakesCodes) and corruption.takes_codes


def _warn_of_former(part: Any, former: str, name: str) -> None:
    warnings.warn(
        f"{type(part).__name__}.{former} is called {name} now: rename the method", DeprecationWarning, 3
    )
