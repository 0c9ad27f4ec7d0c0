"""Scans of a hospital: DICOM series, and results as DICOM objects beside them."""
