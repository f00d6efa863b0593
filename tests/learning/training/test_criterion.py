"""The criterion: its terms together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, UNNAMED, LandmarkCodec
from lib.learning.config import load_config
from lib.learning.models.landmark_net import Maps
from lib.learning.training.criterion import LandmarkCriterion
from lib.learning.training.losses import anatomy_constraint_loss, soft_argmax

TERMS = ["heatmap", "unnamed", "anatomy", "offset", "corner"]


@pytest.fixture
def criterion() -> LandmarkCriterion:
    """The criterion of ``model.yaml``."""
    config = load_config()
    return LandmarkCriterion(LandmarkCodec(config.codec), config.loss)


@pytest.fixture
def label(ladder: np.ndarray) -> torch.Tensor:
    """``(1, 17, 5, 3)`` straight spine."""
    return torch.cat([torch.tensor(ladder, dtype=torch.float32), torch.ones(17, 5, 1)], -1)[None]


def test_the_criterion_of_an_ideal_prediction_is_zero(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    maps = criterion.codec.encode(label, (320, 128)).maps
    logits = torch.where(maps.heatmap == 1, 100.0, -100.0)
    total, terms = criterion(Maps(logits, maps.offset, maps.corner_offset), label)
    assert total.item() == 0
    assert {name: term.item() for name, term in terms.items()} == dict.fromkeys(TERMS, 0)


def test_the_criterion_is_the_weighted_sum_of_its_terms(label: torch.Tensor) -> None:
    config = load_config()
    weights = {"heatmap": 2.0, "unnamed": 3.0, "anatomy": 5.0, "offset": 7.0, "corner": 11.0}
    loss = dataclasses.replace(config.loss, **{f"{name}_weight": weight for name, weight in weights.items()})
    criterion = LandmarkCriterion(LandmarkCodec(config.codec), loss)
    maps = criterion.codec.encode(label, (320, 128)).maps
    logits = torch.where(maps.heatmap == 1, 100.0, -100.0)
    total, terms = criterion(Maps(logits, maps.offset + 0.5, maps.corner_offset - 0.25), label)
    assert (terms["offset"].item(), terms["corner"].item()) == (pytest.approx(0.5), pytest.approx(0.25))
    assert total.item() == pytest.approx(7 * 0.5 + 11 * 0.25)
    both = torch.cat([label, label])
    both[1, :, :, 2] = UNNAMED
    shapes = (2, 17, 80, 32), (2, 2, 80, 32), (2, 8, 80, 32)
    total, terms = criterion(Maps(*(torch.randn(shape) for shape in shapes)), both)
    assert all(term > 0 for term in terms.values())
    assert total.item() == pytest.approx(sum(weights[name] * term.item() for name, term in terms.items()))


def test_corners_of_each_image_count_by_its_weight(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    """Those of the first are off by 1, of the second by 3."""
    both = torch.cat([label, label])
    maps = criterion.codec.encode(both, (320, 128)).maps
    off = Maps(maps.heatmap, maps.offset + 1, maps.corner_offset + torch.tensor([1.0, 3])[:, None, None, None])
    plain, weighted = (criterion(off, both, weight)[1] for weight in (None, torch.tensor([1.0, 0.4])))
    assert plain["corner"].item() == pytest.approx(2.0)
    assert weighted["corner"].item() == pytest.approx((1 + 0.4 * 3) / 1.4)
    assert all(weighted[name].item() == plain[name].item() for name in TERMS if name != "corner")


def test_an_image_without_a_spine_teaches_only_the_heatmap(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    label[:] = ABSENT
    maps = [torch.zeros(1, c, 80, 32, requires_grad=True) for c in (17, 2, 8)]
    total, terms = criterion(Maps(*maps), label)
    total.backward()
    assert {name for name, term in terms.items() if term > 0} == {"heatmap"}
    assert all(m.grad is not None and torch.isfinite(m.grad).all() for m in maps)


def test_the_criterion_takes_half_precision_maps(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    maps = Maps(*(torch.zeros(1, c, 80, 32, dtype=torch.bfloat16) for c in (17, 2, 8)))
    total, _ = criterion(maps, label)
    assert total.dtype == torch.float32


def test_an_unnamed_image_teaches_all_but_names_and_anatomy(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    label[..., 2] = UNNAMED
    torch.manual_seed(0)
    maps = Maps(*(torch.randn(1, c, 80, 32, requires_grad=True) for c in (17, 2, 8)))
    terms = criterion(maps, label)[1]
    assert {name for name, term in terms.items() if term > 0} == {"unnamed", "offset", "corner"}
    order = torch.randperm(17)
    shuffled = criterion(maps._replace(heatmap=maps.heatmap[:, order]), label)[1]
    torch.testing.assert_close(shuffled["unnamed"], terms["unnamed"])


def test_the_anatomy_sees_only_centers_on_the_image(criterion: LandmarkCriterion, label: torch.Tensor) -> None:
    """The last channel points somewhere wild: nothing while its vertebra lies below the input, a lot as soon as not."""
    maps = criterion.codec.encode(label, (320, 128)).maps
    logits = torch.where(maps.heatmap == 1, 100.0, -100.0)
    logits[0, 16] = -100.0
    logits[0, 16, 0, 31] = 100.0
    prediction = Maps(logits, maps.offset, maps.corner_offset)
    assert criterion(prediction, label)[1]["anatomy"] > 0.1
    label[0, 16, :, 1] += 1000
    assert criterion(prediction, label)[1]["anatomy"] == 0


def test_a_single_heatmap_learns_from_named_and_unnamed_images(label: torch.Tensor) -> None:
    config = load_config()
    criterion = LandmarkCriterion(LandmarkCodec(config.codec), dataclasses.replace(config.loss, anatomy_weight=1.0))
    maps = criterion.codec.encode(label, (320, 128), channels=1).maps
    ideal = Maps(torch.where(maps.heatmap == 1, 100.0, -100.0), maps.offset, maps.corner_offset)
    assert criterion(ideal, label)[0].item() == 0
    torch.manual_seed(0)
    prediction = Maps(*(torch.randn(1, c, 80, 32, requires_grad=True) for c in (1, 2, 8)))
    unnamed = label.clone()
    unnamed[..., 2] = UNNAMED
    for given in (label, unnamed):
        total, terms = criterion(prediction, given)
        assert list(terms) == TERMS
        assert {name for name, term in terms.items() if term > 0} == {"heatmap", "offset", "corner"}
        total.backward()
        assert all(m.grad is not None and torch.isfinite(m.grad).all() for m in prediction)


def test_the_anatomy_is_measured_on_centers_of_the_configured_sharpness(label: torch.Tensor) -> None:
    config = load_config()
    maps = LandmarkCodec(config.codec).encode(label, (320, 128)).maps
    prediction = Maps(torch.where(maps.heatmap == 1, 0.0, -8.0), maps.offset, maps.corner_offset)
    terms = []
    for sharpness in (1.0, 2.0):
        loss = dataclasses.replace(config.loss, anatomy_sharpness=sharpness, anatomy_hinge=0.0)
        terms.append(LandmarkCriterion(LandmarkCodec(config.codec), loss)(prediction, label)[1]["anatomy"].item())
    centers = soft_argmax(prediction.heatmap, prediction.offset, 2.0)
    assert terms[1] == pytest.approx(anatomy_constraint_loss(centers, torch.ones(1, 17)).item())
    assert terms[0] != pytest.approx(terms[1], rel=0.01)
