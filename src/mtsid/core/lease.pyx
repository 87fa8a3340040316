"""An id for as long as a block runs.

    new --enter--> held --exit--> over          the id is released
                    |
                    +----keep---> kept --exit--> over      it stays live, and is the caller's

What makes a release at the exit safe beside a reset is leases.pxd.

It must not know: how ids are kept.
"""

from libc.stdint cimport int64_t

from mtsid.core.bitmap cimport STALE
from mtsid.core.id_verbs cimport IdVerbs
from mtsid.core.leases cimport lease_is_stale

from mtsid.errors import NotInUse, Stale


cdef enum:
    NEW
    ENTERING
    HELD
    KEPT
    OVER


class LeasedId(int):
    """The id of a lease: an `int`, with what the lease has besides."""

    def __new__(cls, int64_t id, Lease lease):
        self = int.__new__(cls, id)
        self.lease = lease
        return self

    @property
    def id(self) -> int:
        """The same as a plain `int`."""
        return int(self)

    def keep(self) -> None:
        """`Lease.keep`."""
        self.lease.keep()

    def __reduce_ex__(self, protocol):
        return int, (int(self),)  # where it is copied to, there is no lease


cdef class Lease:
    """What `Allocator.lease` returns: a context manager for one use of one id. Not to be made by hand."""

    def __init__(self):
        raise TypeError("a Lease is what Allocator.lease() returns; it cannot be made by hand")

    @property
    def id(self) -> int:
        """The id, once it was entered."""
        if self.stage < HELD:
            raise RuntimeError("the lease has no id yet: enter it in a with statement")
        return self.offset + self.ids.first

    def __enter__(self):
        """Take an id; it is an `int`, and has `keep` too. Raises what `Allocator.acquire` does."""
        if self.stage != NEW or self.ids is None:
            raise RuntimeError("a lease is entered once: ask the allocator for another")
        self.stage = ENTERING  # while it waits, others run: of two that enter it one would lose its id
        try:
            self.offset = self.ids.take_for_lease(self.seconds, &self.epoch)
        except BaseException:
            self.stage = NEW
            raise
        self.stage = HELD
        try:
            return LeasedId(self.offset + self.ids.first, self)
        except BaseException:
            self.stage = OVER
            self.ids.end_lease(self.offset, self.epoch)
            raise

    def keep(self) -> None:
        """The id is not released at the exit: it is the caller's, to release when its use is over.

        `Stale` if a `reset` has released it meanwhile: then it is not the caller's to keep.
        """
        if self.stage != HELD and self.stage != KEPT:
            raise RuntimeError("only an id that is held can be kept: call it inside the with statement")
        if lease_is_stale(&self.ids.bits, self.epoch):
            raise self.stale("kept")
        self.stage = KEPT

    def __exit__(self, kind, error, traceback) -> None:
        """Release the id, unless it was kept or is in quarantine. An exception of the block comes through as it is.

        If there was none: `Stale` if a `reset` has released it meanwhile, `NotInUse` if the block has. Either way
        nothing is freed.
        """
        cdef int64_t code = 0
        if self.stage == HELD:
            code = self.ids.end_lease(self.offset, self.epoch)
        self.stage = OVER
        if code != 0 and error is None and kind is None:
            if code == STALE:
                raise self.stale("released")
            raise NotInUse(
                f"id {self.id} is not live: the block that leased it has released it already; call keep() to do that "
                "oneself",
                id=self.id,
            )

    cdef object stale(self, str what):
        return Stale(
            f"id {self.id} was not {what}: a reset has released it since it was leased, and it may be somebody else's",
            id=self.id,
        )

    def __repr__(self) -> str:
        stage = ("not entered yet", "being entered", "held", "kept", "over")[self.stage]
        return f"<{type(self).__module__}.Lease: {f'id {self.id}, ' if self.stage >= HELD else ''}{stage}>"

    def __reduce_ex__(self, protocol):
        raise TypeError("a Lease cannot be pickled or copied: it is one use of one id; hand on its id, and keep() it")
