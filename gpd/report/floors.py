"""What metrics read where nothing was trained: measured once by `gpd floors`, for all students of a protocol."""

from gpd.documents import Floors, Score, load_document
from gpd.evaluation.protocol import FLOORS

OTHER_NOISE = "other noise"


def load_floors(protocol: str) -> dict[str, dict[str, Score]]:
    """What was set against the reference -> metric -> score; empty if none were measured under the protocol.

    Raises:
        UserError: the file is there but not what it should be.
    """
    if not FLOORS.exists():
        return {}
    floors = load_document(Floors, FLOORS, "run `gpd floors` again")
    return {str(name): scores for name, scores in floors.scores.items()} if floors.protocol == protocol else {}
