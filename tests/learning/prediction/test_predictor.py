"""From one radiograph to one spine."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lib.image_io import Radiograph, UnreadableImageError
from lib.learning.codec import PRESENT, LandmarkCodec, mirror_maps
from lib.learning.config import Config, CornerConfig, InputConfig, ModelConfig, NetworkConfig, load_config
from lib.learning.data.image_views import fitting_matrix
from lib.learning.decoders import DECODERS, FixedLandmarks
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet, Maps
from lib.learning.prediction.level_names import likeliest_naming
from lib.learning.prediction.network_runner import NetworkRunner
from lib.learning.prediction.network_view import NetworkView
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.prediction.refinement import Refinement
from lib.learning.prediction.request import PredictionCache, PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.prediction.timer import Timer
from lib.learning.uncertainty.error_correlation import ErrorCorrelations
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import ERRORS_MEASURED_ON, CornerWeights, save_weights
from lib.spine.geometry import with_centers
from lib.spine.measurement.angle_interval import READER_TILT_HALF_WIDTH_DEG
from lib.spine.schema import Spine

CPU = torch.device("cpu")
SMALL = dataclasses.replace(load_config(), network=NetworkConfig("tiny", 8), input=InputConfig(128, 64))


def noise(height: int, width: int) -> Radiograph:
    """An image of random gray values."""
    return Radiograph(np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8))


def write_network(path: Path, config: Config, bias: float) -> Path:
    """A weight file of a random network whose heatmaps all lie near one value."""
    torch.manual_seed(0)
    network = LandmarkNet(config.network)
    with torch.no_grad():
        network.heatmap[-1].weight.zero_()
        network.heatmap[-1].bias.fill_(bias)
    save_weights(path, network.state_dict(), config, {"fold": 2})
    return path


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> LandmarkPredictor:
    """A predictor that sees a spine everywhere."""
    return LandmarkPredictor(write_network(tmp_path_factory.mktemp("a") / "sure.pt", SMALL, 5.0), CPU)


def test_a_prediction_has_85_points_with_scores(sure: LandmarkPredictor) -> None:
    prediction = sure.predict(noise(400, 150))
    assert np.isfinite(prediction.spine.xy).all()
    expected = torch.tensor(5.0).sigmoid().item()
    visible = prediction.spine.visible
    np.testing.assert_allclose(prediction.spine.scores[visible], expected, atol=1e-3)
    assert (prediction.spine.scores[~visible] == 0).all()
    assert prediction.spine_score == pytest.approx(expected, abs=1e-3)
    assert set(prediction.seconds) == {"prepare", "forward", "decode"}
    assert all(s >= 0 for s in prediction.seconds.values())
    assert sure.facts == {"fold": 2}
    assert sure.config == ModelConfig(SMALL.network, SMALL.input, SMALL.codec)


def test_a_network_that_sees_nothing_finds_no_spine(tmp_path: Path) -> None:
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, -3.0), CPU)
    with pytest.raises(NoSpineError, match=r"mean score of the 17 centers is 0\.05, at least 0\.\d\d is expected"):
        predictor.predict(noise(400, 150))


def test_locating_gives_the_likeliest_points_where_predicting_refuses(tmp_path: Path) -> None:
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, -3.0), CPU)
    located = predictor.locate(noise(400, 150))
    assert np.isfinite(located.spine.xy).all()
    assert located.spine_score == pytest.approx(0.047, abs=0.001)
    with pytest.raises(UnreadableImageError, match="are needed"):
        predictor.locate(noise(10, 10))


def test_locating_and_predicting_agree_on_a_spine(sure: LandmarkPredictor) -> None:
    radiograph = noise(400, 150)
    np.testing.assert_array_equal(sure.locate(radiograph).spine.xy, sure.predict(radiograph).spine.xy)


def test_the_threshold_is_the_one_of_the_app_not_of_the_weights(tmp_path: Path) -> None:
    """What counts as a spine can be tuned without training again."""
    stored = dataclasses.replace(SMALL, prediction=dataclasses.replace(SMALL.prediction, min_spine_score=1.0))
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", stored, 5.0), CPU)
    assert predictor.predict(noise(400, 150)).spine_score < 1.0


@pytest.mark.parametrize(("height", "width"), [(299, 299), (400, 31), (31, 400), (10, 10)])
def test_an_image_that_is_too_small_is_refused(sure: LandmarkPredictor, height: int, width: int) -> None:
    with pytest.raises(UnreadableImageError, match=f"the image has {width} x {height} pixels; at least 32 on"):
        sure.predict(noise(height, width))


@pytest.mark.parametrize(("height", "width"), [(300, 32), (32, 300)])
def test_an_image_of_the_least_size_is_taken(sure: LandmarkPredictor, height: int, width: int) -> None:
    assert np.isfinite(sure.predict(noise(height, width)).spine.xy).all()


@pytest.mark.parametrize("value", [0, 200])
def test_a_constant_image_is_refused(sure: LandmarkPredictor, value: int) -> None:
    with pytest.raises(UnreadableImageError, match="same value"):
        sure.predict(Radiograph(np.full((400, 150), value, np.uint16)))


def test_equal_images_give_equal_points_from_several_threads_too(sure: LandmarkPredictor) -> None:
    radiograph = noise(400, 150)
    before = radiograph.pixels.copy()
    first = sure.predict(radiograph)
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(sure.predict, [radiograph] * 8))
    for other in others:
        np.testing.assert_array_equal(other.spine.xy, first.spine.xy)
        assert other.spine_score == first.spine_score
    np.testing.assert_array_equal(radiograph.pixels, before)


class Oracle(nn.Module):
    """Answers with the ideal maps of known points in input pixels."""

    def __init__(self, codec: LandmarkCodec, xy: np.ndarray, height: int, width: int) -> None:
        super().__init__()
        label = np.concatenate([xy, np.full((17, 5, 1), PRESENT)], -1)
        self.maps = codec.encode(torch.from_numpy(label)[None], (height, width)).maps
        self.shape = (1, 1, height, width)

    def forward(self, image: torch.Tensor) -> Maps:
        """The same whatever the image, if it has the size of the input."""
        assert tuple(image.shape) == self.shape
        return Maps(torch.logit(self.maps.heatmap, 1e-4), self.maps.offset, self.maps.corner_offset)


@pytest.mark.parametrize(
    ("height", "width"), [(700, 300), (512, 256), (301, 97), (1000, 1000), (400, 640), (2364, 1078), (333, 61)]
)
def test_points_come_back_in_original_pixels(tmp_path: Path, ladder: np.ndarray, height: int, width: int) -> None:
    """The whole image fits into 512 x 256, centered with whole pixels of black; worked out here by hand."""
    config = dataclasses.replace(SMALL, input=InputConfig(512, 256))
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", config, 0.0), CPU)
    original = (ladder + 0.3) * (width / 100, height / 320)
    scale = min(512 / height, 256 / width)
    black = np.array([round((256 - width * scale) / 2), round((512 - height * scale) / 2)])
    in_input = (original + 0.5) * scale - 0.5 + black
    predictor.network = Oracle(predictor.codec, in_input, 512, 256)
    predictor.limits = dataclasses.replace(predictor.limits, mirror=False, second_look=False)
    spine = predictor.predict(noise(height, width)).spine
    np.testing.assert_allclose(spine.xy, original, atol=0.01)


def test_the_network_sees_the_image_where_the_points_are_mapped(tmp_path: Path) -> None:
    """A network that answers with the brightest place of its input, for images with one bright spot."""
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, 0.0), CPU)

    class Brightest(nn.Module):
        def forward(self, image: torch.Tensor) -> Maps:
            cells = nn.functional.avg_pool2d(image, 4)
            rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(64.0), indexing="ij")
            weight = image[0, 0] / image.sum()
            at = torch.stack([(weight * columns).sum(), (weight * rows).sum()])
            grid = torch.stack(torch.meshgrid(torch.arange(16), torch.arange(32), indexing="xy"))
            offset = (at[:, None, None] + 0.5) / 4 - 0.5 - grid
            logits = 20 * (cells / cells.max() - 0.5)
            return Maps(logits.expand(1, 17, -1, -1), offset[None], torch.zeros(1, 8, 32, 16))

    predictor.network = Brightest()
    predictor.limits = dataclasses.replace(predictor.limits, mirror=False, second_look=False)
    for height, width, x, y in ((600, 200, 60, 480), (300, 299, 222, 33), (350, 640, 111, 222)):
        rows, columns = np.mgrid[:height, :width]
        spot = np.hypot(columns - x, rows - y) < 15
        spine = predictor.predict(Radiograph(spot.astype(np.uint8) * 255), PredictionRequest("parallel")).spine
        # input pixels are up to ten original ones wide; the center of mass is good to a twentieth of one
        np.testing.assert_allclose(spine.xy[:, 0], np.tile([x, y], (17, 1)), atol=0.5)


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_bad_weight_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"^a\.pt: not a weight file"):
        LandmarkPredictor(tmp_path / "a.pt", CPU)


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    save_weights(tmp_path / "a.pt", {"x": torch.zeros(1)}, SMALL, {})
    with pytest.raises(ValueError, match=r"^a\.pt: the weights do not fit"):
        LandmarkPredictor(tmp_path / "a.pt", CPU)


def test_a_missing_weight_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LandmarkPredictor(tmp_path / "none.pt", CPU)


def test_scores_of_a_vertebra_are_the_ones_of_its_center(tmp_path: Path) -> None:
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, 0.0), CPU)

    class Graded(nn.Module):
        def forward(self, image: torch.Tensor) -> Any:
            logits = torch.logit(torch.linspace(0.1, 0.9, 17)).reshape(1, 17, 1, 1).expand(1, 17, 32, 16)
            return Maps(logits, torch.zeros(1, 2, 32, 16), torch.zeros(1, 8, 32, 16))

    predictor.network = Graded()
    predictor.limits = dataclasses.replace(predictor.limits, mirror=False)
    prediction = predictor.predict(noise(400, 150))
    assert isinstance(prediction.spine, Spine)
    expected = np.linspace(0.1, 0.9, 17)[:, None].repeat(5, 1)
    np.testing.assert_allclose(prediction.spine.scores, expected * prediction.spine.visible, atol=1e-5)
    assert prediction.spine_score == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(("mirror", "below"), [(True, 0.75), (False, 0.75), (True, 0.25)])
def test_where_a_look_is_not_sure_the_mirror_image_is_seen_too(tmp_path: Path, mirror: bool, below: float) -> None:
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, 0.0), CPU)
    predictor.limits = dataclasses.replace(predictor.limits, mirror=mirror, mirror_below=below)
    runner, image = predictor._runner(Timer()), noise(128, 64)
    plain = runner.show(image, np.eye(3)).maps
    mirrored = mirror_maps(runner.show(Radiograph(image.pixels[:, ::-1].copy()), np.eye(3)).maps)
    is_mean = mirror and below > 0.5  # which is the score of all cells
    for one, other in ((plain.corner_offset, mirrored.corner_offset), (plain.offset, mirrored.offset)):
        assert (float((one - other).abs().mean() / one.abs().mean()) < 0.03) == is_mean


class Looker(nn.Module):
    """Sees 17 bright bars one below the other, however large they are shown, and is surer of larger ones."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[float] = []

    def forward(self, image: torch.Tensor) -> Maps:
        """Ideal heatmaps of the bars, and where their corners are."""
        bright = image[0, 0] > 0.5
        rows = torch.nonzero(bright.any(1)).flatten()
        breaks = torch.nonzero(rows.diff() > 1).flatten() + 1
        bars = torch.tensor_split(rows, breaks)
        if len(bars) != 17:
            return Maps(torch.full((1, 17, 128, 64), -6.0), torch.zeros(1, 2, 128, 64), torch.ones(1, 8, 128, 64))
        label = np.zeros((17, 5, 3))
        label[..., 2] = PRESENT
        for v, bar in enumerate(bars):
            columns = torch.nonzero(bright[bar].any(0)).flatten()
            top, bottom, left, right = (float(x) for x in (bar[0], bar[-1], columns[0], columns[-1]))
            label[v, 1:, :2] = [[left, top], [right, top], [left, bottom], [right, bottom]]
            label[v, 0, :2] = label[v, 1:, :2].mean(0)
        self.spans.append(float(np.ptp(label[:, 0, 1])) / 512)
        maps = LandmarkCodec(load_config().codec).encode(torch.from_numpy(label)[None], (512, 256)).maps
        return maps._replace(heatmap=torch.logit(maps.heatmap * (0.5 + self.spans[-1] / 3), 1e-4))


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_the_second_look_sees_the_spine_larger_and_maps_it_back(tmp_path: Path, scale: float) -> None:
    """A small spine in a corner of a wide field of 1600 x 1300 pixels."""
    config = dataclasses.replace(SMALL, input=InputConfig(512, 256))
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", config, 0.0), CPU)
    looker = Looker()
    predictor.network = looker
    predictor.limits = dataclasses.replace(predictor.limits, mirror=False)
    pixels = np.zeros((1600, 1300), np.uint8)
    step = 20 * scale
    tops = (600 + step * np.arange(17)).round().astype(int)
    for y in tops:
        pixels[y : y + round(0.6 * step), 900 : 900 + round(step)] = 200
    prediction = predictor.predict(Radiograph(pixels))
    first, second = looker.spans
    assert first == pytest.approx(16 * step / 1300 * 256 / 512, rel=0.05)
    assert second == pytest.approx(predictor.limits.second_look_span, rel=0.03)
    middle = tops + (round(0.6 * step) - 1) / 2
    np.testing.assert_allclose(prediction.spine.xy[:, 0, 1], middle, atol=0.06 * step)
    np.testing.assert_allclose(prediction.spine.xy[:, 0, 0], 900 + (round(step) - 1) / 2, atol=0.06 * step)


