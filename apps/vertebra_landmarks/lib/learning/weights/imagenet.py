"""Weights of the public ImageNet HRNets, brought to the names and the single input channel of our backbone.

Meant are the state dicts of github.com/HRNet/HRNet-Image-Classification (MIT licence), such as
``hrnetv2_w18_imagenet_pretrained.pth``. None was at hand: the names and shapes follow that repository's
``lib/models/cls_hrnet.py`` and are tested against a list built from it, not against a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..models.hrnet import HRNet

_KINDS = {"0": "conv", "1": "bn"}  # the parts of conv_norm
_HEADS = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")  # only for classification
_COUNTER = "num_batches_tracked"


def public_name(name: str) -> str | None:
    """What the public networks call a tensor of our backbone.

    Args:
        name: a key of the state dict of an ``HRNet``.

    Returns:
        The public key; ``None`` for what they lack (context, squeeze-and-excitation) and for the counters of batch
        norm, which nothing depends on.
    """
    match name.split("."):
        case [*_, "num_batches_tracked"] | ["context", *_] | [*_, "squeeze" | "excite", _]:
            return None
        case ["stem", number, part, last]:
            return f"{_KINDS[part]}{int(number) + 1}.{last}"
        case ["first", block, *rest]:
            return f"layer1.{block}.{_within_block(rest)}"
        case ["transitions", stage, "adapt", branch, part, last]:
            return f"transition{int(stage) + 1}.{branch}.{part}.{last}"
        case ["transitions", stage, "open", part, last]:
            return f"transition{int(stage) + 1}.{int(stage) + 1}.0.{part}.{last}"
        case ["stages", stage, "branches", module, branch, block, *rest]:
            return f"stage{int(stage) + 2}.{module}.branches.{branch}.{block}.{_within_block(rest)}"
        case ["stages", stage, "exchanges", module, "paths", target, source, *rest]:
            inner = ".".join(word for word in rest if word != "project")
            return f"stage{int(stage) + 2}.{module}.fuse_layers.{target}.{source}.{inner}"
    raise ValueError(f"{name} is no tensor of the backbone")


def _within_block(parts: list[str]) -> str:
    match parts:
        case ["shortcut", part, last]:
            return f"downsample.{part}.{last}"
        case ["body", number, part, last]:
            return f"{_KINDS[part]}{int(number) + 1}.{last}"
    raise ValueError(f"{'.'.join(parts)} is no tensor of a residual block")


def imagenet_state(public: Mapping[str, torch.Tensor], backbone: HRNet) -> dict[str, torch.Tensor]:
    """A state dict of our backbone filled with public weights.

    The first convolution is summed over red, green and blue, as a gray image has the same value in all three; its scale
    (the public networks see colours of unit variance) is left to the batch norm behind it. The public networks enlarge
    by repeating cells where ours interpolates.

    Args:
        public: state dict of the public network of the same widths and depths, classification head included or not.
        backbone: its shapes count; what the public network lacks is taken from it. It is not changed.

    Raises:
        ValueError: a tensor is missing, has another shape, or belongs to a deeper network; the message names the first.
    """
    state = dict(backbone.state_dict())
    names = {ours: theirs for ours in state if (theirs := public_name(ours)) is not None}
    for ours, theirs in names.items():
        if theirs not in public:
            raise ValueError(f"no state dict of a public HRNet of this preset: {theirs} is missing")
        tensor = public[theirs]
        if theirs == "conv1.weight" and state[ours].shape[1] == 1:
            tensor = tensor.sum(1, keepdim=True)
        if tensor.shape != state[ours].shape:
            raise ValueError(
                f"{theirs} must have shape {tuple(state[ours].shape)} for this preset, got {tuple(tensor.shape)}"
            )
        state[ours] = tensor
    used = set(names.values())
    for theirs in public:
        if theirs not in used and not theirs.startswith(_HEADS) and not theirs.endswith(_COUNTER):
            raise ValueError(f"no state dict of a public HRNet of this preset: {theirs} is not part of it")
    return state


def load_imagenet_backbone(path: Path, backbone: HRNet) -> None:
    """Start a backbone from a public weight file; nothing in the file is executed.

    Args:
        path: a public weight file of the same preset.
        backbone: changed in place.

    Raises:
        ValueError: the file is no state dict of that network.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        public = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a broken pickle raises whatever it happens to run into
        raise ValueError(f"{path.name}: not a PyTorch weight file") from error
    if not isinstance(public, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in public.values()):
        raise ValueError(f"{path.name}: not a state dict, which has a tensor under every key")
    try:
        backbone.load_state_dict(imagenet_state(public, backbone))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
