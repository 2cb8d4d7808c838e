"""Several persons in view: who is who from frame to frame, and which of them is the character of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY

MAX_STEP = 0.5
"""A person moves less than this from one frame to the next, in sizes of the person (the larger side of the box)."""
MAX_GAP_FRAMES = 8
"""A person may be missed in so many frames in a row and still be followed."""
MIN_SHARED_KEYPOINTS = 4
"""Two poses with fewer body keypoints that are confident in both are compared by their boxes."""
MIN_RETURN_FRAMES = 5
"""Who is seen for fewer frames than this is not taken for the character come back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Persons:
    """The persons found in one frame, in any order: N of them, or none.

    `boxes`: (N, 4) x0, y0, x1, y1 in pixels. `scores`: (N,) how sure it is that this is a person, 0–1. `keypoints`: (N,
    133, 3).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipPeople:
    """The character of a clip, and how many there were.

    `keypoints`: (T, 133, 3) of the character, all 0 where it is not seen. `num_people`: (T,) int32, the character and
    everybody else.
    """

    keypoints: NDArray[np.float32]
    num_people: NDArray[np.int32]


@dataclass(slots=True)
class Track:
    """One person over the clip: in frame `frames[i]` the one with index `persons[i]`; frames ascend."""

    frames: list[int] = field(default_factory=list)
    persons: list[int] = field(default_factory=list)


def character(persons_T: Sequence[Persons], *, width_px: int, height_px: int) -> NDArray[np.int64]:
    """(T,): the index of the clip's character among each frame's persons, -1 where it is not seen.

    The character is the person with the largest sum, over the frames, of score · size · centrality: size is the square
    root of the box's share of the picture, centrality falls from 1 in the middle of the picture to 1/2 in a corner. So
    who is in view throughout comes before who is larger for a moment. Where the character is not in view, the best of
    the others who share no frame with it, and are seen for `MIN_RETURN_FRAMES`, is taken for the character come back.
    (If it is somebody else, the clip's identity switches tell.)
    """
    worth = [_worth(persons, width_px=width_px, height_px=height_px) for persons in persons_T]
    tracks = follow(persons_T)
    total = [sum(float(worth[t][n]) for t, n in zip(track.frames, track.persons, strict=True)) for track in tracks]
    chosen = np.full(len(persons_T), -1, np.int64)
    for index in sorted(range(len(tracks)), key=lambda i: -total[i]):
        track = tracks[index]
        first = (chosen == -1).all()
        if first or (len(track.frames) >= MIN_RETURN_FRAMES and (chosen[track.frames] == -1).all()):
            chosen[track.frames] = track.persons
    return chosen


def follow(persons_T: Sequence[Persons]) -> list[Track]:
    """Every person of every frame is in one track, once.

    From frame to frame, the nearest pairs of known and found persons are joined first, as long as they are nearer than
    `MAX_STEP`; who is left begins a track.
    """
    tracks: list[Track] = []
    for t, persons in enumerate(persons_T):
        known = [track for track in tracks if t - track.frames[-1] <= 1 + MAX_GAP_FRAMES]
        last = [(persons_T[track.frames[-1]], track.persons[-1]) for track in known]
        distances = np.stack([_distances(before, n, persons) for before, n in last]) if last else np.empty((0, 0))
        free = set(range(len(persons.boxes)))
        waiting = set(range(len(known)))
        for flat in np.argsort(distances, axis=None, kind="stable").tolist():
            k, n = divmod(flat, len(persons.boxes))
            if distances[k, n] >= MAX_STEP:
                break
            if k in waiting and n in free:
                waiting.remove(k)
                free.remove(n)
                known[k].frames.append(t)
                known[k].persons.append(n)
        tracks += [Track(frames=[t], persons=[n]) for n in sorted(free)]
    return tracks


def _worth(persons: Persons, *, width_px: int, height_px: int) -> NDArray[np.float64]:
    """(N,): score · size · centrality of each person; of a box, what is in the picture counts."""
    picture = np.array([width_px, height_px], np.float64)
    first = persons.boxes[:, :2].astype(np.float64).clip(0, picture)
    last = persons.boxes[:, 2:].astype(np.float64).clip(0, picture)
    size = np.sqrt((last - first).clip(0).prod(axis=1) / picture.prod())
    off_centre = np.linalg.norm((first + last - picture) / picture, axis=1) / np.sqrt(2)
    worth: NDArray[np.float64] = persons.scores * size * (1 - off_centre / 2)
    return worth


def _distances(before: Persons, n: int, persons: Persons) -> NDArray[np.float64]:
    """(N,): how far person `n` of an earlier frame is from each of `persons`, in sizes of the larger of the two.

    The mean distance of body keypoints that are confident in both, or that of the centres of the boxes.
    """
    box, boxes = before.boxes[n].astype(np.float64), persons.boxes.astype(np.float64)
    size = np.maximum((box[2:] - box[:2]).max(), (boxes[:, 2:] - boxes[:, :2]).max(axis=1)).clip(1)
    centres = np.linalg.norm((boxes[:, :2] + boxes[:, 2:] - box[:2] - box[2:]) / 2, axis=1)
    body, bodies = before.keypoints[n, BODY].astype(np.float64), persons.keypoints[:, BODY].astype(np.float64)
    shared = (bodies[..., 2] >= CONFIDENT_SCORE) & (body[:, 2] >= CONFIDENT_SCORE)
    num_shared = shared.sum(axis=1)
    moved = np.linalg.norm(bodies[..., :2] - body[:, :2], axis=2)
    mean = (moved * shared).sum(axis=1) / num_shared.clip(1)
    distances: NDArray[np.float64] = np.where(num_shared >= MIN_SHARED_KEYPOINTS, mean, centres) / size
    return distances
