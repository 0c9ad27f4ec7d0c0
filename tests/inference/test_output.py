"""What a pipeline returns."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.data.volume import Origin, Volume
from diffad.inference.output import AnomalyOutput


@pytest.mark.parametrize(("path", "name"), [(Path("a/sub-01_T1w.nii.gz"), "sub-01_T1w"), (None, "scan")])
def test_result_goes_by_the_name_of_its_scan(path, name):
    origin = None if path is None else Origin(nib.Nifti1Header(), np.eye(4), path)
    volume = Volume(np.zeros((1, 2, 2, 2), np.float32), np.eye(4), origin)
    empty = torch.zeros(1, 1, 2, 2, 2)
    out = AnomalyOutput(empty, empty, empty.bool(), torch.zeros(1), {}, empty, empty.bool(), volume)
    assert out.name == name


def test_result_of_a_tensor_is_called_scan():
    empty = torch.zeros(1, 1, 2, 2)
    assert AnomalyOutput(empty, empty, empty.bool(), torch.zeros(1), {}, empty, empty.bool()).name == "scan"
