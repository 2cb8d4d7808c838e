"""State of a dataset while a job may be writing to it, read without its lock."""

from __future__ import annotations

import time
from dataclasses import dataclass

import duckdb

from pipelines.engine.ledger import Counts, Ledger
from pipelines.engine.tables import column_names
from stages.outcome import Status

ATTEMPTS = 5
RETRY_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """Committed rows.

    Args:
        counts: of the dataset, compacted rows and others.
        by_job: rows that one job committed.
        failed_by_job: those of them that failed.
        latest_seconds: time of the last commit, in seconds since the epoch; None without rows.
    """

    counts: Counts
    by_job: int
    failed_by_job: int
    latest_seconds: float | None


def committed(ledger: Ledger, job_id: str) -> Committed:
    """Count committed rows, the newest of each id. Memory is bounded by DuckDB.

    Raises:
        OSError: files cannot be read.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _count(ledger, job_id)
        except duckdb.IOException as error:  # a running job merged a file after it was listed
            if attempt == ATTEMPTS - 1:
                raise OSError(str(error).partition("\n")[0]) from error
            time.sleep(RETRY_SECONDS)
    raise AssertionError("unreachable")


def _count(ledger: Ledger, job_id: str) -> Committed:
    names = [*ledger.part_names(), *ledger.data_names()]
    if not names:
        return Committed(counts=Counts(total=0), by_job=0, failed_by_job=0, latest_seconds=None)
    with duckdb.connect() as connection:
        files = ", ".join("'" + ledger.duckdb_path(connection, name).replace("'", "''") + "'" for name in names)
        relation = f"read_parquet([{files}], union_by_name=true)"
        job = "job_id" if "job_id" in column_names(connection, relation) else "NULL"
        rows = connection.execute(
            "SELECT status, reason, own, count(*), epoch(max(committed_at)) FROM "  # noqa: S608
            f"(SELECT status, reason, {job} = ? AS own, committed_at FROM {relation} "
            f"QUALIFY row_number() OVER (PARTITION BY {ledger.id_column} ORDER BY committed_at DESC) = 1) GROUP BY ALL",
            [job_id],
        ).fetchall()
    return _summed(rows)


def _summed(rows: list[tuple[str, str | None, bool | None, int, float]]) -> Committed:
    by_status = {status: sum(row[3] for row in rows if row[0] == status) for status in Status}
    reasons: dict[str, int] = {}
    for _, reason, _, number, _ in rows:
        if reason is not None:
            reasons[reason] = reasons.get(reason, 0) + number
    return Committed(
        counts=Counts(
            total=sum(by_status.values()),
            ok=by_status[Status.OK],
            rejected=by_status[Status.REJECTED],
            failed=by_status[Status.FAILED],
            reasons=reasons,
        ),
        by_job=sum(row[3] for row in rows if row[2]),
        failed_by_job=sum(row[3] for row in rows if row[2] and row[0] == Status.FAILED),
        latest_seconds=max(row[4] for row in rows),
    )
