"""The command line."""

from diffad.cli.app import app as app
from diffad.cli.app import main as main
