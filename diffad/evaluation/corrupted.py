"""Which lesions maps are compared on: implanted ones, or the corruptions that networks learn to undo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffad.data.corruptions import TASKS, corrupt, list_tasks
from diffad.data.lesions import KINDS, implant_all

Lesions = dict[str, tuple[Tensor, Tensor]]
"""By kind, the changed scans (N, C, *S) and the masks (N, 1, *S)."""

LesionMaker = Callable[[Tensor, Tensor, int], Lesions]
"""Makes lesions from scans (N, C, *S), brain masks (N or 1, 1, *S) and a seed."""


def corrupt_all(
    slices: Tensor,
    brains: Tensor,
    seed: int,
    tasks: Sequence[str] = TASKS,
    others: Sequence[Tensor] = (),
) -> Lesions:
    """Corrupt every scan by every task; scan i depends on (seed, task, i), itself and ``others`` only.

    Args:
        slices: Healthy scans, (N, C, *S), in [0, 1].
        brains: Brain masks, (N, 1, *S) or one for all (1, 1, *S), boolean.
        seed: Any integer.
        tasks: Which tasks, of ``CORRUPTIONS``.
        others: Scans that patches come from, (C, *S) each; none takes them from the scan itself.

    Returns:
        By task, the changed scans (N, C, *S) and the masks (N, 1, *S).

    Reference:
        Many tasks make light work (Baugh et al., 2023), whose networks are tested on tasks held out.
    """
    brains = brains.expand(len(slices), *brains.shape[1:])
    result = {}
    for task in tasks:
        pairs = enumerate(zip(slices, brains, strict=True))
        corruptions = [
            corrupt(x, brain, task, _make_generator(seed, task, i), others) for i, (x, brain) in pairs
        ]
        images, masks = ([getattr(y, name) for y in corruptions] for name in ("image", "mask"))
        result[task] = (torch.stack(images), torch.stack(masks))
    return result


def lesion_maker(
    lesions: str = "implanted", kinds: Sequence[str] | None = None, others: Sequence[Tensor] = ()
) -> LesionMaker:
    """Return what makes lesions of some kinds.

    Args:
        lesions: "implanted" or "corrupted".
        kinds: Kinds of lesions, none for all; or tasks of corruptions, none for the five published.
        others: As for ``corrupt_all``.

    Raises:
        ValueError: If there are no such lesions, or they have no such kind.
    """
    if lesions not in (families := {"implanted": KINDS, "corrupted": list_tasks()}):
        raise ValueError(f"expected lesions {' or '.join(families)}, got {lesions!r}")
    defaults = {"implanted": KINDS, "corrupted": TASKS}[lesions]
    names = defaults if kinds is None else tuple(dict.fromkeys(kinds))
    if strange := [name for name in names if name not in families[lesions]]:
        choices = ", ".join(families[lesions])
        raise ValueError(f"expected kinds of {lesions} lesions out of {choices}, got {', '.join(strange)}")
    if lesions == "corrupted":
        return lambda slices, brains, seed: corrupt_all(slices, brains, seed, names, others)
    return lambda slices, brains, seed: _select_kinds(implant_all(slices, brains, seed), names)


def _select_kinds(lesions: Lesions, kinds: Sequence[str]) -> Lesions:
    return {kind: lesions[kind] for kind in kinds}


def _make_generator(seed: int, task: str, index: int) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed}/{task}/{index}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
