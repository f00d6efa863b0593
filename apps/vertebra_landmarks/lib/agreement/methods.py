"""The methods paragraph of a study: what was done, of what is in the tables, with the sources."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .curve_matching import MIN_OVERLAP
from .model_spread import ANGLE, INSIDE, MIN_CLUSTERS, OUTSIDE, Spread
from .reliability import Estimate, Reliability
from .resampling import RESAMPLES
from .study_agreement import INTER, INTRA, LARGEST, MODEL, Agreement, Comparison

REFERENCES = (
    "Barnhart HX, Kosinski AS, Haber MJ. Assessing individual agreement. J Biopharm Stat 2007;17:697-719.",
    "Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of clinical measurement. "
    "Lancet 1986;i:307-310.",
    "Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of the binomial. "
    "Biometrika 1934;26:404-413.",
    "McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients. Psychol Methods "
    "1996;1:30-46.",
    "Obuchowski NA, Subhas N, Schoenhagen P. Testing for interchangeability of imaging tests. Acad Radiol "
    "2014;21:1483-1489.",
    "Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability. Psychol Bull 1979;86:420-428.",
    "Weir JP. Quantifying test-retest reliability using the intraclass correlation coefficient and the SEM. J Strength "
    "Cond Res 2005;19:231-240.",
)


def methods_text(found: Agreement, version: str) -> str:
    """Methods, main results and references as plain text.

    Args:
        found: what was done.
        version: of this program.
    """
    methods = " ".join([*_readings(found), *_measurement(version), *_statistics(found), *_model(found)])
    cited = [reference for reference in REFERENCES if reference.split(" ", 1)[0] in methods]
    title = "RESULTS (with 95 % intervals)"
    return "\n\n".join(["METHODS", methods, title, results_text(found), "REFERENCES", "\n".join(cited)]) + "\n"


def results_text(found: Agreement) -> str:
    """Main results, a sentence per line, and what limits them."""
    notes = ["", "Notes:", *found.notes] if found.notes else []
    return "\n".join([*(_results(found) or ["No comparison has enough images."]), *notes])


def _of_kind(found: Agreement, kind: str) -> list[Comparison]:
    return [comparison for comparison in found.comparisons if comparison.kind == kind]


def _images(comparisons: Sequence[Comparison]) -> int:
    return len({pair.first.image for comparison in comparisons for pair in comparison.pairs})


def _readings(found: Agreement) -> list[str]:
    inter, intra, model = (_of_kind(found, kind) for kind in (INTER, INTRA, MODEL))
    count = len(found.readers)
    sentences = [
        f"{_count(found.images, 'radiograph')} {'was' if found.images == 1 else 'were'} read by "
        f"{_count(count, 'reader')} ({', '.join(found.readers)}), who placed the four corners of each vertebral body "
        "from T1 to L5."
    ]
    sentences += found.left_out
    if inter:
        sentences.append(f"{_count(_images(inter), 'radiograph')} had readings of two readers or more.")
    if intra:
        repeats = sum(len(comparison.pairs) for comparison in intra)
        sentences.append(
            f"{_count(repeats, 'reading')} {'was' if repeats == 1 else 'were'} repeated by the same reader."
        )
    if model:
        sentences.append(
            f"The model ({found.model}) was compared with the readers on {_count(_images(model), 'image')}."
        )
    if inter or model:
        sentences.append("Where a reader had read an image more than once, the first reading was compared with others.")
    return sentences


def _measurement(version: str) -> list[str]:
    return [
        f"Cobb angles were calculated from the corners by Vertebra Landmarks {version}: end vertebrae are the most "
        "tilted ones, and the angle is that between the superior endplate of the upper and the inferior endplate of "
        "the lower end vertebra. The largest angle of each reading was compared, whatever its level, and of each "
        "region the largest curve that both readings have. Curves were taken for the same one where they bend to the "
        f"same side and the levels that both span are at least {100 * MIN_OVERLAP:.0f} % of those that either spans, "
        "in the pairing with the largest sum of these shares; the region is that of the larger one's apex."
    ]


def _statistics(found: Agreement) -> list[str]:
    sentences = [
        "Differences are given as bias with 95 % limits of agreement, each with its 95 % interval (Bland and Altman "
        "1986). Reliability is given as intraclass correlation of a single reading with 95 % interval (McGraw and Wong "
        "1996): two-way random effects with absolute agreement, ICC(2,1), where two readers have read the same images, "
        "and one-way random effects, ICC(1,1) (Shrout and Fleiss 1979). The standard error of measurement is the "
        "standard deviation within an image, with the interval of the chi-squared distribution; the minimal detectable "
        "change is 1.96 times the square root of 2 times as much (Weir 2005)."
    ]
    if "between readers" in found.overall:
        sentences.append(
            "Over all readers ICC(1,1) was calculated from the one-way analysis of variance of all images with two "
            "readings or more, with the mean number of readings where it differs."
        )
    if "between readers, images read by all" in found.overall:
        sentences.append("ICC(2,1) was also calculated of the images that all readers had read.")
    sentences.append(
        "Distances of corners are of the same bodies: where a reading named them a level higher or lower than the "
        "other, they were compared at the other's names, and the share of such images is given with its exact 95 % "
        f"interval (Clopper and Pearson 1934). Intervals of mean distances are percentiles of {RESAMPLES:,} bootstrap "
        f"samples of {_unit(found)}, or the interval of Student's t of the same {_unit(found)} where that is wider."
    )
    return sentences


def _unit(found: Agreement) -> str:
    has_patients = any(pair.first.patient for comparison in found.comparisons for pair in comparison.pairs)
    return "patients" if has_patients else "images"


def _model(found: Agreement) -> list[str]:
    if not found.spreads:
        return []
    sentences = [
        "For each image with two readers and the model, the mean distance of the readers from each other was "
        "subtracted from the mean distance of the model from the readers (Barnhart et al. 2007, Obuchowski et al. "
        "2014); the mean of these differences has such a 95 % interval, too."
    ]
    for one in found.spreads:
        if one.margin is not None:
            sentences.append(
                f"For the {_quantity(one)} the model was said to be inside the readers' spread where the upper end of "
                f"this interval is below a margin of {one.margin:g} {_unit_of(one)}, given {MIN_CLUSTERS} "
                f"{_unit(found)} at least."
            )
    return sentences


def _results(found: Agreement) -> list[str]:
    sentences = []
    for comparison in found.comparisons:
        figures = comparison.figures(LARGEST)
        if figures is not None:
            limits, reliability = figures
            sentences.append(
                f"{comparison.title} ({comparison.kind}, {limits.count} images): "
                f"bias {_text(limits.bias.value, 1)}°, limits of agreement {_text(limits.lower.value, 1)}° to "
                f"{_text(limits.upper.value, 1)}°, "
                f"{_reliability(reliability)}."
            )
    for what, reliability in found.overall.items():
        sentences.append(f"All readings {what} ({reliability.images} images): {_reliability(reliability)}.")
    for one in found.spreads:
        sentences.append(
            f"{_quantity(one).capitalize()}: the model is {one.model_to_reader.value:.2f} {_unit_of(one)} from a "
            f"reader in the mean, readers are {one.reader_to_reader.value:.2f} from each other; difference "
            f"{_interval(one.difference, 2)} on {_count(one.images, 'image')} ({_clusters(one)}){_verdict(one)}."
        )
    return sentences


def _reliability(found: Reliability) -> str:
    of_table = math.isfinite(found.icc_2_1.value)
    name, icc = ("ICC(2,1)", found.icc_2_1) if of_table else ("ICC(1,1)", found.icc_1_1)
    correlation = f"{name} {_interval(icc, 3)}, " if math.isfinite(icc.value) else ""
    return (
        f"{correlation}standard error of measurement {_interval(found.sem, 2)} degrees, minimal detectable change "
        f"{_text(found.mdc.value, 1)}°"
    )


def _interval(found: Estimate, digits: int) -> str:
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{_text(found.value, digits)} (no interval)"
    return f"{_text(found.value, digits)} ({_text(found.low, digits)} to {_text(found.high, digits)})"


def _text(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.0


def _clusters(one: Spread) -> str:
    """How many images stand for themselves, such as one of each patient."""
    return f"{one.clusters} independent" if one.clusters == one.images else f"of {_count(one.clusters, 'patient')}"


def _verdict(one: Spread) -> str:
    if one.margin is not None and one.clusters < MIN_CLUSTERS:
        return f": too few for a verdict, which needs {MIN_CLUSTERS} patients, or images where patients are not known"
    if one.verdict == INSIDE:
        return f": inside the readers' spread by the margin of {one.margin:g}"
    if one.verdict == OUTSIDE:
        return f": outside the readers' spread by the margin of {one.margin:g}"
    return f": neither inside nor outside the margin of {one.margin:g} is shown" if one.verdict else ""


def _quantity(one: Spread) -> str:
    return "largest angle" if one.quantity == ANGLE else "distance of corners"


def _unit_of(one: Spread) -> str:
    return "degrees" if one.quantity == ANGLE else "px"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
