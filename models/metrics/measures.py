"""Registry of the measures of `zoetrope evaluate`: definition, direction, and deviation from the published code.

A measure of single animations is a column of the dataset. A measure of a set is a Fréchet distance between the features
of all animations of a model and those of their truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Better = Literal["higher", "lower", "truth"]
"""Direction of a measure; "truth": the nearer to the truth's value, the better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A measure of one animation against its truth.

    Args:
        name: column of the dataset.
        title: name in tables, as papers write it.
        unit: unit of the value; empty for a number without one.
        better: which values are better.
        stage: stage that computes it.
        definition: computation, and who published it.
        deviation: difference from the published code; empty if there is none.
        has_truth: whether the column `<name>_truth` holds the same of the true frames.
    """

    name: str
    title: str
    unit: str = ""
    better: Better
    stage: str
    definition: str
    deviation: str = ""
    has_truth: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SetMeasure:
    """A Fréchet distance between two sets of features.

    Args:
        name: name in tables and job files; the features are in the columns `<name>_features` (animations) and
            `<name>_truth_features`, each (N, D) float32.
        title: name in tables, as papers write it.
        stage: stage that computes the features.
        ddof: delta degrees of freedom of the covariance: 1 divides by N - 1, 0 by N.
        definition, deviation: as in `Measure`.
    """

    name: str
    title: str
    stage: str
    ddof: int
    definition: str
    deviation: str = ""


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        measure.name: measure
        for measure in (
            Measure(
                name="psnr_db",
                title="PSNR*",
                unit="dB",
                better="higher",
                stage="pixels",
                definition="Mean over frames of 10 · log10(255² / mean squared error) in float64; identical frames "
                "count as 100 dB. The corrected PSNR of DisCo, PSNR* in papers.",
            ),
            Measure(
                name="psnr_wrapped_db",
                title="PSNR (wrapped)",
                unit="dB",
                better="higher",
                stage="pixels",
                definition="PSNR of DisCo before commit 6190108: differences and their squares wrap around in uint8, "
                "which overstates the PSNR of most frames by several dB. Only for comparison with papers that report "
                "it.",
            ),
            Measure(
                name="ssim",
                title="SSIM",
                better="higher",
                stage="pixels",
                definition="Mean over frames of the structural similarity of grey frames, uniform 7 × 7 window, as "
                "scikit-image computes it by default and DisCo reports it. None for frames below 7 pixels.",
            ),
            Measure(
                name="l1_disco",
                title="L1 (DisCo)",
                better="lower",
                stage="pixels",
                definition="Mean over frames of the mean absolute difference of levels 0–255, divided by height × "
                "width, as in DisCo. It depends on the resolution: compare only values of one size.",
            ),
            Measure(
                name="l1",
                title="L1 / 255",
                better="lower",
                stage="pixels",
                definition="Mean absolute difference of levels, divided by 255. Independent of the resolution.",
            ),
            Measure(
                name="lpips_disco",
                title="LPIPS (DisCo)",
                better="lower",
                stage="lpips",
                definition="LPIPS 0.1 with VGG-16, mean over frames, fed with values in [0, 1] as in DisCo; the "
                "network expects [-1, 1].",
            ),
            Measure(
                name="lpips",
                title="LPIPS",
                better="lower",
                stage="lpips",
                definition="LPIPS 0.1 with VGG-16, mean over frames, fed with values in [-1, 1] as its authors do.",
            ),
            Measure(
                name="pck",
                title="PCK@0.1",
                better="higher",
                stage="keypoints",
                definition="Share of the true frames' keypoints that the pose network finds in the animation within "
                "0.1 of the character's size, the longer side of the box around the true frame's keypoints.",
            ),
            Measure(
                name="keypoint_distance",
                title="key point distance",
                better="lower",
                stage="keypoints",
                definition="Mean distance of these keypoints, relative to the character's size and at most 1, "
                "which is also the distance of a keypoint that is not found in the animation.",
            ),
            Measure(
                name="face_exp",
                title="Face-Exp",
                better="lower",
                stage="keypoints",
                definition="Mean distance of the 32 landmarks of eyes and mouth from those of the true frames, "
                "relative to the height of the face, after the best similarity transform of the face onto the true "
                "one; mean over the frames of which both show the whole face.",
                deviation="X-Dyna has not published its extractor; this one is the pose network, or the included face "
                "network beside the included pose network.",
            ),
            Measure(
                name="face_det",
                title="Face-Det",
                better="higher",
                stage="faces",
                definition="Share of frames with a detected face (X-Dyna).",
                deviation="X-Dyna has not published its detector; this one is YuNet, frames fitted into 640 × 640.",
                has_truth=True,
            ),
            Measure(
                name="face_cos",
                title="Face-Cos",
                better="higher",
                stage="faces",
                definition="Cosine of AdaFace embeddings of animation and truth, mean over the frames of which both "
                "show a detected face (X-Dyna).",
                deviation="X-Dyna has not published its alignment; faces are aligned by YuNet's five points.",
            ),
            Measure(
                name="flicker",
                title="flicker",
                better="truth",
                stage="temporal",
                definition="Mean absolute difference of successive frames, divided by 255; 1 minus it is VBench's "
                "temporal flickering.",
                has_truth=True,
            ),
            Measure(
                name="seam_ratio",
                title="seams",
                better="truth",
                stage="temporal",
                definition="Mean absolute difference across the borders of sampling windows, relative to that of the "
                "other successive frames; 1 without seams. None for a clip of one window, or without other changes.",
                has_truth=True,
            ),
            Measure(
                name="colour_drift",
                title="colour drift",
                unit="ΔE",
                better="lower",
                stage="temporal",
                definition="Change of the mean colour's error between the first and the last quarter of the frames, "
                "as a distance in CIELAB.",
            ),
            Measure(
                name="psnr_drift_db",
                title="PSNR drift",
                unit="dB",
                better="lower",
                stage="temporal",
                definition="PSNR* of the first quarter of the frames minus that of the last quarter.",
            ),
            Measure(
                name="subject_consistency",
                title="subject consistency",
                better="higher",
                stage="subject",
                definition="Mean over frames of the cosines of DINO ViT-B/16 features with the first frame and the "
                "one before, averaged; negative ones count as 0 (VBench).",
                has_truth=True,
            ),
            Measure(
                name="identity_drift",
                title="identity drift",
                better="lower",
                stage="subject",
                definition="Mean cosine of DINO features of animation and truth in the first quarter of the frames, "
                "minus that in the last quarter.",
            ),
            Measure(
                name="background_consistency",
                title="background consistency",
                better="higher",
                stage="background",
                definition="Subject consistency with CLIP ViT-B/32 features of the middle square (VBench).",
                has_truth=True,
            ),
        )
    }
)
"""Measures of single animations, by name, in the order of tables."""

SET_MEASURES: Mapping[str, SetMeasure] = MappingProxyType(
    {
        measure.name: measure
        for measure in (
            SetMeasure(
                name="fid",
                title="FID",
                stage="fid",
                ddof=1,
                definition="Fréchet distance of the 2048 pooled features of FID's Inception of all frames "
                "(pytorch-fid, which DisCo runs).",
            ),
            SetMeasure(
                name="fid_vid",
                title="FID-VID",
                stage="fid_vid",
                ddof=1,
                definition="Fréchet distance of the 2048 features of a 3D ResNet-50 trained on Kinetics; each window "
                "of 16 successive frames is a sample (DisCo, gen_eval.sh on frames). A clip of fewer frames has none.",
                deviation="For video files, DisCo's code instead averages segments of 16 frames: one sample a video.",
            ),
            SetMeasure(
                name="fvd",
                title="FVD",
                stage="fvd",
                ddof=1,
                definition="Fréchet distance of the 400 logits of I3D trained on Kinetics; each window of 16 "
                "successive frames is a sample (DisCo, gen_eval.sh on frames). A clip of fewer frames has none.",
                deviation="For video files, DisCo's code instead makes one sample of each video, whatever its length.",
            ),
            SetMeasure(
                name="cd_fvd",
                title="cd-FVD",
                stage="cd_fvd",
                ddof=0,
                definition="Content-debiased FVD, of 1408 features of VideoMAE V2 fine-tuned on SSv2 (cd-fvd).",
                deviation="Successive windows of 16 frames; cd-fvd's loader draws one per video, of the middle square.",
            ),
            SetMeasure(
                name="dtfvd",
                title="DTFVD",
                stage="dtfvd",
                ddof=1,
                definition="Fréchet distance of the 1024 features of an I3D trained on dynamic textures (cINN).",
                deviation="Windows of 16 frames, shorter clips repeated. X-Dyna has published no computation.",
            ),
            SetMeasure(
                name="dtfvd_fg",
                title="FG-DTFVD",
                stage="dtfvd",
                ddof=1,
                definition="DTFVD of the character alone; pixels outside its mask are mid-grey.",
                deviation="X-Dyna has not published its segmentation and fill.",
            ),
            SetMeasure(
                name="dtfvd_bg",
                title="BG-DTFVD",
                stage="dtfvd",
                ddof=1,
                definition="DTFVD of the scenery alone; pixels of the character's mask are mid-grey.",
                deviation="X-Dyna has not published its segmentation and fill.",
            ),
        )
    }
)
"""Measures of sets of animations, by name, in the order of tables."""
