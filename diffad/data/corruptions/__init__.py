"""Synthetic corruptions that a network learns to undo: patches, sinks, sources, intensities, lesions."""

from diffad.data.corruptions import cells as cells
from diffad.data.corruptions import coarse as coarse
from diffad.data.corruptions import kinds as kinds
from diffad.data.corruptions.batch import CorruptedBatch as CorruptedBatch
from diffad.data.corruptions.batch import corrupt_batch as corrupt_batch
from diffad.data.corruptions.codes import check_code_tasks as check_code_tasks
from diffad.data.corruptions.codes import corrupt_codes as corrupt_codes
from diffad.data.corruptions.continued import continue_anomalies as continue_anomalies
from diffad.data.corruptions.corrupt import CorruptedImage as CorruptedImage
from diffad.data.corruptions.corrupt import corrupt as corrupt
from diffad.data.corruptions.tasks import ANY as ANY
from diffad.data.corruptions.tasks import FOLDS as FOLDS
from diffad.data.corruptions.tasks import LESIONS as LESIONS
from diffad.data.corruptions.tasks import SETS as SETS
from diffad.data.corruptions.tasks import TASKS as TASKS
from diffad.data.corruptions.tasks import expand_tasks as expand_tasks
from diffad.data.corruptions.tasks import list_tasks as list_tasks
from diffad.data.corruptions.tasks import make_corruption as make_corruption
from diffad.data.corruptions.tasks import split_tasks as split_tasks
