"""Records the files of a workspace: idempotent, and safe beside other syncs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from gpd.params import PARAMS_FILE, load_params
from gpd.registry.documents import Document, read_workspace
from gpd.registry.engine import make_engine, registry_url, shown, writing
from gpd.registry.recording import record
from gpd.registry.schema import create_or_check

DOCUMENTS_AT_ONCE = 20  # in one transaction: short enough that others get their turn
PROBLEMS_KEPT = 20


@dataclass
class SyncResult:
    """What a sync found: documents that said something new, documents known already, and what was wrong."""

    url: str
    num_new: int = 0
    num_known: int = 0
    num_problems: int = 0
    problems: list[str] = field(default_factory=list)


def sync(*, workspace: Path = Path(), url: str | None = None) -> SyncResult:
    """Records the manifests, evaluations, runs and dvc.lock of a workspace; makes the database if there is none.

    Each document is recorded whole or not at all; one that cannot be used is a problem in the result and stops no
    other. Memory does not depend on the number of documents.

    Raises:
        UserError: params.yaml cannot be read, or the database cannot be written.
    """
    model_path = load_params(workspace / PARAMS_FILE).model.path
    parsed = registry_url(url)
    engine = make_engine(parsed)
    with writing(engine) as connection:
        create_or_check(connection, shown(parsed))
    return _record_all(engine, read_workspace(workspace, model_path))


def _record_all(engine: Engine, documents: Iterator[Document]) -> SyncResult:
    result = SyncResult(shown(engine.url))
    while batch := list(islice(documents, DOCUMENTS_AT_ONCE)):
        _record_batch(engine, batch, result)
    return result


def _record_batch(engine: Engine, batch: list[Document], result: SyncResult) -> None:
    problems = [document.problem for document in batch if document.problem]
    with writing(engine) as connection:
        news = [record(connection, document.rows) for document in batch if document.rows]
    result.num_new += sum(news)
    result.num_known += len(news) - sum(news)
    result.num_problems += len(problems)
    result.problems += problems[: PROBLEMS_KEPT - len(result.problems)]
