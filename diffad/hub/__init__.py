"""A model as a folder: loaded, saved with its card, exchanged with a hub, and found by diffusers."""
