"""Evaluation of predicted spines against labels: figures of a set of images in one flat table, and per image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..spine.geometry import centers_of, check_shape, corners_of
from ..spine.measurement.aasce_angles import angle_agreement, challenge_angles
from ..spine.measurement.anatomy import anatomy_counts, spans_of
from ..spine.measurement.angle_interval import interval_half_width
from ..spine.measurement.cobb import largest_curve
from ..spine.schema import CENTER, POINTS, VERTEBRAE
from .box_matching import box_figures, match_boxes
from .calibration import DECILES, Decile, calibrate, share_inside
from .metrics import corner_accuracy, distances, has_right_names, image_median, localisation, name_shift
from .tilts import tilt_figures

Figures = dict[str, float]


@dataclass(frozen=True)
class ImageFigures:
    """One image of a set; the fields are the columns of a table.

    Attributes:
        corner_mean_px: mean distance of the 68 corners from their labels, pixels of the original image.
        corner_median_px: median of the same.
        center_mean_px: mean distance of the 17 centers.
        expected_corner_px: mean expected error of the corners; ``None`` where not estimated.
        expected_center_px: mean expected error of the centers; ``None`` where not estimated.
        levels_off: number of levels that the names are off by, -2 to 2; positive where they lie too low.
        names_right: whether every predicted center lies nearer to its own label than to any other.
        angle1_deg: largest predicted angle by the rule of the challenge, degrees.
        angle2_deg: second angle.
        angle3_deg: third angle.
        reference1_deg: largest official angle; that of the labels by the same rule where there is no official one.
        reference2_deg: second angle likewise.
        reference3_deg: third angle likewise.
        angle1_error_deg: ``angle1_deg`` less ``reference1_deg``, negative where underestimated.
        curve_angle_deg: largest predicted clinical Cobb angle.
        curve_error_deg: the same less the label's largest clinical Cobb angle.
        curve_half_width_deg: half width of the 90 % interval of ``curve_angle_deg``; ``None`` where not estimated.
        angle_inside_interval: whether the label's angle lies in that interval; ``None`` where there is none.
    """

    corner_mean_px: float
    corner_median_px: float
    center_mean_px: float
    expected_corner_px: float | None
    expected_center_px: float | None
    levels_off: int
    names_right: bool
    angle1_deg: float
    angle2_deg: float
    angle3_deg: float
    reference1_deg: float
    reference2_deg: float
    reference3_deg: float
    angle1_error_deg: float
    curve_angle_deg: float
    curve_error_deg: float
    curve_half_width_deg: float | None
    angle_inside_interval: bool | None


def evaluate(
    predicted: np.ndarray, labelled: np.ndarray, sizes: np.ndarray, official: np.ndarray | None = None
) -> Figures:
    """Localisation, angles and anatomy of a set of images.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images, without NaN.
        labelled: ``(N, V, P, 2)`` pixels, without NaN.
        sizes: ``(N, 2)`` width and height of the original images.
        official: ``(N, 3)`` angles of the challenge in degrees; left out, those of the labels by the same rule.

    Returns:
        The fields of ``Localisation``, ``CornerAccuracy`` and ``AngleAgreement``; ``names_shifted_images``, the
        number of images of ``names_shifted``; ``center_image_median``, the median over images of the mean center
        distance, as ``image_median`` is of corners; ``curve_mae_deg``, the mean difference of the largest clinical Cobb
        angle from the labels'; the fields of ``TiltFigures`` as far as there is an image to measure them on; and the
        fields of ``AnatomyCounts`` of the predicted centers and, with ``corner_means_`` before them, of the means of
        the predicted corners, steps being compared with the labelled span. With official angles also the fields of
        ``AngleAgreement`` against the angles of the labels, ``labels_`` before them: where a label was corrected, its
        official angles were not.

    Raises:
        ValueError: a shape is wrong or there is no image.
    """
    predicted_corners, labelled_corners = corners_of(predicted), corners_of(labelled)
    localised = localisation(predicted, labelled)
    accuracy = corner_accuracy(predicted_corners, labelled_corners, sizes)  # these two check the shapes
    spans = spans_of(labelled[:, :, 0])
    angles, labels_angles = _challenge(predicted_corners, sizes), _challenge(labelled_corners, sizes)
    agreement = asdict(angle_agreement(angles, labels_angles if official is None else official))
    against_labels = {} if official is None else asdict(angle_agreement(angles, labels_angles))
    against_labels.pop("images", None)
    largest = [
        abs(largest_curve(p).angle_deg - largest_curve(q).angle_deg) for p, q in zip(predicted, labelled, strict=True)
    ]
    of_means = anatomy_figures(centers_of(predicted_corners), spans)
    return {
        **asdict(localised),
        "names_shifted_images": round(localised.names_shifted * len(predicted)),
        "center_image_median": image_median(distances(predicted[:, :, 0], labelled[:, :, 0])),
        **asdict(accuracy),
        **agreement,
        **{f"labels_{name}": value for name, value in against_labels.items()},
        "curve_mae_deg": float(np.mean(largest)),
        **{name: value for name, value in asdict(tilt_figures(predicted, labelled)).items() if not np.isnan(value)},
        **anatomy_figures(predicted[:, :, 0], spans),
        **{f"corner_means_{name}": value for name, value in of_means.items()},
        "images": len(predicted),
    }


def evaluate_each(
    predicted: np.ndarray,
    labelled: np.ndarray,
    sizes: np.ndarray,
    official: np.ndarray | None = None,
    errors: np.ndarray | None = None,
    tilt_half_widths: np.ndarray | None = None,
) -> tuple[ImageFigures, ...]:
    """Localisation, names and angles of every image of a set.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images, without NaN.
        labelled: ``(N, V, P, 2)`` pixels, without NaN.
        sizes: ``(N, 2)`` width and height of the original images.
        official: ``(N, 3)`` angles of the challenge in degrees; left out, those of the labels by the same rule.
        errors: ``(N, V, P)`` expected errors in pixels, NaN where not estimated; left out, none is.
        tilt_half_widths: ``(N, V)`` degrees, the share of each vertebra in the interval of an angle, NaN where not
            estimated; left out, none is.

    Returns:
        One entry per image, in order.

    Raises:
        ValueError: a shape is wrong, there is no image, or a point is not finite.
    """
    _check_shapes(predicted, labelled)
    if not len(predicted):
        raise ValueError("there is no image to compare")
    _check_finite("predicted", predicted)
    _check_finite("labelled", labelled)
    if sizes.shape != (len(predicted), 2):
        raise ValueError(f"sizes must have shape ({len(predicted)}, 2), got {sizes.shape}")
    angles = _challenge(corners_of(predicted), sizes)
    reference = _challenge(corners_of(labelled), sizes) if official is None else np.asarray(official, dtype=float)
    if reference.shape != angles.shape:
        raise ValueError(f"official must have shape {angles.shape}, got {reference.shape}")
    if errors is None:
        errors = np.full(predicted.shape[:-1], np.nan)
    if errors.shape != predicted.shape[:-1]:
        raise ValueError(f"errors must have shape {predicted.shape[:-1]}, got {errors.shape}")
    if tilt_half_widths is None:
        tilt_half_widths = np.full(predicted.shape[:2], np.nan)
    if tilt_half_widths.shape != predicted.shape[:2]:
        raise ValueError(f"tilt_half_widths must have shape {predicted.shape[:2]}, got {tilt_half_widths.shape}")
    return tuple(
        _of_one(*one) for one in zip(predicted, labelled, angles, reference, errors, tilt_half_widths, strict=True)
    )


def evaluate_partial(predicted: np.ndarray, labelled: np.ndarray) -> Figures:
    """Localisation on a set of images whose labels are a part of a spine; no angles, since these need all of it.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images, without NaN.
        labelled: ``(N, V, P, 2)`` pixels, NaN where there is no label; two neighbouring centers at least.

    Returns:
        The fields of ``Localisation`` that are known: without any labelled corner there is no error of corners.

    Raises:
        ValueError: a shape is wrong or there is no image.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(Mean of empty|All-NaN) slice")
        localised = asdict(localisation(predicted, labelled))
    return {name: value for name, value in localised.items() if not np.isnan(value)}


