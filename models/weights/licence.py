"""Licences of published weights, and what they forbid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Licence of weights.

    Args:
        name: as the publisher names it.
        commercial_use: whether it allows commercial use; None if the publisher does not say.
        restrictions: uses that it forbids, in short; the licence itself says it exactly.
    """

    name: str
    commercial_use: bool | None = True
    restrictions: tuple[str, ...] = ()


APACHE, MIT = Licence(name="Apache-2.0"), Licence(name="MIT")
BSD_2, BSD_3 = Licence(name="BSD-2-Clause"), Licence(name="BSD-3-Clause")
NON_COMMERCIAL = Licence(name="CC-BY-NC-4.0", commercial_use=False, restrictions=("commercial use",))
MUSEPOSE_RESEARCH = Licence(
    name="MusePose (research only)",
    commercial_use=False,
    restrictions=("any use but non-commercial research",),
)
NONE_STATED = Licence(name="none stated", commercial_use=None)
TRAINING_DATA = Licence(name="that of its training data", commercial_use=None)
"""Of the user's own trained weights."""
NOT_RECORDED = Licence(
    name="that of weights that its training started from, which were not recorded", commercial_use=None
)

_USE_BASED = (
    "breaking the law",
    "harm to minors",
    "false information that harms",
    "personal data that harms",
    "harassment and defamation",
    "automated decisions on legal rights",
    "discrimination",
    "exploiting the vulnerable",
    "medical advice",
    "law enforcement, justice and asylum",
)
"""Attachment A of the OpenRAIL licences, which also bind the users of what is built on the weights."""
OPENRAIL = Licence(name="CreativeML OpenRAIL-M", restrictions=_USE_BASED)
OPENRAIL_2 = Licence(name="CreativeML OpenRAIL++-M", restrictions=_USE_BASED)

_ARMS = ("military use and what falls under ITAR", "nuclear industry", "espionage", "weapons")
SAM = Licence(name="SAM License", restrictions=(*_ARMS, "reverse engineering"))
SAPIENS_2 = Licence(
    name="Sapiens2 License",
    restrictions=(
        "deepfakes and impersonation",
        "biometric processing",
        "surveillance",
        "identifying people of its data",
        "sensitive personal data without consent",
        "pornography and defamation",
        "unlicensed practice of a profession",
        *_ARMS,
        "illegal drugs",
        "critical infrastructure and machinery",
        "reverse engineering",
    ),
)
