"""What can be fuzzed, by name: a new target is one line here.

A target has ``prepare()``, which loads what all cases need; ``mutate(rng, folder)``, which writes a hostile
input into an empty folder and says what it did; and ``feed(folder)``, which reads it as a user would, and
returns whether there was a warning. That may raise what a user can mend (``is_expected``), and
``WrongResultError`` where a wrong result came without a word. ``names_file`` tells whether its errors must
name a file, ``need`` is what a good input takes, in bytes, where that is much, and ``echo`` how many
characters of a user's own words a message may repeat.
"""

from tests.fuzz.json_target import JsonTarget
from tests.fuzz.model_target import ModelTarget
from tests.fuzz.nifti_target import NiftiTarget
from tests.fuzz.safetensors_target import SafetensorsTarget
from tests.fuzz.tables_target import TablesTarget
from tests.fuzz.volume_target import VolumeTarget
from tests.fuzz.words_target import WordsTarget
from tests.fuzz.yaml_target import YamlTarget

TARGETS = {
    "yaml": YamlTarget,
    "model": ModelTarget,
    "volume": VolumeTarget,
    "nifti": NiftiTarget,
    "json": JsonTarget,
    "tables": TablesTarget,
    "safetensors": SafetensorsTarget,
    "words": WordsTarget,
}


def make_targets(names):
    """Build targets by name, ready for their cases."""
    targets = {name: TARGETS[name]() for name in names}
    for target in targets.values():
        target.prepare()
    return targets
