"""Promises of `receive`: get; ack when the block ends, nack when it raises, nothing when the message is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtsid import Empty, Message, MessageQueue, ShutDown, Stale


class Failed(Exception):
    """What a block raises here."""


Block = Callable[[Message[str]], object]
Receive = Callable[..., object]


def plain(queue: MessageQueue[str], block: Block, timeout: float | None = 5) -> None:
    with queue.receive(True, timeout) as message:
        block(message)


def coroutine(queue: MessageQueue[str], block: Block, timeout: float | None = 5) -> None:
    async def received() -> None:
        async with queue.receive_async(timeout) as message:
            block(message)

    asyncio.run(received())


@pytest.fixture(params=[plain, coroutine])
def receive(request: pytest.FixtureRequest) -> Receive:
    """`receive(queue, block)`, as a thread does it and as a coroutine does."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def queue() -> Iterator[MessageQueue[str]]:
    """Two messages wait."""
    queue: MessageQueue[str] = MessageQueue(9)
    queue.put_many("ab")
    yield queue
    queue.audit()


def failing(message: Message[str]) -> None:
    raise Failed(message.body)


def test_the_message_is_acked_when_the_block_ends(queue: MessageQueue[str], receive: Receive) -> None:
    bodies: list[str] = []
    receive(queue, lambda message: bodies.append(message.body))
    receive(queue, lambda message: bodies.append(message.body))
    assert (bodies, len(queue)) == (["a", "b"], 0)


@pytest.mark.parametrize("error", [Failed, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_it_is_nacked_when_the_block_raises_whatever_that_is(
    queue: MessageQueue[str], receive: Receive, error: type[BaseException]
) -> None:
    def block(message: Message[str]) -> None:
        assert queue.in_flight() == 1
        raise error

    with pytest.raises(error):
        receive(queue, block)
    assert (queue.qsize(), queue.in_flight()) == (2, 0)
    message = queue.get()
    assert (message.body, message.deliveries) == ("a", 2)


@pytest.mark.parametrize("verb", ["ack", "nack", "delete"])
@pytest.mark.parametrize("fails", [False, True])
def test_what_the_block_or_others_have_settled_is_left_at_that(
    queue: MessageQueue[str], receive: Receive, verb: str, fails: bool
) -> None:
    def block(message: Message[str]) -> None:
        getattr(queue, verb)(message.mtsid if verb == "delete" else message)
        if fails:
            raise Failed

    if fails:
        with pytest.raises(Failed):
            receive(queue, block)
    else:
        receive(queue, block)
    assert (queue.qsize(), queue.in_flight()) == (2 if verb == "nack" else 1, 0)
    assert queue.stats().stale == 0


def test_a_message_that_was_returned_and_got_by_another_is_that_ones(
    queue: MessageQueue[str], receive: Receive
) -> None:
    taken: list[Message[str]] = []

    def block(message: Message[str]) -> None:
        queue.nack(message)
        taken.append(queue.get())

    receive(queue, block)
    assert taken[0].deliveries == 2
    queue.ack(taken[0])


def test_if_nothing_waits_the_block_is_not_entered(receive: Receive) -> None:
    queue: MessageQueue[str] = MessageQueue(1)
    with pytest.raises(Empty):
        receive(queue, failing, 0.001)
    queue.shutdown()
    with pytest.raises(ShutDown):
        receive(queue, failing)


def test_without_block_it_says_no_at_once() -> None:
    queue: MessageQueue[str] = MessageQueue(1)
    with pytest.raises(Empty), queue.receive(False, "ignored"):  # type: ignore[arg-type]
        raise AssertionError("entered")


def test_a_nack_that_fails_comes_out_with_what_the_block_raised_behind_it(
    queue: MessageQueue[str], receive: Receive
) -> None:
    def block(message: Message[str]) -> None:
        queue.shutdown(immediate=True)
        raise Failed

    with pytest.raises(ShutDown) as caught:
        receive(queue, block)
    assert caught.value.discarded == ("a",)
    assert isinstance(caught.value.__context__, Failed)


def test_a_block_that_fails_too_often_gives_its_message_to_on_dead(receive: Receive) -> None:
    dead: list[Message[str]] = []
    queue: MessageQueue[str] = MessageQueue(1, max_deliveries=2, on_dead=dead.append)
    queue.put("a")
    for _ in range(2):
        with pytest.raises(Failed):
            receive(queue, failing)
    assert [(message.body, message.deliveries) for message in dead] == [("a", 2)]
    assert len(queue) == 0


def test_nothing_is_taken_before_the_block_is_entered_nor_by_one_that_never_is(queue: MessageQueue[str]) -> None:
    queue.receive(), queue.receive_async()
    assert queue.qsize() == 2


def test_a_block_receives_one_message(queue: MessageQueue[str]) -> None:
    receiving = queue.receive()
    with receiving, pytest.raises(RuntimeError, match="one message"), receiving:
        raise AssertionError("entered twice")
    with pytest.raises(RuntimeError, match="one message"), receiving:
        raise AssertionError("entered twice")
    assert len(queue) == 1
    again = queue.receive_async()

    async def enter() -> None:
        async with again:
            pass
        with pytest.raises(RuntimeError, match="one message"):
            async with again:
                raise AssertionError("entered twice")

    asyncio.run(enter())
    assert len(queue) == 0


@pytest.mark.parametrize("kind", ["receive", "receive_async"])
def test_a_block_is_made_by_its_queue_alone(queue: MessageQueue[str], kind: str) -> None:
    block = getattr(queue, kind)()
    with pytest.raises(TypeError, match="by hand"):
        type(block)()
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        block.__reduce_ex__(2)


def test_the_plain_kind_is_not_the_other(queue: MessageQueue[str]) -> None:
    assert not hasattr(queue.receive_async(), "__enter__")
    assert not hasattr(queue.receive(), "__aenter__")


@pytest.mark.parametrize("turns", range(4))
def test_a_task_that_is_cancelled_in_its_block_gives_the_message_back(queue: MessageQueue[str], turns: int) -> None:
    async def work() -> None:
        async with queue.receive_async():
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (queue.qsize(), queue.in_flight()) == (2, 0)


def test_a_dropped_coroutine_gives_the_message_back(queue: MessageQueue[str]) -> None:
    async def work(pause: Callable[[], Any]) -> None:
        async with queue.receive_async():
            await pause()

    class Pause:
        def __await__(self) -> Iterator[None]:
            yield

    by_hand = work(Pause)
    by_hand.send(None)
    assert queue.in_flight() == 1
    by_hand.close()
    assert (queue.qsize(), queue.in_flight()) == (2, 0)


def test_an_ack_by_another_receipt_is_refused_as_ever(queue: MessageQueue[str]) -> None:
    with queue.receive() as message:
        pass
    with pytest.raises(Stale):
        queue.ack(message)
