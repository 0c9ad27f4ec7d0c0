"""Detectors without diffusion: networks that say themselves where a scan is odd, by name."""

from diffad.detectors.ae import AE as AE
from diffad.detectors.aeu import AEU as AEU
from diffad.detectors.base import DetectorNetwork as DetectorNetwork
from diffad.detectors.base import PassDetector as PassDetector
from diffad.detectors.base import TurnDetector as TurnDetector
from diffad.detectors.cyclegan import CycleGANAD as CycleGANAD
from diffad.detectors.fanogan import FAnoGAN as FAnoGAN
from diffad.detectors.ganomaly import GANomaly as GANomaly
from diffad.detectors.memae import MemAE as MemAE
from diffad.detectors.squid import SQUID as SQUID
from diffad.detectors.statistics import PlacePCA as PlacePCA
from diffad.detectors.statistics import PlaceZScore as PlaceZScore
from diffad.detectors.vae import VAE as VAE
from diffad.registry import DETECTORS as DETECTORS
