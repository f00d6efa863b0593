"""The examples of docs/EXTENDING.md, run in the real registries."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lib.learning import decoders
from lib.learning.active_learning import STRATEGIES, ImageDescriptor
from lib.learning.codec import PRESENT, LandmarkCodec
from lib.learning.config import load_config
from lib.learning.decoders import make_decoder
from lib.learning.models.landmark_net import Maps
from lib.learning.training.criterion import TERMS, LandmarkCriterion
from lib.phantoms import PhantomSpec, render_phantom
from lib.server.active_learning.strategies import all_strategies
from lib.server.inference.infer_request import InferRequest
from lib.spine.chain_prior import DEFAULT_PRIOR

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "EXTENDING.md"
SIZE = (640, 320)


def blocks() -> list[tuple[str, str, str]]:
    """Of every code block the file that it names, the registry in it or nothing, and the code."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"^```python\n# (\S+?\.py)(?:: (\w+))?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def module_name(path: str) -> str:
    """``lib/a/b.py`` as ``lib.a.b``, ``lib/a/__init__.py`` as ``lib.a``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example as if its file and its line were there."""
    names: dict[str, Any] = {}
    for path, registry, code in blocks():
        if registry:
            (line,) = eval(f"{{{code}}}", names).items()
            monkeypatch.setitem(getattr(import_module(module_name(path)), registry), *line)
            continue
        module = ModuleType(module_name(path))
        module.__package__ = module.__name__.rpartition(".")[0]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(code, path, "exec"), module.__dict__)
        names |= {module.__name__.rpartition(".")[2]: module, **vars(module)}


def targets_of(points: np.ndarray) -> tuple[torch.Tensor, Maps]:
    """Label ``(1, V, P, 3)`` of points in the input, and the ideal maps."""
    label = torch.from_numpy(np.concatenate([points, np.full((17, 5, 1), PRESENT)], -1))[None]
    return label, LandmarkCodec(load_config().codec).encode(label, SIZE).maps


def test_the_document_has_one_example_of_each_kind() -> None:
    assert [registry for _, registry, _ in blocks() if registry] == ["STRATEGIES", "DECODERS", "TERMS"]
    assert len(blocks()) == 6


def test_no_file_of_an_example_exists() -> None:
    """Else it would be no addition."""
    app = DOCUMENT.parent.parent / "apps" / "vertebra_landmarks"
    assert [(app / path).exists() for path, *_ in blocks()] == [False, True] * 3


def test_the_strategy_ranks_images_and_is_served() -> None:
    def descriptor(position: float) -> ImageDescriptor:
        return ImageDescriptor(
            0.1, 0.2, 0.0, 0, np.array([position, 1.0]), np.full((17, 2), position) * np.arange(17)[:, None]
        )

    pool = [descriptor(position) for position in (1.0, 9.0, 4.0)]
    assert STRATEGIES["farthest"].choose(pool, [descriptor(0.0)], 2) == [1, 2]
    served = all_strategies(lambda: "1")
    assert served["farthest"].description == "The image that resembles no labelled one"


def test_the_decoder_decodes_the_maps_of_a_phantom_and_can_be_asked_for() -> None:
    phantom = render_phantom(PhantomSpec(*SIZE, seed=3))
    _, ideal = targets_of(phantom.spine.xy)
    shuffled = ideal._replace(heatmap=ideal.heatmap[:, torch.randperm(17, generator=torch.Generator().manual_seed(0))])
    config = load_config()
    decoder = make_decoder("top_down", LandmarkCodec(config.codec), DEFAULT_PRIOR, config.map)
    np.testing.assert_allclose(decoder.decode(shuffled).xy, phantom.spine.xy, atol=1.0)
    assert InferRequest.parse({"decoder": "top_down"}).decoder == "top_down"
    assert decoders.DEFAULT_DECODER == "map"


def test_the_loss_trains_two_steps_of_a_toy_network(ladder: np.ndarray) -> None:
    """It starts from maps whose T8 is one and a half steps too low, and nothing but the new term is asked."""
    label, ideal = targets_of(ladder)
    config = load_config()
    criterion = LandmarkCriterion(LandmarkCodec(config.codec), config.loss)
    torch.manual_seed(0)
    network = torch.nn.Conv2d(17, 17, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    off = ideal.heatmap.clone()
    off[0, 7] = off[0, 7].roll(6, 0)
    values = []
    for _ in range(3):
        logits = network(20 * off) + 20 * off
        total, terms = criterion(Maps(logits, ideal.offset, ideal.corner_offset), label)
        values.append(terms["step_ratio"].item())
        weighted = sum(getattr(config.loss, f"{name}_weight", 1.0) * term for name, term in terms.items())
        torch.testing.assert_close(total, weighted)
        optimizer.zero_grad()
        terms["step_ratio"].backward()
        optimizer.step()
    assert list(terms) == list(TERMS)
    assert values[0] > values[1] > values[2] > 0
