"""`zoetrope evaluate cards`: measures on held-out puppets, into the cards of the models that ship."""

from __future__ import annotations

from itertools import groupby

from jobs.cards.animation import write_card
from jobs.cards.measures import is_of_a_task, readme_table, store_measures
from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.recipes.table import RECIPES
from models.systems import find_model, model_names
from models.weights.resolve import shipped_path
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.tables import evaluation_tables
from stages.io.storage import Storage


def update_cards(scores: str, *, console: Console) -> JobResult:
    """Store the tables of each model that ships beside its checkpoint, rewrite its card, and print the README's table.

    Args:
        scores: dataset of `zoetrope evaluate --group-by task`, of the requests of `zoetrope evaluate draw`.
        console: output.

    Raises:
        ValueError: the dataset has no tables of held-out tasks.
    """
    tables = [each for each in evaluation_tables(Ledger(Storage(scores), "animation_id")) if is_of_a_task(each)]
    shipped = {name for name in model_names() if find_model(name).variant.ships}
    tables = [each for each in tables if each.model in shipped]
    if not tables:
        raise ValueError(
            f"{scores} has no table of a model that ships in a held-out task; evaluate animations of the requests of "
            "`zoetrope evaluate draw` with --group-by task"
        )
    for name, of_model in groupby(tables, key=lambda each: each.model):
        model = find_model(name)
        path, card = shipped_path(model.variant.weights), RECIPES[model.system.name].card
        assert card is not None  # every model that ships has one
        store_measures(path, list(of_model))
        write_card(path, card)
        console.line(f"card: {path.with_name('CARD.md')}")
    console.line(readme_table(tables))
    return JobResult(exit_code=0, summary={"verb": "evaluate cards", "tables": len(tables)})
