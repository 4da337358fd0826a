"""Files into frames and frames into files. Knows nothing of models, torch, databases or pages.

read.py reads anything from outside (or says in one sentence why not), write.py writes clips in the house encoding,
join.py makes a reel of them by copying, lossless.py keeps frames and latents exactly, probe.py says what a clip is.
"""

from nsp_core.media.clip import Limits, MediaClip
from nsp_core.media.filmstrip import Filmstrip, read_filmstrip
from nsp_core.media.geometry import crop_resize, to_model_frames
from nsp_core.media.house import HOUSE, HOUSE_ENCODING_HASH, HOUSE_ENCODING_VERSION, HouseEncoding
from nsp_core.media.join import Caption, JoinInfo, join_clips
from nsp_core.media.lossless import load_frames, load_latents, save_frames, save_latents
from nsp_core.media.probe import ClipFormat, ClipProbe, probe_clip
from nsp_core.media.read import read_media
from nsp_core.media.write import write_clip, write_png

__all__ = [
    "HOUSE",
    "HOUSE_ENCODING_HASH",
    "HOUSE_ENCODING_VERSION",
    "Caption",
    "ClipFormat",
    "ClipProbe",
    "Filmstrip",
    "HouseEncoding",
    "JoinInfo",
    "Limits",
    "MediaClip",
    "crop_resize",
    "join_clips",
    "load_frames",
    "load_latents",
    "probe_clip",
    "read_filmstrip",
    "read_media",
    "save_frames",
    "save_latents",
    "to_model_frames",
    "write_clip",
    "write_png",
]
