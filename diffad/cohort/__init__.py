"""Many scans at once: which there are, what was made of them, and from what."""
