"""Networks by name; each is a diffusers ModelMixin, so it saves to safetensors with its config."""

from diffad.models import adm as adm
from diffad.models import conditioned as conditioned
from diffad.models import dae as dae
from diffad.models import unet2d as unet2d
from diffad.models import unet3d as unet3d
