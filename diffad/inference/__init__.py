"""From a scan to its anomaly map: reading, slices, detection, thresholds, and the result."""
