"""Where in the brain something lies, in words: an atlas in the space of the template, and its names."""
