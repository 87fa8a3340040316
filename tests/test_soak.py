"""The soak can fail: each fault that it looks for, planted, is reported."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mtsid import Allocator, MessageQueue, v40

PLACE = Path(__file__).parents[1] / "tools" / "soak.py"


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    spec = importlib.util.spec_from_file_location("soak", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # where its dataclasses look
    spec.loader.exec_module(module)
    return module


def words(books: Any) -> str:
    return "; ".join(books.wrong)


@pytest.mark.parametrize("threads", [1, 4])
def test_sp2_stands_a_slice(soak: ModuleType, threads: int) -> None:
    for phase in (
        soak.allocator_phase("", 24_000 * threads, threads, Allocator(1, 250), 250),
        soak.queue_phase("", 24_000 * threads, threads, MessageQueue(250)),
    ):
        books = phase.slice_of(1000 * threads, threads)
        assert words(books) == ""
        assert books.operations >= 500 * threads
        assert books.moved > 200 * threads


def test_a_duplicate_id_is_reported(soak: ModuleType) -> None:
    phase = soak.allocator_phase("", 1000, 1, v40.Allocator(1, 30, defect="unchecked-wrap"), 30)
    assert "an id had two owners" in words(phase.slice_of(1000, 1))


class Leaky(Allocator):
    def release_many(self, ids: Any) -> None:
        super().release_many(list(ids)[1:])


def test_lost_ids_are_reported(soak: ModuleType) -> None:
    phase = soak.allocator_phase("", 1000, 1, Leaky(), 65535)
    assert "ids lost" in words(phase.slice_of(1000, 1))


def test_a_duplicate_mtsid_is_reported(soak: ModuleType) -> None:
    queue: v40.MessageQueue[int] = v40.MessageQueue(250, defect="unchecked-wrap")
    phase = soak.queue_phase("", 50_000, 1, queue)
    assert "two messages in flight under one MTSID" in words(phase.slice_of(2000, 1))


class Losing(MessageQueue[int]):
    def put_nowait(self, item: int, **keywords: Any) -> int:
        return 1 if item == 100 else super().put_nowait(item, **keywords)


class Doubling(MessageQueue[int]):
    def put_nowait(self, item: int, **keywords: Any) -> int:
        return super().put_nowait(max(item - 1, 0) if item % 1000 == 100 else item, **keywords)


class Overtaking(MessageQueue[int]):
    def get_many(self, *arguments: Any) -> list[Any]:
        return super().get_many(*arguments)[::-1]


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Losing, "messages lost"), (Doubling, "left twice, or were never put"), (Overtaking, "behind a later one")],
)
def test_a_faulty_queue_is_reported(soak: ModuleType, kind: Callable[[int], Any], told: str) -> None:
    phase = soak.queue_phase("", 50_000, 1, kind(250))
    assert told in words(phase.slice_of(1000, 1))


def test_growth_is_reported(soak: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    kept: list[Any] = []

    def leak(calls: int, threads: int) -> Any:
        kept.extend([0.5 * n] for n in range(1000))
        return soak.Books(calls, calls)

    assert not soak.soak(soak.Phase("leaking", 1, 2400, leak))
    assert "allocated blocks more than before" in capsys.readouterr().out
    assert soak.soak(soak.Phase("flat", 1, 2400, lambda calls, threads: soak.Books(calls, calls)))


@pytest.mark.long
def test_a_native_duplicate_is_reported(soak: ModuleType, tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    pytest.importorskip("Cython", reason="compiles the native part")
    native = soak.build_native(str(tmp_path))
    ids, owner = Allocator(1, 64), np.zeros(65, np.uint32)
    assert native.churn(ids, owner, 1, 1000, 8, False) == (2000, 0, 0, 0)
    owner[7] = 9  # another's
    operations, duplicates, refused, exhausted = native.churn(ids, owner, 1, 64, 8, False)
    assert (operations, duplicates, refused, exhausted) == (128, 1, 0, 0)
    ids.acquire_many(60)
    assert native.churn(ids, owner, 1, 8, 8, False)[3] > 0  # four ids for eight
    with pytest.raises(ValueError, match="1 to 64"):
        native.churn(ids, owner, 1, 1, 65, False)


@pytest.mark.parametrize("scale", ["nonsense", "nan", "0", "-1", "inf"])
def test_a_bad_scale_is_refused(
    soak: ModuleType, scale: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak.py", scale])
    assert soak.main() == 2
    assert "SOAK=0.001" in capsys.readouterr().err
