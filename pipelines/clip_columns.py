"""A user's own columns of prepared clips, for the requests that name them."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from pipelines.engine.columns import CORPUS_COLUMNS, quoted, refused_columns
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS, RESULT_COLUMNS
from pipelines.engine.tables import column_names

_TAKEN = frozenset({*CORPUS_COLUMNS, *REQUEST_COLUMNS, *RESOLVED_COLUMNS, *RESULT_COLUMNS})


def register_clip_columns(connection: duckdb.DuckDBPyConnection, datasets: Mapping[str, str]) -> list[str]:
    """Create the table `clip_columns`: `clips_uri`, `clip_id`, and the own columns of the clips in `requests`.

    A column that requests have, or that animations reserve, is not taken over from the clips.

    Args:
        connection: connection with the table `requests`.
        datasets: SQL of the rows of each dataset of clips, by URL.

    Returns:
        The names of the own columns.
    """
    taken = _TAKEN | column_names(connection, "requests")
    selects = ["SELECT NULL::VARCHAR AS clips_uri, NULL::VARCHAR AS clip_id WHERE false"]
    names: dict[str, None] = {}
    for url, relation in datasets.items():
        present = sorted(column_names(connection, relation))
        refused = refused_columns(present, taken)
        own = [name for name in present if name not in refused]
        names.update(dict.fromkeys(own))
        columns = ", ".join(["clip_id", *map(quoted, own)])
        literal = url.replace("'", "''")
        selects.append(
            f"SELECT '{literal}' AS clips_uri, {columns} FROM {relation} "  # noqa: S608
            f"SEMI JOIN (SELECT clip_id FROM requests WHERE clips_uri = '{literal}') USING (clip_id)"
        )
    connection.execute(f"CREATE TEMP TABLE clip_columns AS {' UNION ALL BY NAME '.join(selects)}")
    return list(names)
