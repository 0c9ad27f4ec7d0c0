"""Lesions painted into healthy scans, with where they are: by a prompt, or by the class of a network."""

from diffad.synthesise.by_class import synthesise_by_class as synthesise_by_class
from diffad.synthesise.by_text import synthesise_by_text as synthesise_by_text
from diffad.synthesise.options import SynthesisOptions as SynthesisOptions
from diffad.synthesise.result import SynthesisedScan as SynthesisedScan
from diffad.synthesise.stable_model import load_stable_model as load_stable_model
