"""`zoetrope evaluate cards`: measures on held-out puppets, into the cards of published models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from jobs.cards.animation import CardText, write_card
from jobs.cards.measures import is_of_a_task, readme_table, store_measures
from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.recipes.table import RECIPES
from jobs.training.run_files import PUBLISHED
from jobs.training.trained_models import open_trained
from models.common.digest import CheckpointError
from models.systems import find_model, model_names
from models.weights.resolve import shipped_path
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.tables import evaluation_tables
from stages.io.storage import Storage


def update_cards(scores: str, *, models: Sequence[str] = (), console: Console) -> JobResult:
    """Store the tables of each published model beside its checkpoint, rewrite its card, and print the README's table.

    Args:
        scores: dataset of `zoetrope evaluate --group-by task`, of the requests of `zoetrope evaluate draw`.
        models: folders of `zoetrope train publish`, for models that do not ship.
        console: output.

    Raises:
        CheckpointError: a folder of `models` is no publication on this machine.
        ValueError: the dataset has no tables of held-out tasks, or none of one of `models`.
    """
    tables = [each for each in evaluation_tables(Ledger(Storage(scores), "animation_id")) if is_of_a_task(each)]
    by_model = {name: list(group) for name, group in groupby(tables, key=lambda each: each.model)}
    cards = dict(_included())
    for folder in models:
        name, path = _published(folder)
        if name not in by_model:
            raise ValueError(
                f"{scores} has no table of {name} in a held-out task; it has those of {', '.join(by_model) or 'none'}"
            )
        cards[name] = (path, None)
    for name in sorted(by_model.keys() - cards.keys()):
        console.warning(f"no card of {name}: it does not ship; --model names the folder to which it was published")
    written = [name for name in by_model if name in cards]
    if not written:
        raise ValueError(
            f"{scores} has no table of a model that ships or of --model in a held-out task; evaluate animations of the "
            "requests of `zoetrope evaluate draw` with --group-by task"
        )
    for name in written:
        path, text = cards[name]
        store_measures(path, by_model[name])
        write_card(path, text)
        console.line(f"card: {path.with_name('CARD.md')}")
    shown = [each for name in written for each in by_model[name]]
    console.line(readme_table(shown))
    return JobResult(exit_code=0, summary={"verb": "evaluate cards", "tables": len(shown)})


def _included() -> Iterator[tuple[str, tuple[Path, CardText | None]]]:
    """Checkpoint and text of the card of every model that ships, by name."""
    for name in model_names():
        model = find_model(name)
        if model.variant.ships:
            yield name, (shipped_path(model.variant.weights), RECIPES[model.system.name].card)


def _published(folder: str) -> tuple[str, Path]:
    """Name in results, and checkpoint, of a publication. Raises CheckpointError."""
    path = Path(folder, PUBLISHED)
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no {PUBLISHED}, expected a folder of `zoetrope train publish` on this machine, where the "
            "card is"
        )
    return open_trained(folder).model.name, path
