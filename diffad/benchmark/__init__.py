"""Benchmarks: methods, data, seeds and protocols in one file; tables, curves and pages out."""
