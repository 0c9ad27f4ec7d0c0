"""What training data say of the part of the brain that a model knows."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from diffad.config import SpaceConfig
from diffad.data.space import Space
from diffad.training.domain import measure_range
from tests.inference.test_slice_range import source


@dataclass
class Scans:
    """Scans that a data set is cut from."""

    sources: list
    slices: tuple | None = (20, 24)
    space: Space = field(default_factory=lambda: Space(SpaceConfig()))

    def read_scans(self, every=1):
        for scan in self.sources:
            yield "", scan.volume, np.asarray(scan.brain[0, 0])


def test_numbers_of_slices_become_millimetres_that_all_scans_show():
    assert measure_range(Scans([source(code=4)])) == (4.0, 16.0)
    both = measure_range(Scans([source(code=4), source(code=4, first=2, low=-72.0)]))
    assert both == (4.0, 12.0)


@pytest.mark.parametrize(
    "data", [Scans([source(code=4)], slices=None), Scans([source(first=10, last=14)]), [1, 2, 3]]
)
def test_data_that_do_not_say_have_no_range(data):
    assert measure_range(data) is None
