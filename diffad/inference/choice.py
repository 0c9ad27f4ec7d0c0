"""Which of several models a scan suits best, by the scans that each says it knows."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from diffad.data.hounsfield import guess_units
from diffad.data.names import strip_sequence
from diffad.data.volume import Volume
from diffad.inference.candidates import AUTO, Candidate, list_candidates
from diffad.inference.contrasts import find_contrast
from diffad.inference.features import ScanFeatures, measure_channels
from diffad.inference.scan import read_source
from diffad.inference.sequence_names import compare_sequence_names

CT_AIR = -900.0
"""What air in a CT lies below, in Hounsfield units."""
NAME_DISTANCE = 1.0
"""Distance that the name of another sequence than a model's counts for."""


@dataclass(frozen=True)
class ModelFit:
    """How well a scan suits a model; the least is the best.

    Args:
        candidate: The model.
        other_modality: Whether the scan is CT and the model of MRI, or the reverse.
        distance: How far the scan lies from those it knows, see ``KnownScans``; none where it does not say.
        inside: Whether nothing of the scan lies outside what it knows.
    """

    candidate: Candidate
    other_modality: bool
    distance: float | None
    inside: bool

    @property
    def rank(self) -> tuple[Any, ...]:
        """Modality first; then models that say what they know, the distance, and the narrower ranges."""
        severity = 0.0 if self.inside else self.distance or 0.0
        return (self.other_modality, self.distance is None, severity, self.candidate.breadth)


@dataclass(frozen=True)
class ModelChoice:
    """A model, and why it was chosen.

    Args:
        name: Name of the model.
        reason: Why, as the end of a sentence.
        distances: Distance of the scan from what each model knows, by name; none where one does not say.
        digest: Hash of what all models say of the scans they know.
    """

    name: str
    reason: str
    distances: Mapping[str, float | None]
    digest: str

    def to_info(self) -> dict[str, Any]:
        """Return what is stored with the result."""
        return {"name": self.name, "reason": self.reason, "distances": self.distances, "digest": self.digest}


def choose_model(scan: Any, mask: Any = None, models: str = AUTO) -> str:
    """Choose the model that a scan suits best.

    Args:
        scan: A file, a file for each sequence, or a volume; skull-stripped, or with a mask.
        mask: Its brain mask, as the pipeline takes it.
        models: What is chosen from, see ``list_candidates``.

    Returns:
        A name that ``AnomalyPipeline.from_pretrained`` takes.

    Raises:
        OSError: If there is no model to choose from.
        ValueError: If the scan cannot be used, or no model takes as many sequences.
    """
    source = read_source(scan, mask)
    if source.volume is None:
        raise ValueError("expected a volume to choose a model for, got a tensor")
    return choose_candidate(source.volume, source.brain[0, 0], list_candidates(models)[0]).name


def choose_candidate(
    volume: Volume, brain: Tensor, candidates: Sequence[Candidate], is_ct: bool | None = None
) -> ModelChoice:
    """Choose the model that a scan suits best: of its modality, then the nearest, then the most specific.

    A model that does not say which scans it knows comes after those that do.

    Args:
        volume: The scan.
        brain: Its brain mask, (I, J, K), boolean.
        candidates: The models.
        is_ct: Whether it is a CT; looks at it by default.

    Raises:
        ValueError: If none takes as many sequences, or the scan cannot be measured.
    """
    count = len(volume.data)
    usable = [c for c in candidates if c.channels == count]
    if not usable:
        takes = " or ".join(map(str, sorted({c.channels for c in candidates})))
        raise ValueError(f"{volume.name}: expected {takes} sequence(s), as the models take, got {count}")
    is_ct = looks_like_ct(volume, brain) if is_ct is None else is_ct
    if any(c.contrasts for c in usable):
        contrast = find_contrast(volume, brain)
        usable = [c.adapt_to(contrast) for c in usable]
    scans = measure_channels(volume, brain) if any(c.domain for c in usable) else []
    fits = sorted((_fit(c, volume, scans, is_ct) for c in usable), key=lambda fit: fit.rank)
    distances = {f.candidate.name: None if f.distance is None else round(f.distance, 3) for f in fits}
    return ModelChoice(fits[0].candidate.name, _explain(fits), distances, hash_candidates(candidates))


def hash_candidates(candidates: Sequence[Candidate]) -> str:
    """Return a hash of all that a choice among models follows from, beside the scan."""
    rows = [[c.name, c.channels, dict(c.settings)] for c in candidates]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _fit(candidate: Candidate, volume: Volume, scans: Sequence[ScanFeatures], is_ct: bool) -> ModelFit:
    other_modality = candidate.is_ct != is_ct
    if candidate.domain is None:
        return ModelFit(candidate, other_modality, None, False)
    pairs = list(zip(candidate.domain, scans, strict=True))
    is_other_name = compare_sequence_names(volume.path, candidate.sequences) is not None
    squares = [known.measure_distance(scan) ** 2 for known, scan in pairs]
    distance = math.sqrt(sum(squares) / len(squares) + NAME_DISTANCE * is_other_name)
    is_outside = is_other_name or any(known.list_reasons(scan) for known, scan in pairs)
    return ModelFit(candidate, other_modality, distance, not (is_outside or other_modality))


def looks_like_ct(volume: Volume, brain: Tensor) -> bool:
    """Tell whether a scan is a CT: named so, with air near -1000, or a stripped brain with values below 0.

    Args:
        volume: The scan.
        brain: Its brain mask, (I, J, K), boolean.
    """
    if volume.path is not None and strip_sequence(volume.path, "ct") is not None:
        return True
    image = volume.data[0]
    units, inside = guess_units(image), image[brain.numpy()]
    return (units == "hu" and image.min() <= CT_AIR) or (units == "stripped" and bool(inside.min() < 0))


def _explain(fits: Sequence[ModelFit]) -> str:
    best, *rest = fits
    if not rest:
        return "it is the only model to choose from"
    if best.other_modality:
        return "no model is of this modality, and this one comes nearest"
    if best.distance is None:
        return "no model of this modality says which scans it knows"
    if not best.inside:
        return f"the scan lies outside what each model knows, and nearest to this one ({best.distance:.2f})"
    others = [fit.candidate.name for fit in rest if fit.inside]
    verb = "knows" if len(others) == 1 else "know"
    more = f", which is narrower than what {' and '.join(others)} {verb}" if others else ""
    return f"the scan lies within what it knows{more}"
