"""The corpus of a training run: prepared clips, scenery, and twins of the clips for face control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jobs.training.config import TrainConfig
from models.animation.signals import FACE_CONTROL
from models.face.control import FaceForm
from pipelines.training.corpus import Corpus, TrainingDataError, open_corpus
from pipelines.training.scenery import with_scenery
from pipelines.training.twins import with_twins


def face_form(config: TrainConfig) -> FaceForm | None:
    """Form of the face control that the model reads; None: it reads none."""
    variant = config.model.model.variant
    if FACE_CONTROL not in variant.needs:
        return None
    form: FaceForm = variant.config.face_form
    return form


def open_data(prepared: str, config: TrainConfig, *, limit: int | None) -> Corpus:
    """Open all data of a run.

    Raises:
        TrainingDataError: a dataset is absent or does not serve for this model; the message gives the remedy.
    """
    sampling, data = config.recipe.sampling, config.data
    if sampling.face_control and face_form(config) is None:
        raise TrainingDataError(f"{config.model.name} reads no face control; leave recipe.sampling.face_control out")
    if config.recipe.loss.face_weight > 1 and not sampling.face_control:
        raise TrainingDataError(
            f"recipe.loss.face_weight is {config.recipe.loss.face_weight:g}, but no face is drawn; set "
            "recipe.sampling.face_control=true, or leave it out"
        )
    num_heldout = config.heldout.num_clips if config.heldout.every_steps else 0
    corpus = open_corpus(prepared, sampling, limit=limit, truth=data.truth is not None, num_heldout=num_heldout)
    if data.scenery is not None:
        corpus = with_scenery(corpus, data.scenery, sampling)
    if data.faces is not None and sampling.face_control:
        corpus = with_twins(corpus, data.faces, sampling, min_share=data.min_faces_share)
        if corpus.heldout is not None:
            heldout = with_twins(corpus.heldout, data.faces, sampling, min_share=data.min_faces_share)
            left_out = [f"held-out clips: {sentence}" for sentence in heldout.left_out]
            corpus = replace(corpus, heldout=heldout, left_out=(*corpus.left_out, *left_out))
    return corpus


def data_key(config: TrainConfig) -> list[Any]:
    """Settings of the data that a resumed run must share, besides the recipe and the datasets themselves.

    Empty where none is set: keys then are those of runs from before the settings existed.
    """
    sampling, data = config.recipe.sampling, config.data
    key: list[Any] = [] if data.truth is None else [data.truth]
    if data.scenery is not None:
        key.append({"scenery_share": sampling.scenery_share})
    if sampling.face_control:
        key.append({"face_control": True, "faces_truth": data.faces_truth})
    if config.heldout.every_steps:
        key.append({"heldout": config.heldout.num_clips})
    return key


def described(corpus: Corpus, config: TrainConfig) -> Iterator[str]:
    """Lines about held-out clips, scenery and faces, for the beginning of a run."""
    if corpus.heldout is not None:
        yield f"held out: {len(corpus.heldout.clips)} clips, measured every {config.heldout.every_steps} steps"
    if corpus.scenery is not None:
        share = config.recipe.sampling.scenery_share
        yield f"scenery: {len(corpus.scenery)} clips without a character, {share:.0%} of the samples"
    if corpus.twins is not None:
        yield f"faces: of other characters, from {config.data.faces}"


def notices(corpus: Corpus, config: TrainConfig) -> Iterator[str]:
    """Notices about clips that are left out, and about faces that are not what somebody may expect."""
    yield from corpus.left_out
    is_controlled = config.recipe.sampling.face_control
    if is_controlled and corpus.twins is None:
        yield (
            "self-driven faces: patches are cut out of the targets and show their identity too; data.faces gives the "
            "same expressions on other characters"
        )
    if not is_controlled and config.data.faces is not None:
        yield "data.faces is not read: recipe.sampling.face_control is off, as in a stage that trains no face"
