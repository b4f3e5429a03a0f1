import json
from pathlib import Path

import pytest

from gpd.artifacts import UserError
from gpd.planning.devices import DEVICES, parse_devices


def test_names_and_numbers():
    assert parse_devices("h100") == (DEVICES["h100"], 1)
    assert parse_devices("a100-80:4") == (DEVICES["a100-80"], 4)


@pytest.mark.parametrize("text", ["h100:0", "h100:", "gtx", "", "h100:8:8"])
def test_anything_else_is_refused_with_the_names(text: str):
    with pytest.raises(UserError, match=r"plan: gpu='.*' is not NAME or NAME:NUMBER with a name of .*h100"):
        parse_devices(text)


def test_what_was_measured_goes_before_what_is_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    file = Path("data/benchmarks/h100.json")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"flops_per_second": 3e14}))
    device, _ = parse_devices("h100:8")
    assert device.is_measured
    assert device.flops_per_second == pytest.approx(3e14)
    assert not device.guides_apart
    file.write_text(json.dumps({"flops_per_second": 3e14, "guided": {"faster": "apart"}}))
    assert parse_devices("h100")[0].guides_apart
    file.write_text("{}")
    with pytest.raises(UserError, match=r"data/benchmarks/h100\.json: has no number"):
        parse_devices("h100")
