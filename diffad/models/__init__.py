"""Networks by name; each is, or is made, a diffusers ModelMixin: safetensors with a config."""

from diffad.models import adm as adm
from diffad.models import autoencoder as autoencoder
from diffad.models import autoencoder_kl as autoencoder_kl
from diffad.models import autoencoder_vq as autoencoder_vq
from diffad.models import beside as beside
from diffad.models import bridge as bridge
from diffad.models import classifier as classifier
from diffad.models import conditioned as conditioned
from diffad.models import dae as dae
from diffad.models import detail as detail
from diffad.models import dit as dit
from diffad.models import dtunet as dtunet
from diffad.models import labelled as labelled
from diffad.models import references as references
from diffad.models import resnet as resnet
from diffad.models import strided as strided
from diffad.models import unet2d as unet2d
from diffad.models import unet3d as unet3d
from diffad.models import uvit as uvit
from diffad.models import wrapped as wrapped
from diffad.registry import MODELS

MODELS.adapt = wrapped.wrap_network
