"""Animation requests: pair pictures with clips, apply defaults, and resolve clips and models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.clip_columns import register_clip_columns
from pipelines.engine.columns import quoted
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, ManifestError, columns_of, sql_type_of
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS
from pipelines.engine.sources import (
    LIST_SUFFIXES,
    absolute_sql,
    derived_id,
    find_sources,
    folder_of,
    joined_id,
    register_stamps,
)
from pipelines.engine.tables import column_names
from pipelines.model_specs import ModelSpec
from stages.io.picture import SUFFIXES as PICTURE_SUFFIXES
from stages.io.storage import Storage
from stages.outcome import Status
from stages.prepare.character_mask import CharacterMaskStage
from stages.prepare.object_masks import ObjectMasksStage
from stages.prepare.pose import PoseStage
from stages.prepare.structured_depth import StructuredDepthStage

REQUIRED = ("request_id", "reference_uri")
URI_COLUMNS = ("reference_uri", "driving_uri", "clips_uri")


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestDefaults:
    """Defaults of empty request columns. None: decided by the model or by the picture's aspect ratio."""

    model: str
    seed: int = 0
    num_steps: int | None = None
    guidance_scale: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    controls: str | None = None


def requests_manifest(url: str) -> Manifest:
    """Manifest of a table of requests."""
    optional = [name for name in REQUEST_COLUMNS if name not in REQUIRED]
    return Manifest(
        url=url,
        id_column="request_id",
        required=columns_of(REQUEST_COLUMNS, REQUIRED),
        optional=columns_of(REQUEST_COLUMNS, optional),
    )


def one_request(reference: str, driving: str) -> pa.Table:
    """Table with the request to animate one picture with one video. Local paths are relative to the working
    directory.
    """
    reference, driving = absolute_uri(reference), absolute_uri(driving)
    row = {
        "request_id": joined_id(derived_id(reference), derived_id(driving)),
        "reference_uri": reference,
        "driving_uri": driving,
    }
    return pa.Table.from_pylist([row], schema=pa.schema(list(REQUEST_COLUMNS.items())))


def resolve(
    requests: Manifest | pa.Table,
    *,
    defaults: RequestDefaults,
    describe: Callable[[str], ModelSpec],
    scene_weights: Callable[[], str],
    reference_schemes: Iterable[str],
    driving_schemes: Iterable[str],
) -> pa.Table:
    """Fill in defaults and add `RESOLVED_COLUMNS` (stamps of files, clips, and models) and the clips' own columns.

    Relative URIs start at the manifest's folder. A missing picture or video has no stamp, a missing clip is null, and a
    missing model has no digest. Such a row fails later with a reason, and is pending again once the input exists.

    Args:
        requests: a manifest, or a table of `REQUEST_COLUMNS` with absolute URIs.
        defaults: values for empty columns.
        describe: model name -> description.
        scene_weights: value of that column for models that keep the scene; called only if there are any.
        reference_schemes: schemes of picture URIs that may be accessed.
        driving_schemes: schemes of video URIs that may be accessed.

    Raises:
        ManifestError: the manifest is invalid.
    """
    with duckdb.connect() as connection:
        if isinstance(requests, Manifest):
            source, base = requests.relation(connection), folder_of(requests.url)
        else:
            connection.register("given", requests)
            source, base = "given", ""
        others = ", ".join(f'"{name}"' for name in column_names(connection, source) & RESOLVED_COLUMNS.keys())
        source = f"(SELECT * EXCLUDE ({others}) FROM {source})" if others else source  # noqa: S608
        replaced = [f"{absolute_sql(name, base)} AS {name}" for name in URI_COLUMNS]
        values = {name: value for name, value in asdict(defaults).items() if value is not None}
        replaced += [f"coalesce({name}, ?) AS {name}" for name in values]
        connection.execute(
            f"CREATE TEMP TABLE requests AS SELECT * REPLACE ({', '.join(replaced)}) FROM {source}",  # noqa: S608
            list(values.values()),
        )
        register_stamps(connection, "reference_stamps", "reference_uri", reference_schemes, source="requests")
        register_stamps(connection, "driving_stamps", "driving_uri", driving_schemes, source="requests")
        keeps_scene = _register_models(connection, describe)
        own = register_clip_columns(connection, _find_clips(connection))
        columns = "".join(f", k.{quoted(name)}" for name in own)
        resolved = (
            "SELECT r.* REPLACE (coalesce(m.name, r.model) AS model), "  # noqa: S608
            "s.value AS reference_stamp, d.value AS driving_stamp, c.clip, "
            "CASE WHEN m.model_spec.keeps_scene THEN c.scene_key ELSE c.clip_key END AS clip_key, "
            "m.model_digest, m.model_spec, CASE WHEN m.model_spec.keeps_scene THEN ? END AS scene_weights "
            f"{columns} FROM requests r "
            "LEFT JOIN clip_columns k ON k.clips_uri = r.clips_uri AND k.clip_id = r.clip_id "
            "LEFT JOIN reference_stamps s ON s.name = r.reference_uri "
            "LEFT JOIN driving_stamps d ON d.name = r.driving_uri "
            "LEFT JOIN models m ON m.given = r.model "
            "LEFT JOIN clips c ON c.clips_uri = r.clips_uri AND c.clip_id = r.clip_id"
        )
        return connection.sql(resolved, params=[scene_weights() if keeps_scene else None]).to_arrow_table()


