"""Random views for the landmark network, whole batches at a time on a device.

The same kinds of views as ``random_views.training_transforms`` makes one by one, and more of what spoils radiographs:
scatter, faint ends, grid lines, low dose, implants, pen marks, shadows over bodies, missing ends.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from ....spine.geometry import mirrored_order
from ....spine.schema import POINTS
from ...codec import ABSENT, PRESENT, STATE, UNKNOWN, is_placed
from ...config import AugmentationConfig, InputConfig
from ...data.image_views import local_contrast
from . import photometry
from .affine import affine, after, inverse, linear, mirroring, moved, turned
from .image_bank import ImageBank
from .photometry import column
from .random_draws import BatchRandom

_TRIES = 5
_MIN_VISIBLE = 14
_DEEPEST = 6  # vertebrae that a deep cut may take
_REWINDOWED, _HAZED, _FADED, _LINED, _GRAINY = 0.5, 0.2, 0.1, 0.06, 0.12  # shares of the images
_SHADOWED, _IMPLANTED, _SCRIBBLED = 0.15, 0.08, 0.1
_GRAIN = 0.15
_DEFAULT_SPINE = ((0.5, 0.07), (0.5, 0.93))  # of width and height, of an image without one


class BatchViews:
    """Random views of the images of a bank.

    Args:
        bank: the images.
        labels: ``(N, V, P, 3)`` x, y, state in their pixels.
        config: size of the views.
        ranges: of the random changes.
        random: source of the random numbers.
    """

    def __init__(
        self,
        bank: ImageBank,
        labels: torch.Tensor,
        config: InputConfig,
        ranges: AugmentationConfig,
        random: BatchRandom,
    ) -> None:
        self.bank, self.config, self.ranges, self.random = bank, config, ranges, random
        self.labels = labels.to(bank.device, torch.float32)
        self.size = torch.tensor([config.width, config.height], device=bank.device, dtype=torch.float32)

    def __call__(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Views of images ``(B,)``: ``(B, 1, height, width)`` and labels ``(B, V, P, 3)`` in their pixels."""
        matrix, label, limits, is_whole = self.placed(index)
        size = self.config.height, self.config.width
        gray, places = self.bank.sample(index, inverse(matrix)[:, None], size)
        within = (
            (places >= limits[:, None, None, None, 0] - 0.5) & (places <= limits[:, None, None, None, 1] + 0.5)
        ).all(-1)
        images = torch.where(within, self._exposed(gray, within, label), self._surroundings(gray, is_whole))
        return self._processed(images), label

    def placed(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Random places of the views.

        Returns:
            Matrices ``(B, 2, 3)`` from pixels of the images to those of the views; labels ``(B, V, P, 3)`` in the
            latter, absent where they were cut off; what stays of the images, ``(B, 2, 2)`` smallest and largest x and
            y; and ``(B,)`` whether nothing was cut off, on black.
        """
        label, b = self.labels[index], len(index)
        sizes = self.bank.size_of(index).float()
        is_mirrored = self.random.chance(self.ranges.flip_probability, b)
        mirror = mirroring(sizes[:, 0], is_mirrored)
        label = _moved_label(mirror, label, is_mirrored)
        centers, is_there = self._centers(label, sizes)
        is_whole = self.random.chance(self.ranges.whole_probability, b)
        matrix = self._random_matrix(centers, is_there, sizes, is_whole)
        limits = self._random_cut(centers, is_there, sizes, is_whole)
        outside = ((label[:, :, 0, :STATE] < limits[:, None, 0]) | (label[:, :, 0, :STATE] > limits[:, None, 1])).any(
            -1
        )
        hidden = outside & (label[:, :, 0, STATE] != UNKNOWN)
        state = torch.where(hidden[..., None], ABSENT, label[..., STATE])
        label = torch.cat([moved(matrix[:, None, None], label[..., :STATE]), state[..., None]], -1)
        ends = moved(mirror[:, None], limits)  # in pixels of the image as it is stored
        limits = torch.stack([ends.amin(1), ends.amax(1)], 1)
        return after(matrix, mirror), label, limits, is_whole

    def _centers(self, label: torch.Tensor, sizes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``(B, V + 2, 2)`` centers and which of them there are; of an image with fewer than two the default ones."""
        there = is_placed(label[:, :, 0, STATE])
        default = sizes[:, None] * sizes.new_tensor(_DEFAULT_SPINE)
        is_bare = (there.sum(1) < 2)[:, None]
        centers = torch.cat([label[:, :, 0, :STATE], default], 1)
        return centers, torch.cat([there & ~is_bare, is_bare.expand(-1, 2)], 1)

    def _random_matrix(
        self, centers: torch.Tensor, is_there: torch.Tensor, sizes: torch.Tensor, is_whole: torch.Tensor
    ) -> torch.Tensor:
        """``(B, 2, 3)``: of several random views the first that shows enough of the spine, else the whole image."""
        random, ranges, b = self.random, self.ranges, len(centers)
        low, high = _extent(centers, is_there)
        count = is_there.sum(1)
        is_far = random.chance(ranges.far_probability, b, _TRIES) & ~is_whole[:, None]
        span = torch.where(
            is_far, random.uniform(*ranges.far_span, b, _TRIES), random.uniform(*ranges.near_span, b, _TRIES)
        )
        scale = span * self.config.height / (high - low)[:, None, 1].clamp(min=1.0)
        stretch = torch.exp(random.uniform(-1, 1, b, _TRIES) * ranges.stretch / 2)
        zero = torch.zeros_like(scale)
        turn = turned(random.uniform(-1, 1, b, _TRIES) * math.radians(ranges.rotation_deg))
        part = turn @ linear(scale * stretch, zero, zero, scale / stretch)  # (B, T, 2, 2)
        seen = (part[:, :, None] @ centers[:, None, :, :, None])[..., 0]  # (B, T, N, 2)
        low_seen, high_seen = _extent(seen, is_there[:, None].expand(-1, _TRIES, -1))
        extent = high_seen - low_seen
        body = extent[..., 1] / (count - 1).clamp(min=1)[:, None]
        free = self.size - 1 - extent - torch.stack([2 * body, body], -1)
        reach = free.abs() / 2 + ranges.shift * self.size
        middle = (self.size - 1) / 2 + random.uniform(-1, 1, b, _TRIES, 2) * reach
        shift = middle - (low_seen + high_seen) / 2
        places = seen + shift[:, :, None]
        inside = ((places >= 0) & (places <= self.size - 1)).all(-1) & is_there[:, None]
        enough = inside.sum(-1) >= count.clamp(max=_MIN_VISIBLE)[:, None]
        first = enough.float().argmax(1)
        rows = torch.arange(b, device=first.device)
        chosen = affine(part[rows, first], shift[rows, first])
        return torch.where(enough.any(1)[:, None, None], chosen, self._fitting(sizes))

    def _fitting(self, sizes: torch.Tensor) -> torch.Tensor:
        """``(B, 2, 3)`` that show whole images, centered."""
        scale = (self.size / sizes).amin(1)
        zero = torch.zeros_like(scale)
        shift = (self.size - sizes * scale[:, None]) / 2 + (scale[:, None] - 1) / 2
        return affine(linear(scale, zero, zero, scale), shift)

    def _random_cut(
        self, centers: torch.Tensor, is_there: torch.Tensor, sizes: torch.Tensor, is_whole: torch.Tensor
    ) -> torch.Tensor:
        """``(B, 2, 2)`` smallest and largest x and y of what stays of the images."""
        random, ranges, b = self.random, self.ranges, len(centers)
        whole = torch.stack([torch.zeros_like(sizes), sizes - 1], 1)
        low, high = _extent(centers, is_there)
        margin = (high - low)[:, 1] / (is_there.sum(1) - 1).clamp(min=1)
        inner = torch.stack([low - margin[:, None], high + margin[:, None]], 1)
        inner[:, 0, 1] += 0.4 * margin
        inner[:, 1, 1] -= 0.4 * margin
        room = torch.stack([inner[:, 0] - whole[:, 0], whole[:, 1] - inner[:, 1]], 1).clamp(min=0)
        taken = room * random.uniform(0, 1, b, 2, 2) * random.chance(ranges.cut_probability, b, 2, 2)
        limits = whole + taken * taken.new_tensor([1.0, -1.0])[:, None]
        is_deep = random.chance(ranges.deep_cut_probability, b)
        depth = random.uniform(0, 1, b).square() * _DEEPEST  # rarely many
        at_top = random.chance(0.5, b)
        upper = torch.where(is_deep & at_top, low[:, 1] + depth * margin, limits[:, 0, 1])
        lower = torch.where(is_deep & ~at_top, high[:, 1] - depth * margin, limits[:, 1, 1])
        limits = torch.stack([torch.stack([limits[:, 0, 0], upper], -1), torch.stack([limits[:, 1, 0], lower], -1)], 1)
        is_large = ((limits[:, 1] - limits[:, 0]) > 2 * margin[:, None]).all(1)
        return torch.where((is_large & ~is_whole)[:, None, None], limits, whole)

    def _exposed(self, gray: torch.Tensor, within: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Changes of the image itself: its window, scatter, faint ends, shadows and implants."""
        random, b = self.random, len(gray)
        gray = torch.where(column(random.chance(_REWINDOWED, b)), photometry.rewindowed(gray, within), gray)
        gray = self._with(gray, _HAZED, lambda part, _: photometry.hazed(part, random))
        gray = self._with(gray, _FADED, lambda part, _: photometry.faded_end(part, random))
        gray = self._with(gray, _SHADOWED, lambda part, which: self._shadowed(part, label[which]))
        return self._with(gray, _IMPLANTED, lambda part, which: self._implanted(part, label[which]))

    def _surroundings(self, gray: torch.Tensor, is_whole: torch.Tensor) -> torch.Tensor:
        """``(B, 1, h, w)`` for what lies outside: black, even, blurred tissue or clouds, now and then grainy."""
        random, b = self.random, len(gray)
        kind = random.whole(3, b)
        even = torch.where(kind == 0, 0.0, torch.where(kind == 1, random.uniform(0, 1, b), gray.mean((1, 2, 3))))
        tissue = F.adaptive_avg_pool2d(gray, (7, 5))
        coarse = torch.where(column(random.chance(0.5, b)), tissue, random.uniform(0, 1, b, 1, 7, 5))
        clouds = F.interpolate(coarse, size=gray.shape[-2:], mode="bicubic", align_corners=False)
        clouds = clouds + random.normal(*gray.shape) * column(random.uniform(0, 0.1, b))
        structured = column(random.chance(self.ranges.background_probability, b))
        around = torch.where(structured, clouds.clamp(0, 1), column(even))
        return torch.where(column(is_whole), 0.0, around)

    def _processed(self, images: torch.Tensor) -> torch.Tensor:
        """Changes of the whole view, surroundings included."""
        random, ranges, b = self.random, self.ranges, len(images)
        images = self._with(
            images,
            ranges.local_contrast_probability,
            lambda part, _: torch.lerp(part, local_contrast(part), column(random.uniform(0.3, 1.0, len(part)))),
        )
        images = self._with(images, _SCRIBBLED, lambda part, _: self._scribbled(part))
        gamma = torch.where(random.chance(0.7, b), random.uniform(*ranges.gamma, b), 1.0)
        images = photometry.gamma_changed(images, gamma)
        images = images * column(torch.where(random.chance(0.7, b), random.uniform(*ranges.contrast, b), 1.0))
        images = images + column(random.uniform(-1, 1, b) * ranges.brightness * random.chance(0.7, b))
        images = torch.where(column(random.chance(ranges.invert_probability, b)), 1.0 - images, images)
        images = self._with(
            images, 0.3, lambda part, _: photometry.blurred(part, random.uniform(0.2, ranges.blur_sigma, len(part)))
        )
        images = self._with(images, _LINED, lambda part, _: photometry.lined(part, random))
        images = self._with(images, _GRAINY, lambda part, _: photometry.grainy(part, random, _GRAIN))
        images = images + random.normal(*images.shape) * column(
            random.uniform(0, ranges.noise_std, b) * random.chance(0.5, b)
        )
        longest = round(0.25 * self.config.width)
        for _ in range(3):
            images = self._with(
                images, ranges.occlusion_probability / 1.5, lambda part, _: photometry.covered(part, random, 8, longest)
            )
        return images

    def _with(self, images: torch.Tensor, share: float, change: photometry.Change) -> torch.Tensor:
        """Images of which a share is changed."""
        return photometry.changed(images, self.random.some(share, len(images)), change)

    def _step(self, label: torch.Tensor) -> torch.Tensor:
        """``(B,)`` pixels between neighbouring centers."""
        there = is_placed(label[:, :, 0, STATE])
        low, high = _extent(label[:, :, 0, :STATE], there)
        return ((high - low)[:, 1] / (there.sum(1) - 1).clamp(min=1)).clamp(min=2.0)

    def _shadowed(self, images: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        random, b = self.random, len(images)
        step = self._step(label)
        chosen = label[torch.arange(b, device=label.device), random.whole(label.shape[1], b), 0, :STATE]
        places = chosen + random.normal(b, 2) * 0.4 * step[:, None]
        return photometry.shadowed(images, places[:, None], step * random.uniform(0.35, 1.0, b), random)

    def _implanted(self, images: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        random, b = self.random, len(images)
        known = (label[..., STATE] == PRESENT).all(-1)[..., None, None]
        corners = torch.where(known, label[:, :, 1:, :STATE], torch.nan)
        below = F.pad(corners.mean(2)[:, 1:], (0, 0, 0, 1), value=math.nan)
        segments, radius = photometry.implants(corners, below, random)
        flat = segments.flatten(1, 2)[:, None]
        radius = radius.repeat(1, segments.shape[1])
        return photometry.drawn(images, flat, radius, random.uniform(0.75, 1.0, b), random.uniform(0.6, 1.0, b))

    def _scribbled(self, images: torch.Tensor) -> torch.Tensor:
        random, b = self.random, len(images)
        segments = photometry.scribbles(random, b, self.config.height, self.config.width)
        radius = random.uniform(0.4, 1.2, b)[:, None].expand(-1, segments.shape[2])
        return photometry.drawn(images, segments, radius, random.uniform(0, 1, b), random.uniform(0.5, 1.0, b))


def mirrored_views(images: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Views ``(B, 1, h, w)`` and labels ``(B, V, P, 3)`` mirrored left to right."""
    width = torch.full((len(images),), float(images.shape[-1]), device=images.device)
    every = torch.ones(len(images), dtype=torch.bool, device=images.device)
    return images.flip(-1), _moved_label(mirroring(width, every), label, every)


def _moved_label(mirror: torch.Tensor, label: torch.Tensor, is_mirrored: torch.Tensor) -> torch.Tensor:
    """Labels under mirroring matrices ``(B, 2, 3)``: left corners become right corners."""
    order = list(mirrored_order(POINTS))
    label = torch.where(is_mirrored[:, None, None, None], label[:, :, order], label)
    return torch.cat([moved(mirror[:, None, None], label[..., :STATE]), label[..., STATE:]], -1)


def _extent(xy: torch.Tensor, is_there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest and largest x and y ``(..., 2)`` of the points ``(..., N, 2)`` that there are."""
    there = is_there[..., None]
    return torch.where(there, xy, torch.inf).amin(-2), torch.where(there, xy, -torch.inf).amax(-2)
