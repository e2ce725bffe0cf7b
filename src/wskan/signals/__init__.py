"""The signals that KANs are trained on: images as functions of coordinates, and sine waves."""

from wskan.signals.coordinates import coordinates
from wskan.signals.images import IMAGE_SETS, Images, load_images
from wskan.signals.psnr import psnr
from wskan.signals.waves import Waves, sine_waves

__all__ = ["IMAGE_SETS", "Images", "Waves", "coordinates", "load_images", "psnr", "sine_waves"]
