"""Every reader of what may come from elsewhere: what it is fed, and how it is called."""

import functools
import io
import json
import re
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from gpd import documents
from gpd.artifacts import MANIFEST, UserError
from gpd.data.clips import BrokenClipError
from tests.attack import hostile
from tests.attack.miniature import ATTACKED, Miniature


@dataclass(frozen=True)
class Reader:
    """A way in.

    Attributes:
        inputs: what it is fed.
        read: reads one of them; in a folder of its own, the working directory.
        refuses: the errors of one line with which it may refuse.
    """

    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]
    refuses: tuple[type[Exception], ...] = (UserError,)


def all_readers(made: Miniature) -> dict[str, Reader]:
    """By name. Valid inputs are those of the miniature."""
    last = made.after(ATTACKED[-1])
    return {
        **_yaml_readers(last),
        **_json_readers(last),
        **_lines_readers(last),
        **_binary_readers(last),
        **_word_readers(last),
        **word_readers(),
        **writers(),
    }


def _of_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of bytes from a reader of a file."""

    def of_bytes(data: bytes) -> object:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return read(path)

    return of_bytes


# --- documents


def _yaml_readers(last: Path) -> dict[str, Reader]:
    from gpd.ablation.grid import load_grid
    from gpd.params import load_params
    from gpd.stages import load_stages
    from tests.attack.miniature import ROOT

    params = yaml.safe_load((last / "params.yaml").read_text())
    grid = yaml.safe_load((ROOT / "data/ablation/grid.yaml").read_text())
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    dump = functools.partial(yaml.safe_dump, allow_unicode=True)
    return {
        "params.yaml": Reader(hostile.documents(params, dump), _of_file("params.yaml", load_params)),
        "grid.yaml": Reader(hostile.documents(grid, dump), _of_file("grid.yaml", load_grid)),
        "dvc.yaml": Reader(
            hostile.documents(pipeline, dump), _of_file("dvc.yaml", lambda path: load_stages(Path(), params))
        ),
    }


def _json_readers(last: Path) -> dict[str, Reader]:
    from gpd.distillation.saving.train_state import TrainState
    from gpd.documents import AblationResults, Evaluation, Listing, Profiles, RunRecord, load_document
    from gpd.models.families import open_model
    from gpd.models.folders import INDEX, load_config

    def document(kind: Any) -> Callable[[bytes], object]:
        return _of_file("it.json", lambda path: load_document(kind, path, "make it anew"))

    evaluation = last / "data/evaluations/k4"
    valid = {
        "evaluation.json": (evaluation / "evaluation.json", Evaluation),
        "profiles.json": (evaluation / "profiles.json", Profiles),
        "samples.json": (last / "data/samples/k4/samples.json", Listing),
        "run record": (next((last / ".work/runs").iterdir()), RunRecord),
    }
    results = {"format": 1, "protocol": "p", "seeds": [0, 1], "rows": [], "floors": []}
    state = {"format": 1, "iteration": 3, "tag": "at-3", "files": {"part-0-of-1.safetensors": "0" * 64}, "facts": {}}
    index = json.loads((last / "data/base" / INDEX).read_text())
    return {
        **{
            name: Reader(hostile.documents(json.loads(path.read_text())), document(kind))
            for name, (path, kind) in valid.items()
        },
        "results.json": Reader(hostile.documents(results), document(AblationResults)),
        **{f"manifest of {name}": Reader(*_manifest(last / name)) for name in _FOLDERS},
        "state.json": Reader(
            hostile.documents(state), _of_file("state.json", lambda _: TrainState(Path(), save_every_seconds=1).load())
        ),
        "model_index.json": Reader(hostile.documents(index), _of_file(INDEX, lambda _: open_model(Path()))),
        "config.json": Reader(hostile.documents(index), _of_file("config.json", load_config)),
    }


_FOLDERS = (
    "data/base",
    "data/prompts",
    "data/latents",
    "data/students/k4",
    "data/samples/k4",
    "data/evaluations/k4/clips",
)


def _manifest(folder: Path) -> tuple[st.SearchStrategy[bytes], Callable[[bytes], object]]:
    def read(_: Path) -> None:
        manifest = documents.load_manifest(Path())
        documents.verify(Path())
        for name in manifest.files:
            with suppress(UserError):
                path = documents.inside.path_inside(Path(), name)
                assert path.resolve().is_relative_to(Path().resolve()), path

    return hostile.documents(json.loads((folder / MANIFEST).read_text())), _of_file(MANIFEST, read)


# --- lines


def _lines_readers(last: Path) -> dict[str, Reader]:
    from gpd.data.captions import read_clips
    from gpd.data.sources import read_prompts
    from gpd.registry import import_file

    source = last / "data/source"
    rows = [{"text": line} for line in (source / "prompts.txt").read_text().splitlines()]
    captions = [json.loads(line) for line in (source / "clips/captions.jsonl").read_text().splitlines()]
    header = [{"format": 1, "revision": "r0001"}, {"table": "artifact", "row": {"content": "0" * 64, "kind": "base"}}]

    def lines(valid: list[Any]) -> st.SearchStrategy[bytes]:
        return hostile.documents(valid, lambda found: _as_lines(found))

    def clips(path: Path) -> object:
        for number in range(2):
            Path(f"clips/{number}.mp4").write_bytes(b"")
        return read_clips(Path(), "clips")

    text = (source / "prompts.txt").read_bytes()
    return {
        "prompts.txt": Reader(hostile.mutated(text), _of_file("prompts.txt", lambda _: read_prompts(Path()))),
        "prompts.jsonl": Reader(lines(rows), _of_file("prompts.jsonl", lambda _: read_prompts(Path()))),
        "captions.jsonl": Reader(lines(captions), _of_file("clips/captions.jsonl", clips)),
        "registry import": Reader(lines(header), _of_file("it.jsonl", lambda path: import_file(path, "it.db"))),
    }


def _as_lines(found: Any) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in (found if isinstance(found, list) else [found]))


# --- shards, weights, clips, the registry's file


def _binary_readers(last: Path) -> dict[str, Reader]:
    from gpd.data.clips import load_clip, load_whole_clip
    from gpd.models.weights import find_gaps
    from gpd.registry import list_checkpoints, open_registry

    shard = next((last / "data/latents").glob("text-*.tar")).read_bytes()
    weights = next((last / "data/base/transformer").glob("*.safetensors")).read_bytes()
    clip = next((last / "data/source/clips").glob("*.mp4")).read_bytes()
    database = (last / "registry.db").read_bytes()

    def whole_and_fitted(path: Path) -> object:
        with suppress(BrokenClipError):
            load_whole_clip(path)
        return load_clip(path, frames_per_second=16.0, num_frames=5, height=16, width=16)

    def listed(path: Path) -> object:
        with open_registry(str(path)) as session:
            return list_checkpoints(session=session)

    return {
        "shard": Reader(st.one_of(hostile.mutated(shard), tars()), functools.partial(_read_shard, last)),
        "weights": Reader(st.one_of(hostile.mutated(weights), headers()), _of_file("w.safetensors", _gaps(find_gaps))),
        "clip.mp4": Reader(hostile.mutated(clip), _of_file("clip.mp4", whole_and_fitted), (BrokenClipError,)),
        "registry.db": Reader(hostile.mutated(database), _of_file("it.db", listed)),
    }


def _gaps(find: Callable[[Path], Any]) -> Callable[[Path], object]:
    return lambda path: list(find(path.parent))


def _read_shard(last: Path, data: bytes) -> None:
    """As the only shard of a folder whose manifest states it as it is: so that its content is read, not its digest."""
    from gpd.data.shards import Latents

    facts = documents.load_manifest(last / "data/latents").facts
    facts = facts.model_copy(update={"index": {"text": [facts.index["text"][0]]}})
    Path("text-00000.tar").write_bytes(data)
    documents.write_manifest(Path(), facts, inputs={}, params={})
    latents = Latents(Path())
    for text in latents.texts().values():
        assert np.isfinite(text).all()


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Archives of members that no shard has."""
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    ) as tar:
        for _ in range(draw(st.integers(0, 4))):
            name = draw(
                st.sampled_from(["../x.npy", "/tmp/x.npy", "a.embedding.npy", "a.text.json", "a", "", "x" * 300])
            )
            member = tarfile.TarInfo(name)
            member.type = draw(
                st.sampled_from(
                    [
                        tarfile.REGTYPE,
                        tarfile.SYMTYPE,
                        tarfile.LNKTYPE,
                        tarfile.CHRTYPE,
                        tarfile.DIRTYPE,
                        tarfile.GNUTYPE_SPARSE,
                    ]
                )
            )
            member.linkname = "/etc/passwd"
            content = draw(st.one_of(st.binary(max_size=200), npys()))
            member.size = len(content) if member.type == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@st.composite
