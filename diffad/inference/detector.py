"""From scans in memory to maps: the part of a pipeline that knows no files and no names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from diffad.data.place import tabulate_places
from diffad.data.window import Corner, Window, group_by_window, place_window, window_holds
from diffad.inference.batch_scoring import BatchScorer
from diffad.inference.image_batch import ImageBatch
from diffad.inference.stack import BatchResult as BatchResult
from diffad.inference.stack import Stack as Stack
from diffad.inference.stack import StackResult as StackResult
from diffad.inference.stack_placing import place_regions, place_stack
from diffad.models.memory import Memory, is_out_of_memory


@dataclass(frozen=True)
class DetectorRun(BatchScorer):
    """Finds anomalies in any number of scans, whose slices share batches; a ``BatchScorer`` for each batch.

    Args:
        batch_size: Slices per network evaluation.
        progress: Called with the number of slices just finished.
        memory: What is known of the memory of the device.
        networks: What moves to the CPU where the device does not hold a single slice.
    """

    batch_size: int = 8
    progress: Callable[[int], Any] = lambda count: None
    memory: Memory = field(default_factory=Memory)
    networks: Sequence[Any] = ()

    def __call__(self, stacks: Sequence[Stack]) -> list[StackResult]:
        """Find anomalies in scans; slices of different scans share batches."""
        placed_stacks = [place_stack(stack, self.space) for stack in stacks]
        keys = [key for stack in stacks for key in stack.noise_keys or stack.keys]
        x, brain = (torch.cat([getattr(p, name) for p in placed_stacks]) for name in ("image", "brain"))
        cond_image = torch.cat([self.cond_image(placed.image) for placed in placed_stacks])
        counts = [len(stack.image) for stack in stacks]
        where = tabulate_places([place for stack in stacks for place in stack.list_places()])
        neighbours = torch.cat([placed.neighbours for placed in placed_stacks])
        rest = (place_regions(stacks, self.space), counts, where, neighbours)
        result = self.maps(x, brain, keys, cond_image, *rest)
        parts = zip(placed_stacks, result.split(x, counts), strict=True)
        return [placed.lay_back(self.space, part, result.nfe) for placed, part in parts]

    def maps(
        self,
        x: Tensor,
        brain: Tensor,
        keys: Sequence[int],
        cond_image: Tensor | None = None,
        region: Tensor | None = None,
        counts: Sequence[int] | None = None,
        where: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> BatchResult:
        """Score images that are in the network's space already.

        Args:
            x: Images in [0, 1], (N, C, *S).
            brain: Brain masks, (N, 1, *S).
            keys: What the noise of each image follows from, next to the seed.
            cond_image: Images the denoiser is conditioned on, (N, C, *S); none takes those of the method
                ``cond_image``, all as one scan.
            region: Where the reconstructions may differ, (N, 1, *S), in [0, 1]; none leaves it to
                the sampler.
            counts: Number of slices of each scan, one after the other, for what is smoothed across slices;
                none makes each image a scan of its own.
            where: Orientation and position of each slice in the brain, (N, 2); none where unknown.
            neighbours: Slices below and above each, (N, 2 N' C, *S), in [0, 1], for a network that is shown
                them.

        Raises:
            ValueError: If there is a region, and the sampler takes none, or neighbours are missing.
        """
        images = ImageBatch(
            image=x,
            brain=brain,
            cond_image=self.cond_image(x) if cond_image is None else cond_image,
            neighbours=x[:, :0] if neighbours is None else neighbours,
            region=region,
            where=tabulate_places([None] * len(x)) if where is None else where,
            keys=keys,
        )
        result = BatchResult(torch.zeros_like(x[:, :1]), torch.zeros_like(x))
        for window, items, corners in self._groups(brain, images.where):
            start = 0
            while start < len(items):
                part = slice(start, start + self.memory.bound(self.batch_size))
                scores = self._try_batch(images.select(items[part]), window, corners[part])
                if scores is None:
                    continue
                result.put(items[part], scores)
                self.progress(len(items[part]))
                start += len(items[part])
        if self.joins_slices:
            result.anomaly = self._smooth_scans(result.anomaly, brain, counts or [1] * len(x))
        return result

    def _smooth_scans(self, raw: Tensor, brain: Tensor, counts: Sequence[int]) -> Tensor:
        scans = zip(torch.split(raw, list(counts)), torch.split(brain, list(counts)), strict=True)
        return torch.cat([self.post.smooth_stack(maps, mask) for maps, mask in scans])

    def _groups(self, brain: Tensor, where: Tensor) -> list[tuple[Window | None, list[int], list[Corner]]]:
        """Part the images into those whose brain a window holds, with its corners, and the rest."""
        groups: list[tuple[Window | None, list[int], list[Corner]]] = []
        for window, items in group_by_window(where, self.space.config):
            if window is None:
                groups.append((None, items, []))
                continue
            corners = {i: place_window(brain[i], window) for i in items}
            fits = [i for i in items if window_holds(brain[i], window, corners[i])]
            groups.append((window, fits, [corners[i] for i in fits]))
            groups.append((None, [i for i in items if i not in set(fits)], []))
        return groups

    def _try_batch(
        self, batch: ImageBatch, window: Window | None, corners: Sequence[Corner]
    ) -> BatchResult | None:
        """Score a batch; none where it does not fit into memory, and a smaller one is to be tried."""
        detector = self._move_to_cpu() if self.memory.left_device else self
        try:
            return detector._score_windows(batch, window, corners)
        except Exception as error:
            if not is_out_of_memory(error) or (len(batch) == 1 and detector.device.type == "cpu"):
                raise
        self.memory.give_way(len(batch), detector.device)
        return None

    def _move_to_cpu(self) -> DetectorRun:
        if self.device.type == "cpu":
            return self
        for network in self.networks:
            network.to("cpu")
        return replace(self, device=torch.device("cpu"))

    def cond_image(self, x: Tensor) -> Tensor:
        """Return what the denoiser is conditioned on for slices ``x`` of one scan, (N, C, *S).

        That is the slices themselves, or what its guidance puts in their place.
        """
        return self.denoiser.reference(x)
