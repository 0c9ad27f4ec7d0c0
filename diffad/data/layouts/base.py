"""What a layout is: it recognises a folder, lists its entries, and describes what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffad.io.wording import MAX_LINE, shorten


@dataclass(frozen=True)
class Entry:
    """The files and labels of one scan or slice of a data set.

    Args:
        name: Name of the scan or slice, unique in its data set.
        subject: Who was scanned; the same person under two names has one subject.
        images: File of each sequence, by its name in lower case (t1, t1ce, t2, flair, ct, image).
        lesion: Lesion mask, or none.
        brain: Brain mask, or none.
        split: "train", "val" or "test" where the layout has splits, else none.
        label: 1 anomalous, 0 healthy, none where only the lesion mask decides.
        positive: Values of the lesion mask that are lesion; none for all above 0.
        ignored: Values of the lesion mask that count neither as lesion nor as healthy.
        group: Hospital, scanner or pathology, where the layout has groups.
        boxes: Annotated boxes (x, y, width, height) in pixels.
        index: Number of the slice in its file, where a file holds many.
    """

    name: str
    subject: str
    images: Mapping[str, Path]
    lesion: Path | None = None
    brain: Path | None = None
    split: str | None = None
    label: int | None = None
    positive: tuple[int, ...] | None = None
    ignored: tuple[int, ...] = ()
    group: str = ""
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    index: int | None = None


@dataclass(frozen=True)
class Listing:
    """The entries and the problems of a folder.

    Args:
        layout: Name of the layout.
        entries: What can be used, sorted by name.
        problems: What is wrong, one line each, which begins with the file or folder: missing masks, sequences
            or images, files that fit no rule, subjects in two splits, repeated subjects.
    """

    layout: str
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", [shorten(line, MAX_LINE) for line in self.problems])


class Layout:
    """A way in which a published data set lies on disk.

    A subclass is registered in ``LAYOUTS`` by name and has no options. ``fits`` must be quick: it reads names
    only, and counts the files that speak for the layout; 0 means that the folder has another one.
    """

    def fits(self, root: Path) -> int:
        """Return how many files or folders below ``root`` have names of this layout."""
        raise NotImplementedError

    def entries(self, root: Path) -> Listing:
        """List what can be used and what is wrong; reads names and tables, but no images.

        Raises:
            DataError: If nothing can be used.
        """
        raise NotImplementedError
