"""The demo: lesions of known extent implanted in a brain, found again, measured and drawn."""
