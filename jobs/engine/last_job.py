"""The record of the last job of a dataset."""

from __future__ import annotations

import json
from typing import Any

from stages.io.storage import Storage

LAST_JOB = "_jobs/last.json"
ID_COLUMNS = {"ingest": "video_id", "prepare": "clip_id", "animate": "request_id", "evaluate": "animation_id"}
"""Id column of the dataset by verb."""


def read_last_job(dataset: str) -> dict[str, Any]:
    """The record of the last job that wrote to `dataset`.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    storage = Storage(dataset)
    if not storage.exists(LAST_JOB):
        raise ValueError(f"{dataset} was not written by a zoetrope job (it has no _jobs/last.json)")
    try:
        last_job: dict[str, Any] = json.loads(storage.read(LAST_JOB))
    except ValueError as error:
        raise ValueError(
            f"{storage.url_of(LAST_JOB)} is damaged ({error}); run the command that writes {dataset} again, "
            "which continues with the rows that are missing"
        ) from error
    return last_job
