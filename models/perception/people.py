"""Multi-person clips: tracking of persons, and selection of the clip's character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY

MAX_POSED = 8
"""Maximum number of persons per frame with keypoints."""
MAX_STEP = 0.5
"""Maximum motion of a person between frames, relative to the longer side of its box."""
MAX_GAP_FRAMES = 8
"""Maximum number of consecutive frames without a detection before a track ends."""
MIN_SHARED_KEYPOINTS = 4
"""Minimum number of common confident body keypoints to compare poses; with fewer, boxes are compared."""
MIN_RETURN_FRAMES = 5
"""Minimum length of a further track that is joined to the character's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Persons:
    """Persons detected in one frame, in any order; N may be 0.

    `boxes`: (N, 4) x0, y0, x1, y1 in pixels. `scores`: (N,) detection scores, 0–1. `keypoints`: (N, 133, 3).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipPeople:
    """Keypoints of a clip's character, and the number of persons.

    `keypoints`: (T, 133, 3) of the character, all 0 in frames without it. `num_people`: (T,) int32, including the
    character. `of_others`: bool (T, 133), keypoints that are another person's (`models.perception.joints_of_others`);
    None if the backend poses the character only.
    """

    keypoints: NDArray[np.float32]
    num_people: NDArray[np.int32]
    of_others: NDArray[np.bool_] | None = None


@dataclass(slots=True)
class Track:
    """Track of one person: index `persons[i]` in frame `frames[i]`, frames ascending."""

    frames: list[int] = field(default_factory=list)
    persons: list[int] = field(default_factory=list)


def character(persons_T: Sequence[Persons], *, width_px: int, height_px: int) -> NDArray[np.int64]:
    """Index (T,) of the clip's character among each frame's persons, -1 in frames without it.

    The character is the track with the largest sum over frames of score · size · centrality, where size is the square
    root of the box's share of the picture, and centrality falls from 1 in the picture's centre to 1/2 in a corner. A
    person visible throughout is thus preferred to one that is larger for a short time. Further tracks of at least
    `MIN_RETURN_FRAMES` frames that share no frame with the character are joined to it, best first, as its return into
    view. (If it is another person, the clip's identity switches show it.)
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
    """Tracks of all persons; each person of each frame is in exactly one track.

    In each frame, tracks and persons are matched greedily by distance, up to `MAX_STEP`; each unmatched person starts a
    track.
    """
    tracks: list[Track] = []
    for t, persons in enumerate(persons_T):
        active = [track for track in tracks if t - track.frames[-1] <= 1 + MAX_GAP_FRAMES]
        last = [(persons_T[track.frames[-1]], track.persons[-1]) for track in active]
        distances = np.stack([_distances(before, n, persons) for before, n in last]) if last else np.empty((0, 0))
        free = set(range(len(persons.boxes)))
        unmatched = set(range(len(active)))
        for flat in np.argsort(distances, axis=None, kind="stable").tolist():
            k, n = divmod(flat, len(persons.boxes))
            if distances[k, n] >= MAX_STEP:
                break
            if k in unmatched and n in free:
                unmatched.remove(k)
                free.remove(n)
                active[k].frames.append(t)
                active[k].persons.append(n)
        tracks += [Track(frames=[t], persons=[n]) for n in sorted(free)]
    return tracks


def _worth(persons: Persons, *, width_px: int, height_px: int) -> NDArray[np.float64]:
    """(N,) score · size · centrality of each person, with boxes clipped to the picture."""
    picture = np.array([width_px, height_px], np.float64)
    first = persons.boxes[:, :2].astype(np.float64).clip(0, picture)
    last = persons.boxes[:, 2:].astype(np.float64).clip(0, picture)
    size = np.sqrt((last - first).clip(0).prod(axis=1) / picture.prod())
    off_centre = np.linalg.norm((first + last - picture) / picture, axis=1) / np.sqrt(2)
    worth: NDArray[np.float64] = persons.scores * size * (1 - off_centre / 2)
    return worth


def _distances(before: Persons, n: int, persons: Persons) -> NDArray[np.float64]:
    """(N,) distance of person `n` of an earlier frame to each of `persons`, relative to the larger box's longer side.

    Mean distance of the body keypoints that are confident in both, or the distance of the box centres.
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