def evaluate_partial_each(
    predicted: np.ndarray, labelled: np.ndarray, errors: np.ndarray
) -> list[dict[str, float | bool | None]]:
    """The fields of ``ImageFigures`` that a part of a spine has, of every image; arguments as for ``evaluate_partial``.

    Args:
        predicted: see there.
        labelled: see there.
        errors: ``(N, V, P)`` expected errors in pixels, NaN where not estimated.
    """
    images = []
    for p, q, expected in zip(predicted, labelled, errors, strict=True):
        error = distances(p, q)
        corners, centers = error[:, 1:][~np.isnan(error[:, 1:])], error[:, 0][~np.isnan(error[:, 0])]
        known = ~np.isnan(expected).any()
        images.append(
            {
                "corner_mean_px": float(corners.mean()) if len(corners) else None,
                "corner_median_px": float(np.median(corners)) if len(corners) else None,
                "center_mean_px": float(centers.mean()),
                "expected_corner_px": float(expected[:, 1:].mean()) if known else None,
                "expected_center_px": float(expected[:, 0].mean()) if known else None,
                "levels_off": name_shift(p[:, 0], q[:, 0]),
                "names_right": has_right_names(p[:, 0], q[:, 0]),
            }
        )
    return images


def interval_figures(images: Sequence[ImageFigures]) -> Figures:
    """Coverage and width of the 90 % intervals of the largest clinical Cobb angle.

    Args:
        images: of a set; those without an interval do not count.

    Returns:
        ``angle_inside_interval``, a share in 0...1, and ``angle_half_width_deg``, the mean half width; the same over
        the images whose names are not off by a level, which the interval assumes, ``right_names_`` before them. Figures
        without any image are left out.
    """
    with_interval = [image for image in images if image.curve_half_width_deg is not None]
    figures: Figures = {}
    for prefix, part in (
        ("", with_interval),
        ("right_names_", [image for image in with_interval if image.levels_off == 0]),
    ):
        if part:
            errors = np.array([image.curve_error_deg for image in part])
            widths = np.array([image.curve_half_width_deg for image in part])
            figures[f"{prefix}angle_inside_interval"] = share_inside(errors, widths)
            figures[f"{prefix}angle_half_width_deg"] = float(widths.mean())
    return figures


