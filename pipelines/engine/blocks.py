"""Division of rows into rounds and Ray Data blocks.

A block costs 15 ms of scheduling. Rows that fail in less than a millisecond, such as dead links, would wait for it most
of the time; they go in large blocks, of which a worker gives back what turns out to be slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from pipelines.engine.worker import DEFERRABLE, ROW_SCHEMA, pack
from stages.base import Row

FAST_BLOCK_SECONDS = 1.0
MAX_ROWS_PER_BLOCK = 1024
BLOCKS_PER_WORKER = 4
"""Minimum number of blocks per worker and round, so that workers end together."""


def round_sizes(num_rows: int, rows_per_round: int) -> Iterator[tuple[int, int]]:
    """Position and number of rows of each round. The first of several is small: it shows how fast the rows are."""
    start, count = 0, rows_per_round if num_rows <= rows_per_round else max(1, rows_per_round // 8)
    while start < num_rows:
        yield start, min(count, num_rows - start)
        start, count = start + count, rows_per_round


def fast_block_size(minimum: int, num_rows: int, seconds: float) -> int:
    """Rows per block, from the time that the rows of the last round took."""
    if num_rows == 0:
        return minimum
    return max(minimum, min(MAX_ROWS_PER_BLOCK, int(FAST_BLOCK_SECONDS * num_rows / max(seconds, 1e-6))))


def packed_blocks(rows: Sequence[Row], size: int, minimum: int, num_workers: int) -> list[pa.Table]:
    """Blocks of packed rows, of `size` rows where that leaves enough for all workers.

    Rows after the first `minimum` of a block may be given back by the worker.
    """
    size = min(size, max(minimum, len(rows) // (num_workers * BLOCKS_PER_WORKER)))
    blocks = []
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        packed = [pack(row if i < minimum else {**row, DEFERRABLE: True}) for i, row in enumerate(block)]
        blocks.append(pa.table({"row": pa.array(packed, pa.large_binary())}, schema=ROW_SCHEMA))
    return blocks