def pair(
    references: Sequence[str],
    clips: str,
    *,
    allowed_schemes: Iterable[str],
    settings: Mapping[str, Any],
    models: Sequence[str] = (),
    id_parts: Mapping[str, str] = MappingProxyType({}),
    limit: int | None = None,
) -> pa.Table:
    """Table of requests to animate every picture with every clip and every model.

    Args:
        references: folders, globs, files or lists of pictures.
        clips: a dataset of `prepare` or `ingest`, whose clips with status ok are used; or videos.
        allowed_schemes: schemes of URIs that may be accessed.
        settings: values of other columns, the same for all requests.
        models: model names; empty: the column is left empty. With several, request ids contain the model.
        id_parts: what request ids contain in place of a model's name.
        limit: maximum number of pairs: a pseudo-random sample that is the same in every call.

    Raises:
        ManifestError: there is no picture, or neither clip nor video.
    """
    named = tuple(dict.fromkeys(models))
    pictures = find_sources(references, allowed_schemes, noun="picture", suffixes=PICTURE_SUFFIXES)
    with duckdb.connect() as connection:
        connection.register("pictures", pictures)
        ledger = Ledger(Storage(clips), "clip_id")
        relation = "" if PurePosixPath(clips).suffix in LIST_SUFFIXES else ledger.relation(connection)
        if relation:
            where = f" WHERE status = '{Status.OK}'" if "status" in column_names(connection, relation) else ""
            drivers = f"SELECT clip_id AS id, clip_id, ? AS clips_uri, NULL AS driving_uri FROM {relation}{where}"  # noqa: S608
            connection.execute(f"CREATE TEMP TABLE drivers AS {drivers}", [ledger.storage.url])
        else:
            connection.register("videos", find_sources([clips], allowed_schemes))
            connection.execute(
                "CREATE TEMP TABLE drivers AS SELECT video_id AS id, NULL AS clip_id, NULL AS clips_uri, "
                "uri AS driving_uri FROM videos"
            )
        if not connection.execute("SELECT count(*) FROM drivers").fetchall()[0][0]:
            raise ManifestError(f"{clips} holds no clip that is ok; there is nothing to animate by")
        order = "md5(concat(p.video_id, '.', d.id))" if limit is not None else "p.video_id, d.id"
        columns = "p.video_id, p.uri, d.id, d.clip_id, d.clips_uri, d.driving_uri"
        query = f"SELECT {columns} FROM pictures p CROSS JOIN drivers d ORDER BY {order}"  # noqa: S608
        rows = connection.execute(query if limit is None else f"{query} LIMIT {limit:d}").fetchall()
    requests = [
        {
            **settings,
            "model": model,
            "request_id": joined_id(
                picture_id, driver_id, *([id_parts.get(model, model)] if model and len(named) > 1 else [])
            ),
            "reference_uri": uri,
            "clip_id": clip_id,
            "clips_uri": clips_uri,
            "driving_uri": driving_uri,
        }
        for picture_id, uri, driver_id, clip_id, clips_uri, driving_uri in rows
        for model in named or (None,)
    ]
    requests.sort(key=lambda row: str(row["request_id"]))
    return pa.Table.from_pylist(requests, schema=pa.schema(list(REQUEST_COLUMNS.items())))


