"""Outcomes of rows: statuses, reasons, and the exceptions that carry them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Status of a row. *Rejected* is a quality decision, *failed* an error."""

    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"


class Reason(StrEnum):
    """Reason of a rejected or failed row. A fixed vocabulary, for counts, filters and `zoetrope retry --reason`."""

    # the row itself
    INVALID_ROW = "InvalidRow"
    UNKNOWN_MODEL = "UnknownModel"
    MISSING_WEIGHTS = "MissingWeights"
    NO_PROMPT = "NoPrompt"
    OBJECT_NOT_VISIBLE = "ObjectNotVisible"
    NO_FACE = "NoFace"
    # the source
    NOT_FOUND = "NotFound"
    NOT_ALLOWED = "NotAllowed"
    SOURCE_CHANGED = "SourceChanged"
    UNREADABLE_SOURCE = "UnreadableSource"
    # the media
    NOT_A_VIDEO = "NotAVideo"
    NO_VIDEO_STREAM = "NoVideoStream"
    UNSUPPORTED_CODEC = "UnsupportedCodec"
    UNSUPPORTED_COLOUR = "UnsupportedColour"
    UNSUPPORTED_ORIENTATION = "UnsupportedOrientation"
    SIZE_CHANGE = "SizeChange"
    DECODE_ERROR = "DecodeError"
    CORRUPT_FRAMES = "CorruptFrames"
    MISSING_FRAMES = "MissingFrames"
    TOO_LARGE = "TooLarge"
    FRAME_COUNT = "FrameCount"
    NOT_AN_IMAGE = "NotAnImage"
    # the machine
    TIMEOUT = "Timeout"
    OUT_OF_MEMORY = "OutOfMemory"
    CRASH = "Crash"
    NOT_FINITE = "NotFinite"
    UNEXPECTED_ERROR = "UnexpectedError"
    # quality decisions
    NO_ANIMATION = "NoAnimation"
    TOO_SHORT = "TooShort"
    NO_PERSON = "NoPerson"
    LOW_POSE_CONFIDENCE = "LowPoseConfidence"
    KEYPOINTS_OUTSIDE_MASK = "KeypointsOutsideMask"
    UNSTABLE_MASK = "UnstableMask"
    NO_MOTION = "NoMotion"
    BLURRED = "Blurred"
    IDENTITY_SWITCH = "IdentitySwitch"
    SHOT_CUT = "ShotCut"
    LONG_ABSENCE = "LongAbsence"
    IMPLAUSIBLE_POSE = "ImplausiblePose"


class BadRow(Exception):  # noqa: N818 (an outcome rather than an error)
    """Invalid data in one row. The row fails; the job continues.

    Any other exception of a stage is recorded with its traceback as `Reason.UNEXPECTED_ERROR`.
    """

    status = Status.FAILED

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class OutputRefusedError(Exception):
    """The output storage refused the file of a stage. The worker reports it to the driver, which stops the job."""


class Rejected(BadRow):
    """Valid row that fails a quality threshold."""

    status = Status.REJECTED
