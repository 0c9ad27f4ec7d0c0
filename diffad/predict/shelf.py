"""The models of a cohort: one for all scans, or several of which each scan gets its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from diffad.inference.candidates import Candidate
from diffad.inference.choice import ModelChoice, choose_candidate, hash_candidates
from diffad.inference.slice_range import ALL, AUTO
from diffad.method import Method
from diffad.pipeline import AnomalyPipeline
from diffad.predict.load import LoadedScan
from diffad.predict.options import Options
from diffad.predict.provenance import hash_model


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Args:
        pipe: The model.
        digest: Hash of it.
        method: Parts that are used.
    """

    pipe: AnomalyPipeline
    digest: str
    method: Method

    @classmethod
    def of(cls, pipe: AnomalyPipeline, options: Options) -> LoadedModel:
        """Take a pipeline that scans are looked at with.

        Raises:
            ValueError: If an option does not suit the model.
        """
        if options.engine:
            pipe.to_engine(options.engine)
        how: dict[str, Any] = {"precision": options.precision, "batch_size": options.batch_size}
        pipe.detector(options.method, **how)  # names, options and engines fail here, at once
        if options.slices not in (None, AUTO, ALL) and pipe.config.space["axis"] == "volume":
            raise ValueError("expected no range of slices, as this model takes whole volumes")
        return cls(pipe, hash_model(pipe), options.method.over(pipe.method))


@dataclass(frozen=True)
class ModelSet:
    """Several models that are loaded when the first scan needs them.

    Args:
        candidates: What each says of the scans it knows.
        load: Loads one by its name.
        device: Where its networks go.
        is_ct: Whether all scans are CT; looks at each by default.
    """

    candidates: Sequence[Candidate]
    load: Callable[[str], AnomalyPipeline]
    device: torch.device
    is_ct: bool | None = None


class ModelShelf(Protocol):
    """Gives each scan its model."""

    lock: threading.Lock
    """Held while a model is loaded, which changes global settings for a moment, and while one is used."""

    def recall(self, info: Mapping[str, Any] | None) -> ModelChoice | None:
        """Return the choice that a scan would get, by what is stored of it; none if it must be read."""

    def choose(self, scan: LoadedScan) -> ModelChoice:
        """Choose the model of a scan."""

    def take(self, choice: ModelChoice) -> LoadedModel:
        """Return the model of a choice."""


@dataclass
class SingleModel:
    """One model for all scans.

    Args:
        model: The model.
    """

    model: LoadedModel
    lock: threading.Lock = field(default_factory=threading.Lock)
    choice: ModelChoice = field(default_factory=lambda: ModelChoice("", "", {}, ""))

    def recall(self, info: Mapping[str, Any] | None) -> ModelChoice:
        """Return the only choice."""
        return self.choice

    def choose(self, scan: LoadedScan) -> ModelChoice:
        """Return the only choice."""
        return self.choice

    def take(self, choice: ModelChoice) -> LoadedModel:
        """Return the model."""
        return self.model


class SeveralModels:
    """Each scan gets the model it suits best; each model is loaded once, when first needed.

    Args:
        models: The models.
        options: How scans are looked at.
    """

    def __init__(self, models: ModelSet, options: Options) -> None:
        self.models, self.options = models, options
        self.digest, self.lock = hash_candidates(models.candidates), threading.Lock()
        self._loaded: dict[str, LoadedModel] = {}

    def recall(self, info: Mapping[str, Any] | None) -> ModelChoice | None:
        """Return the stored choice, if it was made among the same models."""
        stored = (info or {}).get("model_choice")
        if not isinstance(stored, Mapping) or stored.get("digest") != self.digest:
            return None
        name = stored.get("name")
        if name not in [candidate.name for candidate in self.models.candidates]:
            return None
        return ModelChoice(str(name), str(stored.get("reason", "")), {}, self.digest)

    def choose(self, scan: LoadedScan) -> ModelChoice:
        """Choose the model of a scan; see ``choose_candidate``.

        Raises:
            ValueError: If no model takes the scan.
        """
        brain = torch.from_numpy(scan.brain)
        return choose_candidate(scan.volume, brain, self.models.candidates, self.models.is_ct)

    def take(self, choice: ModelChoice) -> LoadedModel:
        """Return the model of a choice, loaded if it is the first time.

        Raises:
            OSError: If it is gone.
            ValueError: If its files do not fit together, or an option does not suit it.
        """
        with self.lock:
            if choice.name not in self._loaded:
                self._loaded[choice.name] = LoadedModel.of(self.models.load(choice.name), self.options)
            return self._loaded[choice.name]


def place_on_shelf(models: AnomalyPipeline | ModelSet, options: Options) -> ModelShelf:
    """Make what gives each scan its model.

    Raises:
        ValueError: If an option does not suit the only model.
    """
    if isinstance(models, ModelSet):
        return SeveralModels(models, options)
    return SingleModel(LoadedModel.of(models, options))
