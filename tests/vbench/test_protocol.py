from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.vbench.protocol import keep_protocol


def test_the_same_protocol_passes_and_another_is_named_by_key_and_values(tmp_path: Path) -> None:
    path = tmp_path / "out" / "sampling.json"
    keep_protocol(path, {"shift": 3.0, "seeds": [0]})
    keep_protocol(path, {"seeds": [0], "shift": 3.0})
    with pytest.raises(UserError, match=r"sampling.json: stored with shift=3.0, now it is 5.0"):
        keep_protocol(path, {"shift": 5.0, "seeds": [0]})
    with pytest.raises(UserError, match="stored with width=None, now it is 64"):
        keep_protocol(path, {"shift": 3.0, "seeds": [0], "width": 64})
