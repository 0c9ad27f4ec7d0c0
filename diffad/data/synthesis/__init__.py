"""Synthetic scans of healthy heads, painted from label maps."""
