"""Folders of DICOM files, and what is read of them."""

import pytest

from diffad.dicom.subjects import list_dicom_subjects, make_source
from diffad.dicom.visits import find_visits
from diffad.io.dicom_files import is_dicom_file
from tests.helpers.prediction import _quick_report as _quick_report
from tests.helpers.prediction import cohort as cohort
from tests.helpers.prediction import model as model
from tests.helpers.prediction import predict as predict

pytest.importorskip("pydicom")
pytest.importorskip("dcm2niix")


def list_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom_file(path))


@pytest.fixture
def visits():
    return lambda folder, **options: find_visits(list_files(folder), **options).visits


@pytest.fixture
def source(visits):
    """Return the images of the first series of a folder."""

    def find(folder, index=0):
        (visit,) = visits(folder)
        return make_source(visit, visit.series[index])

    return find


@pytest.fixture
def subjects():
    return lambda folder, wanted=("T1", "FLAIR", "T2"), **options: list_dicom_subjects(
        list_files(folder), wanted, **options
    )