def test_several_decoders_are_compared_on_the_same_maps(sure: LandmarkPredictor) -> None:
    radiograph = noise(400, 150)
    together = sure.compare(radiograph)
    assert set(together) == set(DECODERS)
    for name, prediction in together.items():
        assert prediction.decoder == name
        np.testing.assert_array_equal(prediction.spine.xy, sure.locate(radiograph, name).spine.xy)


def test_fixed_points_stay_bit_for_bit_in_pixels_of_the_image(sure: LandmarkPredictor) -> None:
    random = np.random.default_rng(0)
    fixed = FixedLandmarks.none()
    for v, p in ((0, 0), (5, 2), (5, 3), (16, 4), (9, 0)):
        fixed.xy[v, p] = random.uniform(0, 400, 2) / 3
    for name in DECODERS:
        xy = sure.predict(noise(400, 150), PredictionRequest(name, fixed)).spine.xy
        assert (xy[fixed.mask] == fixed.xy[fixed.mask]).all()


def test_a_fixed_point_says_that_there_is_a_spine(tmp_path: Path) -> None:
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, -3.0), CPU)
    fixed = FixedLandmarks.parse({"T7": {"center": [75.0, 200.0]}})
    assert predictor.predict(noise(400, 150), PredictionRequest(fixed=fixed)).spine["T7"].center is not None
    with pytest.raises(NoSpineError):
        predictor.predict(noise(400, 150), PredictionRequest(fixed=FixedLandmarks.none()))


