"""Saliencies: where a scan looks suspicious, before anything is rebuilt."""
