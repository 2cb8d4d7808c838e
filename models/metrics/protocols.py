"""Evaluation protocols of the papers: measures, sizes, reference frame, and the values that the papers publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """Row of a published table, as published.

    Args:
        model: model and, where the paper has several, its variant.
        source: paper and table.
        values: value by name of measure, in the units of `MEASURES` (a share is 0.948, not 94.8 %).
    """

    model: str
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Evaluation of a paper.

    Args:
        name: name on the command line.
        title: data and paper.
        reference: address of the paper or the code that defines it.
        size_px: (height, width) to which animations and truth are resized; None: animations to the size of the truth.
        reference_frame: choice of the reference picture.
        measures: names of measures, in the order of the paper's table.
        aggregation: how values become one number per model.
        deviations: known or possible differences from the paper.
        published: the paper's table.
    """

    name: str
    title: str
    reference: str
    size_px: tuple[int, int] | None = None
    reference_frame: str
    measures: tuple[str, ...]
    aggregation: str
    deviations: tuple[str, ...]
    published: tuple[PublishedRow, ...] = ()


_ANIMATE_ANYONE = "Animate Anyone, arXiv 2311.17117"
_ANIMATE_ANYONE_2 = "Animate Anyone 2, arXiv 2502.06145"
_ANIMATE_X = "Animate-X, arXiv 2410.10306"
_X_DYNA = "X-Dyna, arXiv 2501.10021"

_AGGREGATION = (
    "Mean over the frames of an animation, then over animations; Fréchet distances between all animations and all "
    "truth. DisCo takes one mean over all frames, which is the same where all videos have the same length."
)
_NO_SCRIPT = (
    "The paper does not say how its PSNR, LPIPS and FVD are computed. Its values fit the scripts of DisCo: PSNR with "
    "wrapped differences, LPIPS of values in [0, 1], and I3D logits of 16 frames."
)
_ANY_SIZE = "The paper does not state the size at which frames are compared; here it is that of the truth."
_DISCO_CROP = (
    "DisCo crops the centre square of each frame before it animates or compares. Frames of another shape are resized "
    "here without cropping: crop the videos first."
)
_LATER_SIZES = (
    "Papers after DisCo compare at sizes of their own, which they do not always state; L1 and FVD depend on the size."
)
_WRAPPED = "A PSNR near 30 dB is that of wrapped differences; PSNR* is the correct one."
_HUMANS = (
    "Which human lends its proportions to which character is not published; `zoetrope a2bench requests` draws them by "
    "its seed."
)
_X_DYNA_CODE = (
    "The test videos and the evaluation code are not published. The paper's PSNR of 17.2 dB is taken for the correct "
    "one, since wrapped differences would give values near 30 dB; its LPIPS for DisCo's."
)
_X_DYNA_NETWORKS = (
    "Detector, segmentation and fill of Face-Det and of the parts of DTFVD are not published, nor is the extractor of "
    "Face-Exp, which the paper reports for driving videos of other persons."
)

_DISCO = ("l1_disco", "psnr_wrapped_db", "psnr_db", "ssim", "lpips_disco", "fid", "fid_vid", "fvd")
_SHORT = ("ssim", "psnr_wrapped_db", "lpips_disco", "fvd")
_A2BENCH = ("psnr_db", "ssim", "l1_disco", "lpips_disco", "fid", "fid_vid", "fvd")
_X_DYNA_TABLES = (
    *("dtfvd_fg", "dtfvd_bg", "dtfvd"),
    *("l1_disco", "psnr_db", "lpips_disco", "ssim", "face_cos", "face_det"),
)


