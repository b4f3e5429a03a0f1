"""What a card says of a student, from the registry alone: its files need not be here."""

from typing import Any

from gpd.artifacts import UserError
from gpd.documents import BaseFacts, StudentFacts, flatten
from gpd.models.exchange import Exchange
from gpd.models.families import FAMILIES
from gpd.registry import find_artifact, scores, show
from gpd.registry.questions import Shown
from gpd.registry.tables import Protocol
from gpd.release.card import Card, Ingredient
from gpd.release.figures import Figures, tabulate
from gpd.sampling.subject import student_grid


def describe_recorded(*, session: Any, key: str) -> Card:
    """By an alias, a hash or a name.

    Raises:
        UserError: it is no student, or its manifest was never seen.
    """
    shown = show(session=session, key=key)
    if shown.kind != StudentFacts.kind or not shown.is_known:
        raise UserError(f"{key}: a card is of a student; {shown.content[:12]} is of kind {shown.kind}")
    facts = StudentFacts.model_validate(shown.facts)
    settings = flatten(find_artifact(key=shown.content, session=session).params or {})
    return Card(
        content=shown.content,
        facts=facts,
        settings=settings,
        base=_base_of(shown, session),
        exchange=_exchange(),
        grid=student_grid(facts.grid_steps, facts.horizon, float(settings["model.shift"])),
        ingredients=[_ingredient(parent, session) for parent in shown.parents],
        figures=_figures(shown, session),
        total_forwards=shown.total_forwards,
        exports=[],
        place=next((str(place["path"]) for place in shown.locations), shown.name or shown.content),
    )


def _exchange() -> Exchange:
    """Of the one family that other programs read; manifests name no family."""
    return next(family.exchange for family in FAMILIES.values() if family.exchange)


def _base_of(shown: Shown, session: Any) -> BaseFacts | None:
    if shown.base is None:
        return None
    facts = find_artifact(key=shown.base["content"], session=session).facts
    return BaseFacts.model_validate(facts) if facts else None


def _ingredient(parent: dict[str, Any], session: Any) -> Ingredient:
    facts = find_artifact(key=parent["content"], session=session).facts or {}
    return Ingredient(parent["relation"], parent["kind"], parent["content"], facts)


def _figures(shown: Shown, session: Any) -> list[Figures]:
    base = scores(session=session, content=shown.base["content"]) if shown.base else []
    names = {score.protocol for score in shown.scores}
    protocols = {name: {**session.get(Protocol, name).fields, "hash": name} for name in names}
    return tabulate(shown.scores, base, protocols)
