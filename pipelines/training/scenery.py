"""Scenery: clips without a character, which a run mixes with its prepared clips (X-Dyna, arXiv 2501.10021, §3.4).

They are not prepared: their skeletons, keypoints and face control are blank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pyarrow as pa

from models.training.recipe import SamplingConfig
from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names
from pipelines.training.corpus import CLIP_COLUMNS, Corpus, TrainingDataError
from stages.io.storage import Storage

_OF_PREPARED = ("work_key", "work_width_px", "work_height_px")
_WORK_KEY = "concat_ws(' ', fingerprint, start_seconds, num_frames, frame_step)"


def with_scenery(corpus: Corpus, url: str, sampling: SamplingConfig) -> Corpus:
    """The corpus with the clips of a dataset `clips` that have enough frames for a sample.

    Raises:
        TrainingDataError: there is no such dataset, it has no such clip, it shares clips with the corpus, or the
            samples need a character.
    """
    if sampling.scene is not None:
        raise TrainingDataError(
            "the model sets a character into a scene, which clips without a character do not allow; leave data.scenery "
            "out"
        )
    scenery = _read(url)
    prepared = [corpus.clips] if corpus.heldout is None else [corpus.clips, corpus.heldout.clips]
    known = {what for clips in prepared for what in _places(clips)}
    found = zip(scenery["clip_id"].to_pylist(), _places(scenery), strict=True)
    if shared := [clip for clip, what in found if what in known]:
        raise TrainingDataError(
            f"{len(shared)} clips of data.scenery ({url}) are in {corpus.url} too ({', '.join(shared[:3])}, …), and "
            "would be learnt with a skeleton and without; scenery has no character: ingest it into a dataset of its own"
        )
    lengths = scenery["num_frames"].to_numpy()
    usable = scenery.filter(pa.array(lengths >= sampling.span))
    if not len(usable):
        raise TrainingDataError(
            f"a sample spans {sampling.span} frames, the longest of the {len(scenery)} clips of {url} has "
            f"{lengths.max(initial=0)}; lower sampling.num_frames or sampling.frame_step, or cut longer clips in ingest"
        )
    num_too_short = corpus.num_too_short + len(scenery) - len(usable)
    return replace(corpus, scenery=usable.cast(corpus.clips.schema), num_too_short=num_too_short)


def _places(clips: pa.Table) -> Iterator[tuple[str, float]]:
    """Video and start of each clip."""
    return zip(clips["fingerprint"].to_pylist(), clips["start_seconds"].to_pylist(), strict=True)


def _read(url: str) -> pa.Table:
    """All clips, with the columns of `Corpus.clips`: frames keep their size, and there is no file of keypoints."""
    with duckdb.connect() as connection:
        relation = Ledger(Storage(url), "clip_id").relation(connection)
        if not relation:
            raise TrainingDataError(f"{url} holds no clips; give the folder `clips` that `zoetrope ingest` wrote")
        present = column_names(connection, relation)
        if "status" in present:
            raise TrainingDataError(
                f"{url} is no dataset of clips but one of rows with an outcome; data.scenery takes the folder `clips` "
                "that `zoetrope ingest` wrote"
            )
        if missing := [name for name in CLIP_COLUMNS if name not in (*present, *_OF_PREPARED)]:
            raise TrainingDataError(
                f"{url} lacks the columns {missing}; expected the clips that `zoetrope ingest` writes"
            )
        made = {"work_key": _WORK_KEY, "work_width_px": "width_px", "work_height_px": "height_px"}
        columns = ", ".join(f"{made[name]} AS {name}" if name in made else name for name in CLIP_COLUMNS)
        return connection.sql(
            f"SELECT {columns}, NULL::VARCHAR AS file FROM {relation} ORDER BY clip_id"  # noqa: S608
        ).to_arrow_table()
