"""Dropout by sample, and the self-attention that uses it."""

from __future__ import annotations

import pytest
import torch

from lib.learning.models import attention
from lib.learning.models.attention import ContextLayer
from lib.learning.models.dropout import SampleDropout, dropout, sample_noise

CPU = torch.device("cpu")


def test_noise_belongs_to_the_sample() -> None:
    x = torch.ones(3, 40, 50)
    with sample_noise([7, 8, 9], CPU):
        together = dropout(x, 0.2), dropout(x, 0.2)
    for number in range(3):
        with sample_noise([7 + number], CPU):
            alone = dropout(x[:1], 0.2), dropout(x[:1], 0.2)
        for one, of_all in zip(alone, together, strict=True):
            assert torch.equal(one[0], of_all[number])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(together[0][0], together[0][1])
    assert set(together[0].unique().tolist()) == {0.0, 1.25}
    assert together[0].mean() == pytest.approx(1.0, abs=0.03)


def test_a_layer_drops_in_training_only() -> None:
    layer, x = SampleDropout(0.5), torch.ones(2, 1000)
    assert 0.3 < (layer(x) == 0).float().mean() < 0.7
    assert torch.equal(layer.eval()(x), x)


def test_every_sample_needs_a_seed() -> None:
    with sample_noise([1], CPU), pytest.raises(ValueError, match="a seed for each of the 2 samples of a batch, got 1"):
        dropout(torch.ones(2, 3), 0.1)


def test_self_attention_without_noise_is_the_same_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs and gradients, with and without tokens that are ignored."""
    monkeypatch.setattr(attention, "_DROPOUT", 0.0)
    torch.manual_seed(0)
    layer = ContextLayer(8).double()
    for part in layer.parameters():
        torch.nn.init.normal_(part)
    x, position = torch.randn(2, 5, 8, dtype=torch.float64), torch.randn(5, 8, dtype=torch.float64)
    is_ignored = torch.zeros(2, 5, dtype=torch.bool)
    is_ignored[1, 3:] = True
    for ignored in (None, is_ignored):
        results = []
        for is_training in (True, False):
            layer.train(is_training).zero_grad()
            y = layer(x, position, ignored)
            y.square().sum().backward()
            results.append([y, *(part.grad.clone() for part in layer.parameters() if part.grad is not None)])
        assert len(results[0]) == len(results[1]) == 1 + len(list(layer.parameters()))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
