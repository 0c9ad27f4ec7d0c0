"""Synthetic corruptions that a network learns to undo: blended patches, sinks, sources, intensities."""

from diffad.data.corruptions.batch import CorruptedBatch as CorruptedBatch
from diffad.data.corruptions.batch import corrupt_batch as corrupt_batch
from diffad.data.corruptions.corrupt import CorruptedImage as CorruptedImage
from diffad.data.corruptions.corrupt import corrupt as corrupt
from diffad.data.corruptions.tasks import FOLDS as FOLDS
from diffad.data.corruptions.tasks import TASKS as TASKS
from diffad.data.corruptions.tasks import split_tasks as split_tasks
