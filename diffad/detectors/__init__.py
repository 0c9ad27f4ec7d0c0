"""Detectors without diffusion: networks that say themselves where a scan is odd, by name."""

from diffad.detectors.ae import AE as AE
from diffad.detectors.ae_flow import AEFlow as AEFlow
from diffad.detectors.aeu import AEU as AEU
from diffad.detectors.asn import ASN as ASN
from diffad.detectors.base import DetectorNetwork as DetectorNetwork
from diffad.detectors.base import PassDetector as PassDetector
from diffad.detectors.fae import FAE as FAE
from diffad.detectors.fusion_unet import FusionUNet as FusionUNet
from diffad.detectors.gating_ano import GatingAno as GatingAno
from diffad.detectors.memae import MemAE as MemAE
from diffad.detectors.padim import PaDiM as PaDiM
from diffad.detectors.patch_bank import PatchBank as PatchBank
from diffad.detectors.rd4ad import RD4AD as RD4AD
from diffad.detectors.statistics import PlacePCA as PlacePCA
from diffad.detectors.statistics import PlaceZScore as PlaceZScore
from diffad.detectors.unet_synthetic import UNetSynthetic as UNetSynthetic
from diffad.detectors.uniad import UniAD as UniAD
from diffad.detectors.urd import URD as URD
from diffad.detectors.vae import VAE as VAE
from diffad.registry import DETECTORS as DETECTORS
