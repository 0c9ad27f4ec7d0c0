"""The demo: lesions implanted in a real brain, found again, measured and drawn."""
