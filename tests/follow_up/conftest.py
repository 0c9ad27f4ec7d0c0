"""Fixtures of predictions."""

from tests.helpers.prediction import _quick_report as _quick_report
from tests.helpers.prediction import model as model
