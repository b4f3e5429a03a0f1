"""Records the files of a workspace: idempotent, and safe beside other syncs."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from gpd.params import PARAMS_FILE, load_params
from gpd.registry.documents import read_workspace
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
    documents = read_workspace(workspace, load_params(workspace / PARAMS_FILE).model.path)
    engine = make_engine(registry_url(url))
    result = SyncResult(shown(engine.url))
    with writing(engine) as connection:
        create_or_check(connection)
    while batch := list(islice(documents, DOCUMENTS_AT_ONCE)):
        problems = [document.problem for document in batch if document.problem]
        with writing(engine) as connection:
            is_new = [record(connection, document.rows) for document in batch if document.rows]
        result.num_new += sum(is_new)
        result.num_known += len(is_new) - sum(is_new)
        result.num_problems += len(problems)
        result.problems += problems[: PROBLEMS_KEPT - len(result.problems)]
    return result
