"""DICOM: which series a folder holds, one of them as a scan, and results as objects over it."""

from diffad.dicom.read import read_series as read_series
from diffad.dicom.slice_grid import SliceGrid as SliceGrid
from diffad.dicom.slice_grid import read_slice_grids as read_slice_grids
from diffad.dicom.slice_grid import sample_on_slice as sample_on_slice
