"""Fixtures of fills."""

from tests.helpers.prediction import model as model