def _register_models(connection: duckdb.DuckDBPyConnection, describe: Callable[[str], ModelSpec]) -> bool:
    """Register the table `models`: the name given in requests, and the columns of its description. Returns whether one
    of them keeps the scene.
    """
    rows = connection.execute("SELECT DISTINCT model FROM requests WHERE model IS NOT NULL ORDER BY 1").fetchall()
    specs = {given: describe(given) for (given,) in rows}
    connection.register(
        "models",
        pa.table(
            {
                "given": pa.array(list(specs), pa.string()),
                "name": pa.array([spec.name for spec in specs.values()], pa.string()),
                "model_digest": pa.array([spec.digest for spec in specs.values()], pa.string()),
                "model_spec": pa.array([spec.columns() for spec in specs.values()], RESOLVED_COLUMNS["model_spec"]),
            }
        ),
    )
    return any(spec.keeps_scene for spec in specs.values())


def _find_clips(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Create the table `clips` with the clips of the requests, read from their datasets. Returns the SQL of each
    dataset, by URL.

    `clip_key` covers what every model reads of a clip, `scene_key` also what models read that keep the scene.
    """
    kind = sql_type_of(RESOLVED_COLUMNS["clip"])
    keys = "clip_key VARCHAR, scene_key VARCHAR"
    connection.execute(f"CREATE TEMP TABLE clips (clips_uri VARCHAR, clip_id VARCHAR, {keys}, clip {kind})")
    uris = connection.execute("SELECT DISTINCT clips_uri FROM requests WHERE clips_uri IS NOT NULL ORDER BY 1")
    datasets: dict[str, str] = {}
    for (url,) in uris.fetchall():
        relation = Ledger(Storage(url), "clip_id").relation(connection)
        if not relation:
            continue
        datasets[url] = relation
        columns = column_names(connection, relation)
        # Clips of `ingest` have no keypoints, and clips that failed in `prepare` may have none.
        pose_key, *scene_keys = (
            f"list_filter(stage_keys, lambda e: e.name = '{stage}')[1].value"
            if "stage_keys" in columns
            else "NULL::VARCHAR"
            for stage in (PoseStage.name, CharacterMaskStage.name, ObjectMasksStage.name, StructuredDepthStage.name)
        )
        values = {field.name: field.name if field.name in columns else "NULL" for field in RESOLVED_COLUMNS["clip"]}
        values["keypoints_file"] = f"CASE WHEN {pose_key} IS NOT NULL THEN filename END"
        packed = ", ".join(f"{name} := {value}" for name, value in values.items())
        parts = ("status", "fingerprint", "start_seconds", "num_frames", "frame_step", "fps")
        facts = [*(values[name] for name in parts), pose_key]
        more = [*(values[name] for name in ("width_px", "height_px", "objects")), *scene_keys]
        connection.execute(
            f"INSERT INTO clips SELECT ?, clip_id, {_md5_sql(facts)}, {_md5_sql([*facts, *more])}, "  # noqa: S608
            f"struct_pack({packed}) FROM {relation} "
            "SEMI JOIN (SELECT clip_id FROM requests WHERE clips_uri = ?) USING (clip_id)",
            [url, url],
        )
    return datasets


def _md5_sql(values: Iterable[str]) -> str:
    texts = ", ".join(f"coalesce({value}::VARCHAR, '')" for value in values)
    return f"md5(concat_ws('|', {texts}))"


def absolute_uri(uri: str) -> str:
    """Make a local path absolute; URIs with a scheme are returned unchanged."""
    return uri if "://" in uri else str(Path(uri).absolute())
