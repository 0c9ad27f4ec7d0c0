"""Scans whose lesions are replaced by tissue that a model of healthy brains expects there."""

from diffad.fill.fill import FillOptions as FillOptions
from diffad.fill.fill import fill_scan as fill_scan
from diffad.fill.result import FilledScan as FilledScan
