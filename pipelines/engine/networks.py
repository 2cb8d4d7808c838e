"""Networks that processed the rows of a dataset."""

from __future__ import annotations

import duckdb

from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names


def networks_of_rows(ledger: Ledger) -> dict[str, dict[str, int]]:
    """Number of compacted rows by network, by stage, in alphabetical order; without rows of earlier versions."""
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation or "networks" not in column_names(connection, relation):
            return {}
        query = (
            f"SELECT e.name, e.value, count(*) FROM (SELECT unnest(networks) AS e FROM {relation}) "  # noqa: S608
            "GROUP BY ALL ORDER BY ALL"
        )
        counts: dict[str, dict[str, int]] = {}
        for stage, network, num_rows in connection.execute(query).fetchall():
            counts.setdefault(stage, {})[network] = num_rows
    return counts