def _table(source: str, measures: tuple[str, ...], rows: Mapping[str, tuple[float, ...]]) -> tuple[PublishedRow, ...]:
    return tuple(
        PublishedRow(model=model, source=source, values=MappingProxyType(dict(zip(measures, values, strict=True))))
        for model, values in rows.items()
    )


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(
                name="tiktok",
                title="TikTok, 10 test videos of DisCo",
                reference="https://github.com/Wangt-CN/DisCo",
                size_px=(256, 256),
                reference_frame="first frame of each video",
                measures=_DISCO,
                aggregation=_AGGREGATION,
                deviations=(_DISCO_CROP, _LATER_SIZES, _WRAPPED),
                published=(
                    *_table(
                        f"{_ANIMATE_ANYONE_2}, Table 1",
                        _SHORT,
                        {
                            "DisCo": (0.668, 29.03, 0.292, 292.80),
                            "MagicAnimate": (0.714, 29.16, 0.239, 179.07),
                            "Animate Anyone": (0.718, 29.56, 0.285, 171.90),
                            "Champ (other videos in training)": (0.802, 29.91, 0.234, 160.82),
                            "UniAnimate (other videos in training)": (0.811, 30.77, 0.231, 148.06),
                            "Animate Anyone 2": (0.778, 29.82, 0.248, 158.97),
                            "Animate Anyone 2 (other videos in training)": (0.812, 30.82, 0.223, 144.65),
                        },
                    ),
                    *_table(
                        f"{_ANIMATE_X}, table on TikTok",
                        ("l1_disco", "psnr_wrapped_db", "psnr_db", "ssim", "lpips_disco", "fvd"),
                        {"Animate-X": (2.70e-4, 30.78, 20.77, 0.806, 0.232, 139.01)},
                    ),
                ),
            ),
            Protocol(
                name="fashion",
                title="UBC Fashion, 100 test videos",
                reference="https://arxiv.org/abs/2311.17117",
                reference_frame="first frame of each video",
                measures=("psnr_wrapped_db", "psnr_db", "ssim", "lpips_disco", "fvd"),
                aggregation=_AGGREGATION,
                deviations=(_NO_SCRIPT, _ANY_SIZE),
                published=(
                    *_table(
                        f"{_ANIMATE_ANYONE}, table on UBC Fashion",
                        _SHORT,
                        {"Animate Anyone": (0.931, 38.49, 0.044, 81.6)},
                    ),
                    *_table(
                        f"{_ANIMATE_X}, table on UBC Fashion",
                        ("psnr_wrapped_db", "psnr_db", "ssim", "lpips_disco", "fvd"),
                        {"Animate-X": (36.73, 27.78, 0.940, 0.030, 79.4)},
                    ),
                ),
            ),
            Protocol(
                name="a2bench-self",
                title="A²Bench, self-driven",
                reference="https://arxiv.org/abs/2410.10306",
                reference_frame="the character's picture",
                measures=_A2BENCH,
                aggregation=_AGGREGATION,
                deviations=(_ANY_SIZE, "The paper's values in this setting are not listed here."),
            ),
            Protocol(
                name="a2bench-rescaled",
                title="A²Bench, driven by rescaled skeletons",
                reference="https://arxiv.org/abs/2410.10306",
                reference_frame="the character's picture",
                measures=_A2BENCH,
                aggregation=_AGGREGATION,
                deviations=(_ANY_SIZE, _HUMANS),
                published=_table(
                    f"{_ANIMATE_X}, table on A²Bench with rescaled poses",
                    _A2BENCH,
                    {"Animate-X": (13.60, 0.452, 1.02e-4, 0.430, 26.11, 32.23, 703.87)},
                ),
            ),
            Protocol(
                name="x-dyna",
                title="Test videos of X-Dyna, self-driven",
                reference="https://arxiv.org/abs/2501.10021",
                reference_frame="not stated in the paper",
                measures=(*_X_DYNA_TABLES, "face_exp", "fid", "cd_fvd"),
                aggregation=_AGGREGATION,
                deviations=(
                    _ANY_SIZE,
                    _X_DYNA_CODE,
                    _X_DYNA_NETWORKS,
                    "The paper has two columns each of FID and cd-FVD, which are not listed here.",
                ),
                published=_table(
                    f"{_X_DYNA}, Tables 1 and 2",
                    _X_DYNA_TABLES,
                    {
                        "MagicAnimate": (1.753, 2.142, 2.601, 7.42e-5, 17.143, 0.228, 0.739, 0.297, 0.921),
                        "Animate Anyone (public reimplementation)": (
                            *(1.789, 2.034, 2.310, 11.8e-5, 13.411, 0.338, 0.605, 0.402, 0.890),
                        ),
                        "MagicPose": (1.846, 1.901, 2.412, 13.7e-5, 12.639, 0.345, 0.618, 0.396, 0.855),
                        "MimicMotion": (2.639, 3.274, 3.590, 9.78e-5, 14.903, 0.278, 0.647, 0.193, 0.920),
                        "X-Dyna": (0.900, 1.101, 1.518, 7.15e-5, 17.201, 0.249, 0.724, 0.497, 0.948),
                    },
                ),
            ),
            Protocol(
                name="animate-anyone-2",
                title="Test videos of Animate Anyone 2",
                reference="https://arxiv.org/abs/2502.06145",
                reference_frame="a picture of the character; the choice is not stated in the paper",
                measures=("ssim", "psnr_wrapped_db", "psnr_db", "lpips_disco", "fvd"),
                aggregation=_AGGREGATION,
                deviations=(_NO_SCRIPT, _ANY_SIZE, "The 100 test videos are not published."),
                published=(
                    *_table(
                        f"{_ANIMATE_ANYONE_2}, Table 2",
                        _SHORT,
                        {
                            "Animate Anyone": (0.761, 28.41, 0.324, 228.53),
                            "Champ": (0.771, 28.69, 0.294, 205.79),
                            "MimicMotion": (0.767, 28.52, 0.307, 212.48),
                            "Animate Anyone 2": (0.809, 29.24, 0.259, 172.54),
                        },
                    ),
                    *_table(
                        f"{_ANIMATE_ANYONE_2}, Table 3",
                        _SHORT,
                        {
                            "character pasted into the scene": (0.785, 28.71, 0.291, 195.45),
                            "Animate Anyone 2, character and scene": (0.794, 28.83, 0.276, 186.17),
                        },
                    ),
                ),
            ),
        )
    }
)
"""Protocols by name."""
