"""Planning a resume: 1,000,000 clips of which 99% are done, against DuckDB's own anti-join over the same files.

The peer answers the same question in one query: which rows have no committed row with the same id and the same inputs
(fingerprint, window, prompts). Ours also checks the manifest (types, ids, duplicates), numbers the pending rows, and
finds the old row whose stages each could reuse. An anti-join on ids alone, which would not notice a changed source, is
timed beside it for scale.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.plan import Plan
from pipelines.engine.schema import CLIP_COLUMNS
from pipelines.prepare import KEY_COLUMNS
from stages.io.storage import Storage

PIPELINE = "0123456789abcdef"


def make_corpus(root: Path, rows: int) -> None:
    """A manifest, and a ledger of the same clips less every hundredth."""
    (root / "out").mkdir()
    kind = (
        "STRUCT(object_id VARCHAR, seconds DOUBLE, box DOUBLE[], points STRUCT(x DOUBLE, y DOUBLE, positive BOOLEAN)[])"
    )
    clips = f"""
        SELECT 'video-' || (i // 8) || '.' || lpad((i % 8)::VARCHAR, 5, '0') AS clip_id,
               'video-' || (i // 8) AS video_id,
               's3://corpus/raw/video-' || (i // 8) || '.mp4' AS uri,
               'sha256:' || sha256((i // 8)::VARCHAR) AS fingerprint,
               1000000 + i AS size_bytes, 1080::INT AS width_px, 1920::INT AS height_px, 25.0::DOUBLE AS fps,
               (i % 8) * 4.0::DOUBLE AS start_seconds, 48::INT AS num_frames, 2::INT AS frame_step,
               CAST([] AS {kind}[]) AS objects
        FROM range({rows}) t(i)"""
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({clips}) TO '{root}/clips.parquet'")
        outcome = (
            f"'{PIPELINE}' AS pipeline_key, sha256(clip_id) AS work_key, 'ok' AS status, NULL::VARCHAR AS reason, "
            "NULL::VARCHAR AS stage, 1 AS attempts"
        )
        kept = f"SELECT *, {outcome} FROM '{root}/clips.parquet' WHERE hash(clip_id) % 100 != 0"
        # Prepared rows carry half a megabyte each; their keys lie in as many files as that makes of a part of the
        # corpus.
        for number in range(20):
            connection.execute(
                f"COPY ({kept} AND size_bytes % 20 = {number}) TO '{root}/out/rows-{number:06d}.parquet'"
            )


def anti_join(root: Path, columns: Sequence[str]) -> tuple[int, float]:
    """DuckDB's own: manifest rows for which the ledger has no row that agrees in `columns`."""
    agree = " AND ".join(f"l.{column} IS NOT DISTINCT FROM m.{column}" for column in columns)
    ledger = f"(SELECT {', '.join(columns)} FROM '{root}/out/rows-*.parquet')"
    started = time.perf_counter()
    with duckdb.connect() as connection:
        pending = connection.sql(
            f"SELECT * FROM '{root}/clips.parquet' m ANTI JOIN {ledger} l ON {agree}"
        ).to_arrow_table()
    return pending.num_rows, time.perf_counter() - started


def ours(root: Path) -> tuple[int, float]:
    """The plan as a job makes it, up to the first rows to run."""
    started = time.perf_counter()
    optional = ("video_id", "size_bytes", "objects", "shot_start_seconds", "shot_end_seconds")
    manifest = Manifest(
        url=str(root / "clips.parquet"),
        id_column="clip_id",
        required=columns_of(CLIP_COLUMNS, [name for name in CLIP_COLUMNS if name not in optional]),
        optional=columns_of(CLIP_COLUMNS, optional),
    )
    plan = Plan(manifest, Ledger(Storage(str(root / "out")), "clip_id"), key_columns=KEY_COLUMNS, pipeline=PIPELINE)
    plan.rows(0, 1000)
    pending = plan.num_pending
    plan.close()
    return pending, time.perf_counter() - started


def main() -> None:
    """Interleave both, verify that they agree, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_corpus(root, arguments.rows)
        same_question = ("clip_id", *KEY_COLUMNS)
        assert ours(root)[0] == anti_join(root, same_question)[0], "the two planners disagree"
        runs = [
            (ours(root)[1], anti_join(root, same_question)[1], anti_join(root, ["clip_id"])[1])
            for _ in range(arguments.repeats)
        ]
        pending = ours(root)[0]
    mine, same, ids = (statistics.median(column) for column in zip(*runs, strict=True))
    ratios = [run[0] / run[1] for run in runs]
    print(
        json.dumps(
            {
                "benchmark": "plan",
                "rows": arguments.rows,
                "pending": pending,
                "seconds": round(mine, 3),
                "seconds_duckdb_same_question": round(same, 3),
                "seconds_duckdb_ids_only": round(ids, 3),
                "ratio": round(statistics.median(ratios), 2),
                "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
                "ratio_to_ids_only": round(statistics.median(run[0] / run[2] for run in runs), 2),
                "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
    )


if __name__ == "__main__":
    main()
