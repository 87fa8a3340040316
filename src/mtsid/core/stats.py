"""What an allocator, a table and a queue have counted."""

from typing import NamedTuple

__all__ = ["AllocatorStats", "QueueStats", "TableStats"]


class AllocatorStats(NamedTuple):
    """What `Allocator.stats` returns. `acquired == released + live + quarantined`, by construction.

    Nothing is counted on the way of an `acquire` or a `release` that succeeds: their numbers are read off the bitmap,
    in one pass. So all of it is exact when no other thread is at work; beside others each is one of about that time.
    """

    #: Ids up to the bound, less the excluded ones.
    capacity: int
    #: Ids that somebody has.
    live: int
    #: Ids that rest.
    quarantined: int
    #: Ids that may be handed out now.
    available: int
    #: Threads and coroutines that stand in line for an id.
    waiting: int
    #: The most live ids that were *seen* at once, never more than there were: by each `Exhausted`, `stats`, `len` and
    #: `reset`. So it is exact once the allocator was exhausted; a peak that was over before anybody looked is missed.
    high_water: int
    #: Ids taken, by whatever verb, since the allocator was made.
    acquired: int
    #: Ids given back, by whatever verb, and those whose quarantine is over.
    released: int
    #: Calls that ended with `Exhausted`.
    exhausted: int
    #: Releases refused because the id was not live: double and foreign ones. A bulk call counts each id.
    refused: int
    #: Leases whose exit found them stale.
    stale: int


class TableStats(NamedTuple):
    """What `InFlightTable.stats` returns, all of one instant. `added == released + live + quarantined`."""

    #: The ids of the range, less the excluded ones.
    capacity: int
    #: Ids that stand for a payload.
    live: int
    #: Ids that rest.
    quarantined: int
    #: Ids that may be handed out now.
    available: int
    #: Threads and coroutines that stand in line for an id.
    waiting: int
    #: The most live ids that there were at once.
    high_water: int
    #: Payloads that were added since the table was made.
    added: int
    #: Uses that are over: popped, reset, or at the end of their quarantine.
    released: int
    #: Calls of `add` and `add_async` that ended with `Exhausted`.
    exhausted: int
    #: Ids that a `pop` or `quarantine` did not find in use: foreign ones and double answers.
    refused: int
    #: Answers that came late: pops of an id in quarantine.
    late: int
    #: Generations that a `pop` or `quarantine` found to be over.
    stale: int


class QueueStats(NamedTuple):
    """What `MessageQueue.stats` returns: all of one instant, and exact, but for `getters` and `putters`.

    `put == waiting + in_flight + acked + deleted + dead + discarded`. What is put and got is counted in any case, for
    order and receipts, and what was acked is the rest: so counting costs a message the look at its high-water mark.
    """

    #: How many messages it holds at most.
    capacity: int
    #: Messages that wait.
    waiting: int
    #: Messages in flight, and those that `on_dead` is busy with.
    in_flight: int
    #: Numbers that no message has.
    free: int
    #: Threads and coroutines that stand in line for a message.
    getters: int
    #: Threads and coroutines that stand in line for room.
    putters: int
    #: The most messages there were at once, waiting and in flight.
    high_water: int
    #: Messages that entered.
    put: int
    #: Deliveries: a message counts as often as it was got, also when a Ctrl-C at once undid that.
    got: int
    #: Messages that left by `ack` or `ack_many`.
    acked: int
    #: How often a message went back into the queue: by `nack`, or because `on_dead` failed.
    returned: int
    #: Messages that left by `delete`.
    deleted: int
    #: Messages that left because `on_dead` has taken them.
    dead: int
    #: Messages that an immediate shutdown discarded, at once or when they were nacked.
    discarded: int
    #: Calls that ended with `Full`.
    full: int
    #: Calls that ended with `Empty`.
    empty: int
    #: Receipts refused as `Stale`: double acks above all. A bulk call counts each.
    stale: int
    #: Numbers within the range refused because no message had them. A bulk call counts each.
    refused: int