class Spot(nn.Module):
    """Sees every vertebra in a cell of its own channel, ``(V, 2)`` x, y; says 0.5, and 0.1 everywhere else."""

    def __init__(self, cells: np.ndarray) -> None:
        super().__init__()
        self.heatmap = torch.full((1, 17, 32, 16), 0.1)
        for vertebra, (x, y) in enumerate(cells):
            self.heatmap[0, vertebra, y, x] = 0.5

    def forward(self, image: torch.Tensor) -> Maps:
        """The same whatever the image."""
        return Maps(torch.logit(self.heatmap), torch.zeros(1, 2, 32, 16), torch.zeros(1, 8, 32, 16))


CELLS = np.stack([np.tile([3, 7, 11], 6)[:17], np.arange(17) + 4], -1)


@pytest.fixture
def spotter(tmp_path: Path) -> LandmarkPredictor:
    """Looks once, at the whole image, and sees the vertebrae in ``CELLS``."""
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", SMALL, 0.0), CPU)
    predictor.network = Spot(CELLS)
    predictor.limits = dataclasses.replace(predictor.limits, mirror=False, second_look=False)
    return predictor


def in_image(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels of an image at the middles of cells, worked out by hand: the image fits into 128 x 64, centered."""
    scale = min(128 / height, 64 / width)
    black = np.array([round((64 - width * scale) / 2), round((128 - height * scale) / 2)])
    return ((cells + 0.5) * 4 - 0.5 - black + 0.5) / scale - 0.5


@pytest.mark.parametrize(("height", "width"), [(400, 200), (700, 300), (333, 333), (1200, 900)])
def test_scores_of_given_centers_are_those_of_their_cells(spotter: LandmarkPredictor, height: int, width: int) -> None:
    """Each channel has its score at its own center, and 0.1 where nothing is within a cell."""
    scores = spotter.scores_at(noise(height, width), in_image(CELLS, height, width))
    assert scores.shape == (17, 17)
    np.testing.assert_allclose(scores, np.where(np.eye(17), 0.5, 0.1), atol=1e-6)


@pytest.mark.parametrize("off", [(-1, 0), (1, 0), (0, -1), (1, 1), (2, 0), (0, -2)], ids=str)
def test_scores_are_taken_from_the_cells_around_a_center(spotter: LandmarkPredictor, off: tuple[int, int]) -> None:
    """A center is not labelled to the pixel: one cell off is as good, two are not."""
    scores = spotter.scores_at(noise(400, 200), in_image(CELLS + np.array(off), 400, 200))
    found = 0.5 if np.abs(off).max() == 1 else 0.1
    np.testing.assert_allclose(np.diag(scores), found, atol=1e-6)


def test_scores_belong_to_their_points_in_any_order_and_number(spotter: LandmarkPredictor) -> None:
    points = in_image(CELLS, 400, 200)
    for chosen in ([16, 3, 8], [5], [2, 2], []):
        scores = spotter.scores_at(noise(400, 200), points[np.array(chosen, dtype=int)])
        assert scores.shape == (17, len(chosen))
        np.testing.assert_allclose(scores, np.where(np.eye(17), 0.5, 0.1)[:, chosen], atol=1e-6)


def test_points_outside_the_view_have_score_zero(spotter: LandmarkPredictor) -> None:
    """The view is 200 x 400 px large; a cell is 12.5 px."""
    outside = [[-10.0, 100], [210, 100], [100, -10], [100, 410], [-1e6, 1e6], [1e6, 100]]
    inside = [[0.0, 0], [199, 0], [0, 399], [199, 399]]
    scores = spotter.scores_at(noise(400, 200), np.array(outside + inside))
    assert (scores[:, :6] == 0).all()
    np.testing.assert_allclose(scores[:, 6:], 0.1, atol=1e-6)


def test_scores_are_those_of_the_surer_look(tmp_path: Path) -> None:
    """Of 17 bars, shown larger in a second look that says more than the first, in pixels of the image."""
    config = dataclasses.replace(SMALL, input=InputConfig(512, 256))
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", config, 0.0), CPU)
    looker = Looker()
    predictor.network = looker
    predictor.limits = dataclasses.replace(predictor.limits, mirror=False)
    pixels = np.zeros((1600, 1300), np.uint8)
    tops = 600 + 50 * np.arange(17)
    for y in tops:
        pixels[y : y + 30, 900:950] = 200
    scores = predictor.scores_at(Radiograph(pixels), np.stack([np.full(17, 924.5), tops + 14.5], -1))
    first, second = looker.spans
    assert first < second
    np.testing.assert_allclose(np.diag(scores), 0.5 + second / 3, atol=0.01)
    assert (scores[~np.eye(17, dtype=bool)] < 0.5).all()


def test_a_single_heatmap_has_one_score_per_point(tmp_path: Path) -> None:
    """It knows no names, so there is nothing to ask it about them."""
    config = dataclasses.replace(SMALL, network=NetworkConfig("tiny", 8, heatmap_channels=1))
    predictor = LandmarkPredictor(write_network(tmp_path / "a.pt", config, 0.0), CPU)
    scores = predictor.scores_at(noise(400, 200), in_image(CELLS, 400, 200))
    assert scores.shape == (1, 17)
    with pytest.raises(ValueError, match=r"scores must have shape \(17, N\)"):
        likeliest_naming(scores)


def test_images_that_cannot_be_predicted_have_no_scores(spotter: LandmarkPredictor) -> None:
    with pytest.raises(UnreadableImageError, match="are needed"):
        spotter.scores_at(noise(10, 10), np.zeros((17, 2)))
    with pytest.raises(UnreadableImageError, match="same value"):
        spotter.scores_at(Radiograph(np.full((400, 150), 7, np.uint8)), np.zeros((17, 2)))


def test_asking_for_scores_leaves_image_and_points_alone(spotter: LandmarkPredictor) -> None:
    radiograph, points = noise(400, 200), in_image(CELLS, 400, 200)
    pixels, before = radiograph.pixels.copy(), points.copy()
    first = spotter.scores_at(radiograph, points)
    np.testing.assert_array_equal(spotter.scores_at(radiograph, points), first)
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    np.testing.assert_array_equal(points, before)


# --- with a second network ---

PATCH = CornerConfig(16, 24, 8.0, 4, 1)
MEASURED = ErrorModel(((0.01, 0.02), (0.5, 1.0)), ((0.01, 0.02), (0.5, 1.0)), 0.0, 0.0, 1.0, 2.0)
"""Errors are twice as large as said; names are right or wrong half and half where they do not lead at all."""


def with_second_network(
    folder: Path, errors: ErrorModel | None = None, facts: dict[str, Any] | None = None
) -> LandmarkPredictor:
    """Sees the vertebrae in ``CELLS`` of an image that fits; its second network is a random one."""
    torch.manual_seed(3)
    network = LandmarkNet(SMALL.network)
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, facts or {}, errors)
    save_weights(folder / "a.pt", network.state_dict(), SMALL, {}, refiner=refiner)
    predictor = LandmarkPredictor(folder / "a.pt", CPU)
    predictor.network = Spot(np.stack([np.full(17, 7), np.arange(17) + 7], -1))
    predictor.limits = dataclasses.replace(
        predictor.limits, mirror=False, second_look=False, refinement=True, refinement_reach=2.0
    )
    return predictor


class Bodies(Refinement):
    """A second network that shows bodies: its points, spread to boxes of 8 x 6 pixels."""

    BOX = np.array([[-4, -3], [4, -3], [-4, 3], [4, 3]])

    def _run(self, *arguments: Any) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
        points, errors, tokens = super()._run(*arguments)
        return with_centers(points[:, 1:] + self.BOX), errors, tokens


def with_bodies(folder: Path, errors: ErrorModel) -> LandmarkPredictor:
    """As ``with_second_network``, with bodies that a person could correct."""
    predictor = with_second_network(folder, errors)
    given = predictor.refinement
    assert given is not None
    predictor.refinement = Bodies(given.network, given.config, given.device)
    return predictor


def without(predictor: LandmarkPredictor, radiograph: Radiograph, decoder: str = "map") -> Prediction:
    """What it predicts without the corner network."""
    limits = predictor.limits
    predictor.limits = dataclasses.replace(limits, refinement=False)
    try:
        return predictor.predict(radiograph, PredictionRequest(decoder))
    finally:
        predictor.limits = limits


def test_a_second_network_moves_points_and_says_how_far_off_they_are(tmp_path: Path) -> None:
    predictor, radiograph = with_second_network(tmp_path), noise(400, 200)
    refined, plain = predictor.predict(radiograph), without(predictor, radiograph)
    assert set(refined.seconds) == {"prepare", "forward", "decode", "refine"}
    assert refined.raw_errors is not None
    assert refined.raw_errors.shape == (17, 5)
    assert (refined.raw_errors > 0).all()
    assert not np.allclose(refined.spine.xy, plain.spine.xy, atol=0.1)
    np.testing.assert_allclose(refined.spine.xy[:, 0], refined.spine.xy[:, 1:].mean(1), atol=1e-6)
    np.testing.assert_array_equal(refined.spine.scores, plain.spine.scores)
    assert refined.spine_score == plain.spine_score
    assert np.isnan(refined.spine.errors).all()  # nobody has measured what is said
    assert (refined.names_right, refined.tilt_half_widths) == (None, None)


def test_without_refinement_points_stay_as_decoded(tmp_path: Path) -> None:
    predictor, radiograph = with_second_network(tmp_path), noise(400, 200)
    plain = without(predictor, radiograph)
    assert set(plain.seconds) == {"prepare", "forward", "decode"}
    assert plain.raw_errors is None
    predictor.refinement = None
    np.testing.assert_array_equal(predictor.predict(radiograph).spine.xy, plain.spine.xy)
    column = in_image(np.stack([np.full(17, 7), np.arange(17) + 7], -1), 400, 200)[:, 0]
    np.testing.assert_allclose(plain.spine.xy[:, 0, 0], column, atol=1e-6)


def test_a_weight_file_without_a_second_network_is_not_refined(sure: LandmarkPredictor) -> None:
    prediction = sure.predict(noise(400, 150))
    assert sure.refinement is None
    assert prediction.raw_errors is None
    assert prediction.names_right is None


@pytest.mark.parametrize("errors", [None, MEASURED], ids=["said", "measured"])
def test_fixed_points_stay_bit_for_bit_whatever_the_second_network_says(
    tmp_path: Path, errors: ErrorModel | None
) -> None:
    predictor, radiograph = with_second_network(tmp_path, errors), noise(400, 200)
    decoded = without(predictor, radiograph).spine.xy
    random = np.random.default_rng(0)
    fixed = FixedLandmarks.none()
    for v, p in ((0, 0), (5, 2), (5, 3), (16, 4), (9, 0)):
        fixed.xy[v, p] = decoded[v, p] + random.uniform(-3, 3, 2) / 7
    predictions = predictor.compare(radiograph, fixed=fixed)
    assert set(predictions) == set(DECODERS)
    for prediction in predictions.values():
        assert (prediction.spine.xy[fixed.mask] == fixed.xy[fixed.mask]).all()
        moved = prediction.spine.xy != decoded
        assert moved[~fixed.mask].any()


def test_patches_are_laid_around_fixed_centers(tmp_path: Path) -> None:
    """A center that someone has moved is where the second network looks for its corners."""
    predictor, radiograph = with_second_network(tmp_path), noise(400, 200)
    laid: list[np.ndarray] = []

    class Watched(Refinement):
        def refine(self, pixels: np.ndarray, xy: np.ndarray, *rest: Any) -> Any:
            laid.append(xy[:, 0].copy())
            return super().refine(pixels, xy, *rest)

    given = predictor.refinement
    assert given is not None
    predictor.refinement = Watched(given.network, given.config, given.device)
    fixed = FixedLandmarks.none()
    fixed.xy[8, 0] = without(predictor, radiograph).spine.xy[8, 0] + (4.0, 1.0)
    predictor.predict(radiograph, PredictionRequest(fixed=fixed))
    np.testing.assert_array_equal(laid[-1][8], fixed.xy[8, 0])


@pytest.mark.parametrize("errors", [None, MEASURED], ids=["said", "measured"])
def test_vertebrae_in_one_place_are_not_refined(tmp_path: Path, errors: ErrorModel | None) -> None:
    """As on an image of noise, where all channels answer in the same cell."""
    predictor, radiograph = with_second_network(tmp_path, errors), noise(400, 200)
    predictor.network = Spot(np.full((17, 2), 7))
    prediction = predictor.predict(radiograph, PredictionRequest("parallel"))
    np.testing.assert_array_equal(prediction.spine.xy, without(predictor, radiograph, decoder="parallel").spine.xy)
    assert np.isnan(prediction.spine.errors).all()
    assert (prediction.raw_errors, prediction.names_right, prediction.tilt_half_widths) == (None, None, None)


def test_what_is_refused_is_not_refined_and_what_is_compared_is(tmp_path: Path) -> None:
    """An image that the model finds no spine in counts in an evaluation, and with refined corners."""
    predictor, radiograph = with_second_network(tmp_path), noise(400, 200)
    asked: list[np.ndarray] = []

    class Watched(Refinement):
        def refine(self, pixels: np.ndarray, xy: np.ndarray, *rest: Any) -> Any:
            asked.append(xy)
            return super().refine(pixels, xy, *rest)

    given = predictor.refinement
    assert given is not None
    predictor.refinement = Watched(given.network, given.config, given.device)
    predictor.limits = dataclasses.replace(predictor.limits, min_spine_score=0.9)
    with pytest.raises(NoSpineError, match=r"is 0\.50, at least 0\.90 is expected"):
        predictor.predict(radiograph)
    assert not asked
    assert predictor.locate(radiograph).raw_errors is not None
    fixed = FixedLandmarks.none()
    fixed.xy[8, 0] = asked[0][8, 0]
    assert predictor.predict(radiograph, PredictionRequest(fixed=fixed)).raw_errors is not None
    assert len(asked) == 3  # free at first, then around what is fixed


def test_a_fixed_center_is_looked_at_and_kept_amid_its_corners(tmp_path: Path) -> None:
    predictor, radiograph = with_second_network(tmp_path, MEASURED), noise(400, 200)
    fixed = FixedLandmarks.none()
    fixed.xy[8, 0] = without(predictor, radiograph).spine.xy[8, 0] + (4.0, 1.0)
    for prediction in predictor.compare(radiograph, fixed=fixed).values():
        assert (prediction.spine.xy[8, 0] == fixed.xy[8, 0]).all()
        off = np.linalg.norm(prediction.spine.xy[8, 1:].mean(0) - fixed.xy[8, 0])
        assert off <= 0.15 * 12.5  # steps, of four cells of 3.125 px
        assert np.isnan(prediction.spine.errors[8, 0])
        assert (prediction.spine.errors[8, 1:] > 0).all() == (prediction.decoder == "map")


def test_a_center_that_follows_from_four_fixed_corners_has_no_expected_error(tmp_path: Path) -> None:
    predictor, radiograph = with_second_network(tmp_path, MEASURED), noise(400, 200)
    fixed = FixedLandmarks.none()
    fixed.xy[8, 1:] = predictor.predict(radiograph).spine.xy[8, 1:] + (2.0, 1.0)
    fixed.xy[4, 1:4] = predictor.predict(radiograph).spine.xy[4, 1:4]
    prediction = predictor.predict(radiograph, PredictionRequest(fixed=fixed))
    np.testing.assert_array_equal(prediction.spine.xy[8, 0], fixed.xy[8, 1:].mean(0))
    np.testing.assert_array_equal(np.isnan(prediction.spine.errors), fixed.determined)
    assert fixed.determined.sum() == 8
    assert prediction.tilt_half_widths is not None
    assert prediction.tilt_half_widths[8] == READER_TILT_HALF_WIDTH_DEG


def test_measured_errors_are_given_for_every_point_that_is_not_fixed(tmp_path: Path) -> None:
    predictor, radiograph = with_second_network(tmp_path, MEASURED), noise(400, 200)
    plain = predictor.predict(radiograph)
    assert plain.raw_errors is not None
    assert plain.names_right is not None
    assert plain.tilt_half_widths is not None
    assert plain.tilt_half_widths.shape == (17,)
    assert plain.names_right == pytest.approx(1 - MEASURED.misnamed(plain.naming_lead))
    np.testing.assert_allclose(plain.spine.errors, 2 * plain.raw_errors, rtol=1e-6)
    fixed = FixedLandmarks.none()
    fixed.xy[3, 1] = plain.spine.xy[3, 1]
    told = predictor.predict(radiograph, PredictionRequest(fixed=fixed))
    assert told.raw_errors is not None
    assert np.isnan(told.spine.errors[3, 1])
    np.testing.assert_allclose(told.spine.errors[~fixed.mask], 2 * told.raw_errors[~fixed.mask], rtol=1e-6)


@pytest.mark.parametrize("measured_with", ["map", "parallel"])
def test_errors_names_and_angles_are_told_of_the_decoder_that_they_were_measured_with(
    tmp_path: Path, measured_with: str
) -> None:
    facts = {} if measured_with == "map" else {ERRORS_MEASURED_ON: {"decoder": measured_with}}
    predictor = with_second_network(tmp_path, MEASURED, facts)
    for name, prediction in predictor.compare(noise(400, 200)).items():
        told = prediction.names_right is not None, prediction.tilt_half_widths is not None
        assert told == (name == measured_with,) * 2
        assert np.isfinite(prediction.spine.errors).all() == np.isfinite(prediction.spine.errors).any() == told[0]
        assert prediction.raw_errors is not None


def test_a_fixed_center_settles_the_names_and_fixed_corners_do_not(tmp_path: Path) -> None:
    """A corner is put right on bodies of any name; one on the body below moves the names, which is no more certain."""
    model = dataclasses.replace(MEASURED, naming_floor=0.25)
    predictor, radiograph, cache = with_second_network(tmp_path, model), noise(400, 200), PredictionCache()
    found = predictor.predict(radiograph, PredictionRequest(cache=cache)).spine.xy
    for points, body, settled in (([1], 3, 0), ([1], 4, 0), ([1, 2, 3, 4], 3, 0), ([0], 3, 1), ([0, 1], 4, 1)):
        fixed = FixedLandmarks.none()
        fixed.xy[3, points] = found[body, points]
        told = predictor.predict(radiograph, PredictionRequest(fixed=fixed, cache=cache))
        assert told.names_right == (1.0 if settled else pytest.approx(1 - model.misnamed(told.naming_lead)))


def test_a_second_network_gives_the_same_from_several_threads(tmp_path: Path) -> None:
    predictor, radiograph = with_second_network(tmp_path), noise(400, 200)
    first = predictor.predict(radiograph)
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(predictor.predict, [radiograph] * 6))
    for other in others:
        np.testing.assert_array_equal(other.spine.xy, first.spine.xy)
        np.testing.assert_array_equal(other.raw_errors, first.raw_errors)


TOGETHER = ErrorCorrelations.from_dict(
    {"reaches": [3.0], "covariances": [np.kron(np.ones((4, 4)), np.eye(2)).tolist()]}
)


def test_a_correction_with_what_was_seen_is_the_same_and_asks_the_first_network_nothing(tmp_path: Path) -> None:
    predictor, radiograph = with_bodies(tmp_path, MEASURED), noise(400, 200)
    first = predictor.network
    looks: list[torch.Tensor] = []

    class Counted(nn.Module):
        def forward(self, image: torch.Tensor) -> Maps:
            looks.append(image)
            answer: Maps = first(image)
            return answer

    predictor.network = Counted()
    cache = PredictionCache()
    predictor.run_network(radiograph, cache)
    free = predictor.predict(radiograph, PredictionRequest(cache=cache))
    assert len(looks) == 1
    fixed = FixedLandmarks.none()
    fixed.xy[8, 2] = free.spine.xy[8, 2] + (1.0, 0.5)
    for _ in range(2):
        quick = predictor.predict(radiograph, PredictionRequest(fixed=fixed, cache=cache))
        assert len(looks) == 1
        assert "forward" not in quick.seconds
        np.testing.assert_array_equal(np.delete(quick.spine.xy, 8, 0), np.delete(free.spine.xy, 8, 0))
        np.testing.assert_array_equal(quick.raw_errors, free.raw_errors)
    alone = predictor.predict(radiograph, PredictionRequest(fixed=fixed))
    assert len(looks) == 2
    np.testing.assert_array_equal(alone.spine.xy, quick.spine.xy)


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LandmarkPredictor, list[FixedLandmarks]]:
    """A predictor that sees the left half of an image, and all of it for the sake of fixed points, which are noted."""
    predictor, asked = with_second_network(tmp_path), []
    best_view = NetworkRunner.best_view

    def noted(runner: NetworkRunner, upright: Radiograph, coarse: NetworkView, fixed: FixedLandmarks) -> NetworkView:
        view = best_view(runner, upright, coarse, fixed)
        asked.append(fixed)
        whole = fitting_matrix(upright.height, upright.width, predictor.config.input)
        return dataclasses.replace(view, matrix=whole if fixed.mask.any() else np.diag([2.0, 1.0, 1.0]) @ whole)

    monkeypatch.setattr(NetworkRunner, "best_view", noted)
    return predictor, asked


def fixed_at(*points: tuple[int, int, float, float]) -> FixedLandmarks:
    fixed = FixedLandmarks.none()
    for v, p, x, y in points:
        fixed.xy[v, p] = (x, y)
    return fixed


INSIDE, INSIDE_TOO, BESIDE = (3, 1, 20.0, 100.0), (12, 2, 30.0, 300.0), (8, 0, 190.0, 200.0)


def test_a_point_outside_the_view_is_looked_for_once(
    narrow: tuple[LandmarkPredictor, list[FixedLandmarks]],
) -> None:
    """Beside it all else is seen again, since the spine may lie elsewhere."""
    (predictor, asked), radiograph = narrow, noise(400, 200)
    cache = PredictionCache()
    predictor.predict(radiograph, PredictionRequest(fixed=fixed_at(INSIDE), cache=cache))
    assert len(asked) == 1
    for points in ((BESIDE,), (INSIDE, BESIDE), (INSIDE, INSIDE_TOO, BESIDE), ((8, 0, 191.0, 201.0),)):
        predictor.predict(radiograph, PredictionRequest(fixed=fixed_at(*points), cache=cache))
        assert len(asked) == 2
    assert np.argwhere(asked[1].mask).tolist() == [[8, 0]]
    predictor.predict(radiograph, PredictionRequest(fixed=fixed_at((8, 0, 190.0, 20.0)), cache=cache))
    assert len(asked) == 3


def test_a_point_beside_the_image_is_looked_for_once(
    narrow: tuple[LandmarkPredictor, list[FixedLandmarks]],
) -> None:
    (predictor, asked), radiograph = narrow, noise(400, 200)
    cache = PredictionCache()
    for x in (230.0, 230.0, 260.0):
        found = predictor.predict(radiograph, PredictionRequest(fixed=fixed_at((8, 0, x, -40.0)), cache=cache))
        assert tuple(found.spine.xy[8, 0]) == (x, -40.0)
    predictor.predict(radiograph, PredictionRequest(fixed=fixed_at((8, 0, 50.0, -40.0)), cache=cache))
    assert len(asked) == 2


def test_what_is_predicted_does_not_depend_on_what_was_asked_before(
    narrow: tuple[LandmarkPredictor, list[FixedLandmarks]],
) -> None:
    (predictor, _), radiograph = narrow, noise(400, 200)
    wishes = [
        (),
        (BESIDE,),
        (INSIDE,),
        (),
        (INSIDE, BESIDE),
        ((8, 0, 190.0, 20.0),),
        ((8, 0, 190.0, 390.0),),
        (BESIDE,),
    ]
    cache = PredictionCache()
    for wish in wishes:
        kept = predictor.predict(radiograph, PredictionRequest(fixed=fixed_at(*wish), cache=cache))
        alone = predictor.predict(radiograph, PredictionRequest(fixed=fixed_at(*wish)))
        np.testing.assert_array_equal(kept.spine.xy, alone.spine.xy)
        assert kept.spine_score == alone.spine_score


@pytest.mark.parametrize("propagation", [True, False])
def test_free_corners_follow_the_error_of_a_fixed_one(tmp_path: Path, propagation: bool) -> None:
    model = dataclasses.replace(MEASURED, correlations=TOGETHER)
    predictor, radiograph = with_bodies(tmp_path, model), noise(400, 200)
    predictor.limits = dataclasses.replace(predictor.limits, propagation=propagation)
    free = predictor.predict(radiograph)
    fixed = FixedLandmarks.none()
    fixed.xy[8, 2] = free.spine.xy[8, 2] + (0.5, 0.3)
    corrected = predictor.predict(radiograph, PredictionRequest(fixed=fixed))
    assert (corrected.spine.xy[8, 2] == fixed.xy[8, 2]).all()
    follow = (corrected.spine.xy - free.spine.xy)[[7, 8, 9], 1] @ (0.5, 0.3) > 0.05
    assert follow.all() == follow.any() == propagation
    smaller = corrected.spine.errors[9, 1:] < 0.95 * free.spine.errors[9, 1:]
    assert smaller.all() == smaller.any() == propagation
    np.testing.assert_array_equal(predictor.predict(radiograph).spine.xy, free.spine.xy)
