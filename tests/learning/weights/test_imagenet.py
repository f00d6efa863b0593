"""Public ImageNet weights: names, shapes and values, against a list built from the published architecture."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from lib.learning.models.hrnet import PRESETS, HRNet, HRNetConfig, StageConfig
from lib.learning.weights.imagenet import imagenet_state, load_imagenet_backbone, public_name

Shapes = dict[str, tuple[int, ...]]
TINY = HRNetConfig(2, 64, (StageConfig(1, 1, (2, 4)), StageConfig(2, 1, (2, 4, 8)), StageConfig(1, 2, (2, 4, 8, 16))))


def convolution(outputs: int, inputs: int, kernel: int, conv: str, norm: str) -> Shapes:
    """A convolution without bias and its batch norm under these names."""
    statistics = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (outputs,))
    shapes: Shapes = {f"{norm}.{name}": shape for name, shape in statistics.items()}
    return {f"{conv}.weight": (outputs, inputs, kernel, kernel), **shapes, f"{norm}.num_batches_tracked": ()}


def public_shapes(config: HRNetConfig) -> Shapes:
    """Names and shapes of the public network without its head.

    Facts of ``lib/models/cls_hrnet.py`` in github.com/HRNet/HRNet-Image-Classification: ``transition1`` has a new layer
    for both branches, later ones only for the branch that they open, as a list of one stride-2 step; fuse layer i, j
    brings branch j to branch i, by a 1x1 convolution from coarser ones and i - j stride-2 steps from finer ones, of
    which only the last changes the channels.
    """
    shapes = {**convolution(64, 3, 3, "conv1", "bn1"), **convolution(64, 64, 3, "conv2", "bn2")}
    for block, inputs in enumerate([64, *[256] * (config.first_blocks - 1)]):
        name = f"layer1.{block}"
        for number, (a, b, kernel) in enumerate([(inputs, 64, 1), (64, 64, 3), (64, 256, 1)], 1):
            shapes |= convolution(b, a, kernel, f"{name}.conv{number}", f"{name}.bn{number}")
    shapes |= convolution(256, 64, 1, "layer1.0.downsample.0", "layer1.0.downsample.1")
    before: tuple[int, ...] = (256,)
    for number, stage in enumerate(config.stages, 1):
        new = f"transition{number}.{number}.0"
        shapes |= convolution(stage.channels[-1], before[-1], 3, f"{new}.0", f"{new}.1")
        if number == 1:
            shapes |= convolution(stage.channels[0], 256, 3, "transition1.0.0", "transition1.0.1")
        for module in range(stage.modules):
            for i, to in enumerate(stage.channels):
                for block in range(stage.blocks):
                    name = f"stage{number + 1}.{module}.branches.{i}.{block}"
                    shapes |= convolution(to, to, 3, f"{name}.conv1", f"{name}.bn1")
                    shapes |= convolution(to, to, 3, f"{name}.conv2", f"{name}.bn2")
                for j, source in enumerate(stage.channels):
                    name = f"stage{number + 1}.{module}.fuse_layers.{i}.{j}"
                    if j > i:
                        shapes |= convolution(to, source, 1, f"{name}.0", f"{name}.1")
                    for step in range(i - j):
                        outputs = to if step == i - j - 1 else source
                        shapes |= convolution(outputs, source, 3, f"{name}.{step}.0", f"{name}.{step}.1")
        before = stage.channels
    return shapes


def public_state(config: HRNetConfig) -> dict[str, torch.Tensor]:
    """Random tensors of these shapes, and some of the head."""
    random = torch.Generator().manual_seed(0)
    head = {"incre_modules.0.0.conv1.weight": (32, 18, 1, 1), "downsamp_modules.0.0.bias": (256,)}
    head |= {"final_layer.0.weight": (2048, 1024, 1, 1), "classifier.weight": (1000, 2048)}
    return {name: torch.rand(shape, generator=random) for name, shape in (public_shapes(config) | head).items()}


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"tiny"}))
def test_every_public_tensor_has_one_of_ours_of_the_same_shape(preset: str) -> None:
    config = PRESETS[preset]
    with torch.device("meta"):
        ours = {name: tuple(t.shape) for name, t in HRNet(config, in_channels=3).state_dict().items()}
    public = {name: shape for name, shape in public_shapes(config).items() if "num_batches" not in name}
    names = {name: theirs for name in ours if (theirs := public_name(name)) is not None}
    assert len(set(names.values())) == len(names)
    assert {theirs: ours[name] for name, theirs in names.items()} == public
    assert all(name.endswith("num_batches_tracked") for name in ours if name not in names)


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("stem.0.0.weight", "conv1.weight"),
        ("stem.1.1.running_var", "bn2.running_var"),
        ("first.0.body.0.0.weight", "layer1.0.conv1.weight"),
        ("first.0.shortcut.0.weight", "layer1.0.downsample.0.weight"),
        ("transitions.0.adapt.0.0.weight", "transition1.0.0.weight"),
        ("transitions.0.open.0.weight", "transition1.1.0.0.weight"),
        ("transitions.2.open.1.bias", "transition3.3.0.1.bias"),
        ("stages.0.branches.0.0.0.body.0.0.weight", "stage2.0.branches.0.0.conv1.weight"),
        ("stages.1.branches.3.2.1.body.1.1.bias", "stage3.3.branches.2.1.bn2.bias"),
        ("stages.0.exchanges.0.paths.0.1.project.0.weight", "stage2.0.fuse_layers.0.1.0.weight"),
        ("stages.2.exchanges.1.paths.3.1.0.1.weight", "stage4.1.fuse_layers.3.1.0.1.weight"),
        ("stem.0.1.num_batches_tracked", None),
        ("context.layers.0.norm.weight", None),
        ("first.1.body.3.squeeze.weight", None),
    ],
)
def test_names_by_hand(name: str, public: str | None) -> None:
    assert public_name(name) == public


@pytest.mark.parametrize("name", ["heatmap.0.weight", "first.0.neck.0.weight", "stages.0.weight", ""])
def test_a_name_from_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no tensor of"):
        public_name(name)


def test_a_gray_image_gives_what_three_equal_colours_give(tmp_path: Path) -> None:
    public = public_state(TINY)
    torch.save(public, tmp_path / "a.pth")
    gray, colour = HRNet(TINY).eval(), HRNet(TINY, in_channels=3).eval()
    load_imagenet_backbone(tmp_path / "a.pth", gray)
    load_imagenet_backbone(tmp_path / "a.pth", colour)
    torch.testing.assert_close(colour.stem[0][0].weight, public["conv1.weight"])
    torch.testing.assert_close(
        gray.stages[2].exchanges[0].paths[3][0][2][0].weight, public["stage4.0.fuse_layers.3.0.2.0.weight"]
    )
    image = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(gray.stem[0](image), colour.stem[0](image.expand(-1, 3, -1, -1)))


def test_what_the_public_network_lacks_stays_as_it_is() -> None:
    torch.manual_seed(0)
    backbone = HRNet(TINY, context_layers=1, squeeze_excitation=True)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    state = imagenet_state(public_state(TINY), backbone)
    own = {name for name in before if public_name(name) is None}
    assert {name.split(".")[0] for name in own} >= {"context", "first", "stages"}
    assert all(torch.equal(state[name], before[name]) for name in own)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    backbone.load_state_dict(state)


def test_a_file_without_counters_will_do() -> None:
    public = {name: t for name, t in public_state(TINY).items() if not name.endswith("num_batches_tracked")}
    imagenet_state(public, HRNet(TINY))


def test_the_first_missing_tensor_is_named() -> None:
    public = public_state(TINY)
    del public["layer1.0.conv2.weight"], public["stage4.0.fuse_layers.0.1.0.weight"]
    with pytest.raises(ValueError, match=r"of this preset: layer1\.0\.conv2\.weight is missing"):
        imagenet_state(public, HRNet(TINY))


def test_another_width_is_refused() -> None:
    wide = HRNetConfig(
        2, 64, tuple(StageConfig(s.modules, s.blocks, tuple(2 * c for c in s.channels)) for s in TINY.stages)
    )
    with pytest.raises(
        ValueError, match=r"transition1\.0\.0\.weight must have shape \(4, 256, 3, 3\).*, got \(2, 256, 3, 3\)"
    ):
        imagenet_state(public_state(TINY), HRNet(wide))


def test_a_deeper_network_is_refused() -> None:
    """All tensors of HRNet-W18-Small-v2 are also names of HRNet-W18, with the same shapes."""
    deep = HRNetConfig(3, 64, TINY.stages)
    with pytest.raises(ValueError, match=r"layer1\.2\.conv1\.weight is not part of it"):
        imagenet_state(public_state(deep), HRNet(TINY))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, r"^a\.pth: no state dict of a public HRNet of this preset: conv1\.weight is missing"),
        ({"epoch": 3}, r"^a\.pth: not a state dict"),
        ([1, 2], r"^a\.pth: not a state dict"),
        (b"text", r"^a\.pth: not a PyTorch weight file"),
        (b"", r"^a\.pth: not a PyTorch weight file"),
        (pickle.dumps(print, 2), r"^a\.pth: not a PyTorch weight file"),
    ],
    ids=["nothing", "checkpoint", "list", "text", "empty", "code"],
)
def test_a_file_that_is_no_such_state_dict_is_refused(tmp_path: Path, content: object, text: str) -> None:
    path = tmp_path / "a.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=text):
        load_imagenet_backbone(path, HRNet(TINY))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_imagenet_backbone(tmp_path / "a.pth", HRNet(TINY))