def npys(draw: st.DrawFn) -> bytes:
    """Arrays whose header says what is not so."""
    shape = draw(st.sampled_from(["(4,)", "(10**12,)", "(-1,)", "()", "(2**40, 2**40)", "('a',)", "(" * 60]))
    dtype = draw(st.sampled_from(["'<f4'", "'|O'", "'<f2'", "'<U9'", "[('a', '<f4')]", "'<m8'", "3"]))
    order = draw(st.sampled_from(["False", "True", "None"]))
    header = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + draw(st.binary(max_size=64))


def headers() -> st.SearchStrategy[bytes]:
    """Safetensors whose header lies: about its own length, or about the places of its tensors."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    length = st.sampled_from([0, 1, 8, 2**31, 2**63 - 1, 2**64 - 1])
    lying = hostile.documents({"a": entry, "__metadata__": {"format": "pt"}})
    honest = lying.map(lambda header: len(header).to_bytes(8, "little") + header + bytes(8))
    return st.one_of(honest, st.tuples(length, lying).map(lambda two: two[0].to_bytes(8, "little") + two[1]))


# --- words of people


SECRET = "hunter2-secret"


def _word_readers(last: Path) -> dict[str, Reader]:
    from gpd.registry import find_checkpoint, open_registry
    from gpd.registry.sql import ask

    def query(text: str) -> object:
        with open_registry(str(last / "registry.db")) as session:
            return ask(session=session, query=text, limit=10)

    def spec(text: str) -> object:
        with open_registry(str(last / "registry.db")) as session:
            return find_checkpoint(session=session, spec=text)

    sql = st.one_of(hostile.texts, st.sampled_from(_QUERIES), hostile.mutated(b"SELECT * FROM scores").map(_decoded))
    return {
        "sql": Reader(sql, query),
        "checkpoint": Reader(st.one_of(hostile.texts, hostile.mutated(b"best:6:flicker").map(_decoded)), spec),
    }


def word_readers() -> dict[str, Reader]:
    """Those that need nothing of the miniature."""
    from flows.parameters import check_commit, check_overrides
    from gpd.models.weights import find_gaps
    from gpd.registry.engine import make_engine, registry_url, shown

    def url(text: str) -> object:
        try:
            said = shown(make_engine(registry_url(text)).url)
        except UserError as error:
            said = str(error)
        assert SECRET not in said or text.startswith("sqlite:///me:"), said  # there it is the path of a file
        return said

    def commit(text: str) -> None:
        check_commit(text)
        assert not text.startswith("-"), text
        assert text.isprintable() or not any(char in text for char in "\n\r\x00\x1b"), text

    urls = st.tuples(
        st.sampled_from(["postgresql://", "postgres:", "mysql://", "sqlite:///", "://", ""]),
        st.one_of(st.just(f"me:{SECRET}@"), st.just(""), texts_of()),
        texts_of(),
        st.sampled_from(["", f"?password={SECRET}", f"?sslpassword={SECRET}&x=[", f"?PASSWORD={SECRET}"]),
    ).map("".join)
    return {
        "registry URL": Reader(urls, url),
        "commit of a flow": Reader(hostile.texts, commit),
        "overrides of a flow": Reader(st.dictionaries(hostile.texts, hostile.values, max_size=3), check_overrides),
        "lying weights": Reader(headers(), _of_file("w.safetensors", _gaps(find_gaps))),
    }


def texts_of() -> st.SearchStrategy[str]:
    return st.one_of(hostile.texts, st.sampled_from(["host/db", "host:99999/db", "[::1", "localhost:port/db"]))


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_QUERIES = (
    "DELETE FROM artifact",
    "SELECT 1; DROP TABLE artifact",
    "SELECT 1) AS answer; DELETE FROM artifact; --",
    "WITH x AS (DELETE FROM artifact RETURNING 1) SELECT * FROM x",
    "SELECT load_extension('x')",
    "SELECT writefile('/tmp/gpd-x', 'x')",
    "PRAGMA writable_schema=1",
    "ATTACH '/tmp/gpd-x' AS y",
    "select :a, :gpd_limit",
    "values",
)


# --- what is shown: pages, terminal, markdown


def writers() -> dict[str, Reader]:
    from gpd.pages.html import document, paragraph, table
    from gpd.registry.printing import printable
    from gpd.release.card import escape

    def page(text: str) -> None:
        written = str(document(text, paragraph(text), table([text], [[text]], text)))
        assert written.count("<script") == _empty_page.count("<script"), text
        assert "<img src=x" not in written, text

    def terminal(text: str) -> None:
        assert printable(text).plain.isprintable() or not text, text

    def markdown(text: str) -> None:
        written = str(escape(text))
        assert "<script" not in written, written
        assert not re.search(r"(?<!\\)\]\(javascript", written), written  # an escaped bracket links nothing

    _empty_page = str(document("", paragraph(""), table([""], [[""]], "")))
    return {
        "HTML": Reader(hostile.texts, page),
        "terminal": Reader(hostile.texts, terminal),
        "markdown": Reader(hostile.texts, markdown),
    }