def evaluate_boxes(predicted: np.ndarray, boxes: Sequence[np.ndarray]) -> Figures:
    """Matches of predicted centers with unnamed boxes, and the anatomy of the predictions.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images, without NaN.
        boxes: of each image ``(M, 2)`` middles of its boxes from top to bottom, pixels.

    Returns:
        The fields of ``BoxFigures``, and those of ``AnatomyCounts`` of the predicted centers and, with
        ``corner_means_`` before them, of the means of the predicted corners. Steps are compared with each spine's own
        span, since boxes do not tell T1 and L5.

    Raises:
        ValueError: a shape is wrong, a point is not finite, there is no image, or what ``match_boxes`` refuses.
    """
    check_shape("predicted", predicted, (len(VERTEBRAE), len(POINTS), 2))
    if predicted.ndim != 4 or len(predicted) != len(boxes):
        raise ValueError(f"predicted must have shape ({len(boxes)}, V, P, 2), got {predicted.shape}")
    _check_finite("predicted", predicted)
    centers, means = predicted[:, :, 0], centers_of(corners_of(predicted))
    matched = box_figures([match_boxes(spine, middles) for spine, middles in zip(centers, boxes, strict=True)])
    of_means = anatomy_figures(means, spans_of(means))
    return {
        **asdict(matched),
        **anatomy_figures(centers, spans_of(centers)),
        **{f"corner_means_{name}": value for name, value in of_means.items()},
    }


def anatomy_of_boxes(boxes: Sequence[np.ndarray]) -> Figures:
    """The fields of ``AnatomyCounts`` but the number of images, of the boxes themselves.

    Args:
        boxes: of each image ``(M, 2)`` middles from top to bottom, pixels. Only images with 17 boxes or more count,
            with their 17 lowest: of fewer the span is unknown. ``gaps`` tells their number.

    Raises:
        ValueError: there is no image.
    """
    centers = np.full((len(boxes), len(VERTEBRAE), 2), np.nan)
    for row, middles in zip(centers, boxes, strict=True):
        if len(middles) >= len(VERTEBRAE):
            row[:] = middles[-len(VERTEBRAE) :]
    return anatomy_figures(centers, spans_of(centers))


