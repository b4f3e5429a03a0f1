import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gpd.cli import main
from gpd.models.use import PROFILES
from gpd.params import Params
from tests.workspace import add_pipeline

HEAVY = ("torch", "diffusers", "transformers", "av", "cv2", "sqlmodel", "pydantic", "vl_convert")


# Commands that compute with nothing, and what they must not wait for.
WITHOUT_TENSORS = ("gpd.data.prepare", "gpd.report.report", "gpd.registry.sync")


class Said(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Said]


@pytest.fixture
def gpd(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The entry point in this process: another one would import torch and diffusers each time."""

    def call(*words: str, cwd: Path) -> Said:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["gpd", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code or 0
        assert isinstance(status, int)
        return Said(status, *capsys.readouterr())

    return call


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, gpd.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_who_computes_nothing_imports_no_tensors() -> None:
    code = f"import sys, {', '.join(WITHOUT_TENSORS)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_as_a_process_too_a_mistake_is_one_line_and_status_2(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "gpd", "prepare"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "gpd: params.yaml: no such file; `gpd use tiny-wan` writes one\n"


def test_every_command_has_help(gpd: Command, tmp_path: Path) -> None:
    listing = gpd("--help", cwd=tmp_path)
    assert listing.returncode == 0
    for command in (
        "use",
        "fetch",
        "prepare",
        "encode",
        "distill",
        "sample",
        "evaluate",
        "report",
        "generate",
        "export",
        "plan",
    ):
        assert command in listing.stdout
        assert gpd(command, "--help", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare"], "params.yaml: no such file; `gpd use tiny-wan` writes one"),
        (["use", "wan3"], f"use: profile='wan3' is not one of {', '.join(PROFILES)}"),
        (["plan", "--profile", "wan3"], f"plan: profile='wan3' is not one of {', '.join(PROFILES)}"),
        (["generate", "--prompt", "a", "--seed", "1", "--seeds", "0,1"], "--seed=1 and --seeds=0,1: give one of them"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(gpd: Command, tmp_path: Path, words: list[str], message: str) -> None:
    done = gpd(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == f"gpd: {message}"
    assert "Traceback" not in done.stderr


def test_a_profile_of_large_wan_goes_as_far_as_it_can_without_weights(gpd: Command, tmp_path: Path) -> None:
    used = gpd("use", "wan2.1-1.3b", cwd=tmp_path)
    assert used.returncode == 0
    assert "waits for weights; run `gpd fetch` (Wan-AI/Wan2.1-T2V-1.3B-Diffusers at" in used.stdout
    add_pipeline(tmp_path)
    source = tmp_path / "data" / "sources" / "mine"
    source.mkdir(parents=True, exist_ok=True)
    (source / "prompts.txt").write_text("\n".join(f"prompt number {n}" for n in range(80)))
    assert gpd("prepare", cwd=tmp_path).returncode == 0
    encoded = gpd("encode", cwd=tmp_path)
    assert encoded.returncode == 2
    assert "model.path='data/wan2.1-1.3b': no weights there" in encoded.stderr
    assert "gpd fetch" in encoded.stderr
    assert "Traceback" not in encoded.stderr


def test_use_keeps_params_that_are_of_no_profile(gpd: Command, tmp_path: Path) -> None:
    gpd("use", "tiny-wan", cwd=tmp_path)
    edited = (tmp_path / "params.yaml").read_text().replace("seed: 0", "seed: 1")
    (tmp_path / "params.yaml").write_text(edited)
    done = gpd("use", "tiny-wan", cwd=tmp_path)
    assert "your params.yaml is kept as params.yaml.old" in done.stdout
    assert (tmp_path / "params.yaml.old").read_text() == edited


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["k8"], "export: --to FOLDER is missing; --card prints the card alone"),
        (
            ["k8", "--to", "out", "--format", "onnx"],
            "--format=onnx: must be one of diffusers, lora, lora-native, native, all",
        ),
        (["k8", "--to", "out", "--dtype", "fp8"], "--dtype=fp8: must be one of bf16, fp16, fp32"),
        (["k8", "--to", "params.yaml"], "--to=params.yaml: is there already; --force replaces an earlier release"),
        (["k8", "--to", "out"], "export k8: no student at data/students/k8, and "),
    ],
)
def test_a_mistake_in_export_is_one_line_and_status_2(
    gpd: Command, tmp_path: Path, words: list[str], message: str
) -> None:
    gpd("use", "tiny-wan", cwd=tmp_path)
    done = gpd("export", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"gpd: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_cards_from_the_command_line(gpd: Command, workspace: Params, small_wan: Path) -> None:
    here = Path.cwd()
    gpd("use", "tiny-wan", cwd=here)
    (here / "data" / "tiny-wan").symlink_to(small_wan)
    assert gpd("registry", "sync", cwd=here).returncode == 0
    for words in (["export", "data/students/k4", "--card"], ["registry", "card", "k4"]):
        done = gpd(*words, cwd=here)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("---\nlicense: apache-2.0\n")
    exported = gpd("export", "data/students/k4", "--to", "out", "--format", "native", cwd=here)
    assert exported.returncode == 0, exported.stderr
    assert "export: native: small_wan_gpd_2step_fp32.safetensors" in exported.stdout
    assert "0.00% of what was learnt is lost" in exported.stdout
