"""What every format does: write a file or a folder, load it as its readers do, compare, say what was lost."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from gpd.artifacts import UserError
from gpd.documents import Exported
from gpd.models.exchange import Weights
from gpd.release.factors import Adapter, extract
from gpd.release.student import Student

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        rank: of the factors to extract from a student of full weights; None to extract none.
    """

    student: Student
    rank: int | None = None

    @cached_property
    def adapter(self) -> Adapter | None:
        """The student's factors, its own or extracted; None if it has none and none shall be extracted."""
        own = self.student.adapter
        if own is not None or self.rank is None:
            return own
        return extract(self.student.weights, self.student.base_weights, self.rank)


class Format(ABC):
    """One way to pass a student on.

    Attributes:
        name: on the command line.
        dtype: of the weights unless another is asked for. Full weights stay as they were trained: rounding them can
            undo more than a stage has learnt. Factors are the change alone and lose .3 % of it to bfloat16.
    """

    name: ClassVar[str]
    dtype: ClassVar[str]

    def reason_against(self, source: Source) -> str | None:
        """Why this student has no such form; None if it has."""
        return None

    @abstractmethod
    def write(self, source: Source, folder: Path, dtype: str) -> Path:
        """Writes below `folder`; returns the file, or the folder if it is one."""

    @abstractmethod
    def read(self, source: Source, path: Path) -> Weights:
        """The student's float32 weights from what was written, as this format's readers load it."""

    @abstractmethod
    def expect(self, source: Source, dtype: str) -> Weights:
        """What `read` has to find."""

    def export(self, source: Source, folder: Path, dtype: str | None) -> Exported:
        """Writes, loads and compares.

        Raises:
            UserError: the student has no such form, a value overflows, or what is read back is not what was meant.
        """
        if reason := self.reason_against(source):
            raise UserError(f"--format {self.name}: {reason}")
        chosen = dtype or self.dtype
        path = self.write(source, folder, chosen)
        found = self.read(source, path)
        self.compare(source, found, self.expect(source, chosen))
        return Exported(
            format=self.name,
            path=path.relative_to(folder).as_posix(),
            size=size_of(path),
            dtype=chosen,
            rank=self.rank(source),
            lost=share_lost(source.student, found),
        )

    def compare(self, source: Source, found: Weights, expected: Weights) -> None:
        """Every weight, so that a key which a reader dropped in silence is seen.

        Raises:
            UserError: naming the first weight that differs.
        """
        if found.keys() != expected.keys():
            raise UserError(f"{self.name}: read back, {min(found.keys() ^ expected.keys())} is missing or new")
        for name, weight in expected.items():
            if not bool((found[name] - weight).abs().max() <= self.allowed(source, name, weight)):
                raise UserError(f"{self.name}: read back, {name} is not what was written")

    def allowed(self, source: Source, name: str, expected: Tensor) -> float:
        """How far a weight may be from what is expected."""
        return 0.0

    def rank(self, source: Source) -> int | None:
        """Of the factors in the file; None if it has none."""
        return None


def size_of(path: Path) -> int:
    """Bytes of a file, or of all below a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def share_lost(student: Student, found: Weights) -> float | None:
    """|found - student| / |student - base| over all weights: what of the learnt is gone; None without the base."""
    if student.base is None:
        return None
    gap = _distance(found, student.weights)
    learnt = _distance(student.weights, student.base_weights)
    return float(f"{gap / learnt:.3g}") if learnt else 0.0


def _distance(one: Weights, other: Weights) -> float:
    squares = sum(float((one[name] - other[name]).double().square().sum()) for name in one)
    return float(squares**0.5)


def rounded(name: str, weight: Tensor, dtype: str) -> Tensor:
    """In this type.

    Raises:
        UserError: a value is too large for it.
    """
    result = weight.to(DTYPES[dtype]).contiguous()
    if not bool(torch.isfinite(result).all()):
        raise UserError(f"--dtype={dtype}: {name} has values that are not finite in it")
    return result
