"""How a row ends: the outcome columns and the fixed vocabulary of reasons."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a row. *Rejected* is a quality decision, *failed* is a fault."""

    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a row was rejected or failed. Short and fixed, so that it can be counted, filtered on and retried by."""

    # the row itself
    INVALID_ROW = "InvalidRow"
    UNKNOWN_MODEL = "UnknownModel"
    MISSING_WEIGHTS = "MissingWeights"
    # the source
    NOT_FOUND = "NotFound"
    NOT_ALLOWED = "NotAllowed"
    SOURCE_CHANGED = "SourceChanged"
    UNREADABLE_SOURCE = "UnreadableSource"
    # the media
    NOT_A_VIDEO = "NotAVideo"
    NO_VIDEO_STREAM = "NoVideoStream"
    UNSUPPORTED_CODEC = "UnsupportedCodec"
    DECODE_ERROR = "DecodeError"
    CORRUPT_FRAMES = "CorruptFrames"
    MISSING_FRAMES = "MissingFrames"
    TOO_LARGE = "TooLarge"
    NOT_AN_IMAGE = "NotAnImage"
    # the machine
    TIMEOUT = "Timeout"
    OUT_OF_MEMORY = "OutOfMemory"
    CRASH = "Crash"
    UNEXPECTED_ERROR = "UnexpectedError"
    # quality decisions
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


class BadRow(Exception):  # noqa: N818 (it names the row, and is an outcome more than an error)
    """This row cannot go on; the rest of the job can.

    A stage raises it for what is wrong with the data. Anything else that a stage raises is unexpected, and is recorded
    with its traceback as `Reason.UNEXPECTED_ERROR`.
    """

    status = Status.FAILED

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class OutputRefusedError(Exception):
    """The output's storage refuses a stage's file. No row can be recorded then: the worker tells the driver, which
    stops the job.
    """


class Rejected(BadRow):
    """A quality decision: the row is sound, and is set aside because it fails a threshold."""

    status = Status.REJECTED