def calibrations(predicted: np.ndarray, labelled: np.ndarray, errors: np.ndarray) -> dict[str, tuple[Decile, ...]]:
    """Expected against observed errors by decile of the expected error, over all images of a set together.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images.
        labelled: ``(N, V, P, 2)`` pixels, NaN where there is no label.
        errors: ``(N, V, P)`` expected errors in pixels, NaN where not estimated.

    Returns:
        The deciles of "all" points, of "centers" and of "corners"; those are left out that have fewer than ten
        estimated errors with a label.

    Raises:
        ValueError: a shape is wrong, or an expected error is negative or infinite.
    """
    _check_shapes(predicted, labelled)
    if errors.shape != predicted.shape[:-1]:
        raise ValueError(f"errors must have shape {predicted.shape[:-1]}, got {errors.shape}")
    observed = distances(predicted, labelled)
    is_center = np.broadcast_to(np.array(POINTS) == CENTER, errors.shape)
    masks = {"all": np.ones_like(is_center), "centers": is_center, "corners": ~is_center}
    enough = {name: mask for name, mask in masks.items() if (~np.isnan(errors[mask] + observed[mask])).sum() >= DECILES}
    return {name: calibrate(errors[mask], observed[mask]) for name, mask in enough.items()}


def anatomy_figures(centers: np.ndarray, spans: np.ndarray) -> Figures:
    """The fields of ``AnatomyCounts`` but the number of images.

    Args:
        centers: ``(N, V, 2)`` pixels.
        spans: ``(N,)`` pixels that steps are compared with.

    Raises:
        ValueError: a shape is wrong or there is no image.
    """
    figures = asdict(anatomy_counts(centers, spans))
    del figures["images"]
    return figures


def _of_one(
    predicted: np.ndarray,
    labelled: np.ndarray,
    angles: np.ndarray,
    reference: np.ndarray,
    errors: np.ndarray,
    tilt_half_widths: np.ndarray,
) -> ImageFigures:
    error, is_center = distances(predicted, labelled), np.array(POINTS) == CENTER
    corner = error[:, ~is_center]
    largest = largest_curve(predicted)
    curve_error = largest.angle_deg - largest_curve(labelled).angle_deg
    width = interval_half_width(tilt_half_widths, largest.ends)
    has_interval = not np.isnan(width)
    return ImageFigures(
        corner_mean_px=float(corner.mean()),
        corner_median_px=float(np.median(corner)),
        center_mean_px=float(error[:, is_center].mean()),
        expected_corner_px=_mean_of_estimated(errors[:, ~is_center]),
        expected_center_px=_mean_of_estimated(errors[:, is_center]),
        levels_off=name_shift(predicted[:, 0], labelled[:, 0]),
        names_right=has_right_names(predicted[:, 0], labelled[:, 0]),
        angle1_deg=float(angles[0]),
        angle2_deg=float(angles[1]),
        angle3_deg=float(angles[2]),
        reference1_deg=float(reference[0]),
        reference2_deg=float(reference[1]),
        reference3_deg=float(reference[2]),
        angle1_error_deg=float(angles[0] - reference[0]),
        curve_angle_deg=largest.angle_deg,
        curve_error_deg=curve_error,
        curve_half_width_deg=width if has_interval else None,
        angle_inside_interval=abs(curve_error) <= width if has_interval else None,
    )


def _mean_of_estimated(errors: np.ndarray) -> float | None:
    estimated = errors[~np.isnan(errors)]
    return float(estimated.mean()) if len(estimated) else None


def _check_shapes(predicted: np.ndarray, labelled: np.ndarray) -> None:
    check_shape("predicted", predicted, (len(VERTEBRAE), len(POINTS), 2))
    if predicted.ndim != 4:
        raise ValueError(f"predicted must have shape (N, V, P, 2), got {predicted.shape}")
    if predicted.shape != labelled.shape:
        raise ValueError(f"predicted {predicted.shape} and labelled {labelled.shape} must have the same shape")


def _check_finite(name: str, points: np.ndarray) -> None:
    wrong = ~np.isfinite(points).all(axis=(1, 2, 3))
    if wrong.any():
        raise ValueError(f"image {int(wrong.argmax())} has a {name} point that is not finite")


def _challenge(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.stack([challenge_angles(c, float(height)) for c, (_, height) in zip(corners, sizes, strict=True)])
