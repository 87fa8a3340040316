"""One order weaker at a time: each is noticed by a program of its pair, or is known to do no harm on ARMv8, and why.

"No harm" is said of ARMv8 and of these programs. C11 promises less than ARMv8 does, so none of it is a reason to weaken
the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from weak.core import Orders
from weak.machine import Found, Machine, Rmw
from weak.pairs import PAIRS, Pair
from weak.program import Order, Program

__all__ = ["MACHINES", "MUTANTS", "Caught", "Mutant", "hunt"]

RELAXED, ACQUIRE, RELEASE = Order.RELAXED, Order.ACQUIRE, Order.RELEASE
# The weakest two. What today's LSE allows, LSE of 2018 allows too.
MACHINES = (Machine(Rmw.EXCLUSIVES), Machine(Rmw.LSE_2018))

LOOK = "the exchange behind it acquires, and succeeds only if it finds the same value"
LAST = "it comes behind the acquire load of a leaf, and nothing rests on what comes behind it"
BITS = "it comes behind the acquire load of what it guards, and nothing rests on what comes behind it"
BETWEEN = "a load of the leaf comes before it (acquire), the exchange behind it (release)"
BEHIND = "an exchange that acquires comes behind the release before it (LDAXR behind STLXR): its write too"
FENCED = "the fence behind it orders it all the same"
RELEASES = "its write is a release, which a seq_cst load behind it does not overtake; nothing rests on what it read"


@dataclass(frozen=True)
class Mutant:
    """A weakening, and the labels whose programs should notice."""

    labels: str
    site: str  # the field of Orders; or a fault, a field of Core
    to: Order | None = None  # None: not there at all
    harmless: str = ""  # why; empty: it must be caught
    faults: dict[str, bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is done to what."""
        if self.faults:
            return self.site
        was: Order = getattr(Orders(), self.site)
        return f"{self.site}: {was.value} -> {self.to.value if self.to else 'not there'}"

    def program(self, pair: Pair) -> Program:
        """A program of a pair, with the fault in it."""
        orders = None if self.faults else replace(Orders(), **{self.site: self.to})  # type: ignore[arg-type]
        return pair.program(orders, **self.faults)


@dataclass
class Caught:
    """Who noticed."""

    mutant: Mutant
    programs: int = 0  # that were explored, on all machines
    first: Found | None = None
    machines: tuple[str, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Whether what should be noticed was, and nothing else."""
        return (self.first is None) == bool(self.mutant.harmless)


MUTANTS = (
    Mutant("L", "release_exchange", ACQUIRE),
    Mutant("L", "release_exchange", RELAXED),
    Mutant("L", "claim_in_exchange", RELEASE),
    Mutant("L", "claim_in_exchange", RELAXED),
    Mutant("L", "bulk_exchange", RELEASE),
    Mutant("L", "reserve_exchange", RELAXED),
    Mutant("L", "claim_in_exchange", ACQUIRE, "it has nothing to pass on: its owner writes behind it"),
    Mutant("L C exhaustion", "claim_in_look", RELAXED, LOOK),
    Mutant("C exhaustion", "reserve_exchange", ACQUIRE, BEHIND),
    Mutant("C", "bulk_exchange", ACQUIRE, BEHIND),
    Mutant(
        "C", "claim_try", ACQUIRE, "the exchange of the first leaf is a release, so the claim is seen before its bits"
    ),
    Mutant("C", "claim_try", RELEASE),
    Mutant("C", "claim_try", RELAXED),
    Mutant("C", "bulk_exchange", RELAXED),
    Mutant("C", "claim_end", RELAXED),
    Mutant("C", "release_look", RELAXED),
    Mutant("C", "release_exchange", RELEASE),
    Mutant("C", "reserve_look", RELAXED),
    Mutant("C", "reserve_claim_first", RELAXED),
    Mutant("C", "reserve_exchange", RELEASE),
    Mutant("C", "live_look", RELAXED),
    Mutant("C", "live_claim_first", RELAXED),
    Mutant("C", "certify_look", RELAXED),
    Mutant("C", "certify_claim_first", RELAXED),
    Mutant("C", "release_claim", RELAXED, BETWEEN),
    Mutant("C", "reserve_claim_last", RELAXED, LAST),
    Mutant("C", "live_claim_last", RELAXED, LAST),
    Mutant("C exhaustion", "certify_claim_last", RELAXED, LAST),
    Mutant("L C", "bulk_look", RELAXED, "it comes behind the claim's exchange, which acquires; else " + LOOK),
    Mutant("exhaustion", "bulk_look", RELAXED),
    Mutant("exhaustion", "certify_look", RELAXED),
    Mutant(
        "exhaustion", "release_exchange", RELAXED, "what is taken later is taken by a release, so not seen before it"
    ),
    Mutant("exhaustion", "live_look", RELAXED),
    Mutant("exhaustion", "certifying without versions", faults={"compare_versions": False}),
    Mutant("H", "hint_set", ACQUIRE),
    Mutant("H", "hint_set", RELAXED),
    Mutant("H", "hint_look", ACQUIRE),
    Mutant("H", "hint_look", RELAXED),
    Mutant("H", "release_exchange", ACQUIRE),
    Mutant("H", "hint_seen", ACQUIRE),
    Mutant("H", "hint_seen", RELAXED),
    Mutant("H", "hint_clear", ACQUIRE),
    Mutant("H", "hint_clear", RELAXED),
    Mutant("H", "hint_undo", ACQUIRE),
    Mutant("H", "hint_undo", RELAXED),
    Mutant("H", "hint_set", RELEASE, RELEASES),
    Mutant("H", "hint_clear", RELEASE, RELEASES),
    Mutant("H", "hint_undo", RELEASE, RELEASES),
    Mutant("W", "enter_fence", None),
    Mutant("W", "enter_fence", ACQUIRE),
    Mutant("W", "release_exchange", ACQUIRE),
    Mutant("W", "release_exchange", RELAXED),
    Mutant("W", "needed", ACQUIRE),
    Mutant("W", "needed", RELAXED),
    Mutant("W", "certify_look", RELAXED, "the fence comes before it, and nothing but the count is seen by who wakes"),
    Mutant("W", "enter_count", RELAXED, FENCED),
    Mutant("R", "claim_try", RELEASE),
    Mutant("R", "claim_try", RELAXED),
    Mutant("R", "claim_end", RELAXED),
    Mutant("R", "release_rest", RELAXED),
    Mutant("R", "live_rest_first", RELAXED),
    Mutant("R", "counted_rest_first", RELAXED),
    Mutant("R", "counted_look", RELAXED),
    Mutant("R", "resting_look", RELAXED),
    Mutant("R", "quarantine_look", RELAXED),
    Mutant("R", "live_rest_last", RELAXED, BITS),
    Mutant("R", "counted_rest_last", RELAXED, BITS),
    Mutant("R", "quarantine_claim", RELAXED, BETWEEN),
    Mutant("R", "quarantine_exchange", ACQUIRE, BEHIND),
    Mutant("E", "release_look", RELAXED),
    Mutant(
        "E", "release_epoch", RELAXED, "the load of the leaf before it acquires, and the exchange behind it releases"
    ),
    Mutant("E", "reset_count", RELAXED, "the exchange of the leaf behind it is a release"),
    Mutant("G", "flag_look", RELAXED),
    Mutant("G", "the flag cleared without the GIL", faults={"gil_to_clear": False}),
    Mutant(
        "G", "flag_clear", RELAXED, "it comes behind the taking of the GIL, which acquires, and the GIL's next owner"
    ),
)


def hunt(mutant: Mutant) -> Caught:
    """Run the programs of the mutant's labels, until one notices on each machine, or none is left."""
    caught = Caught(mutant)
    labels = mutant.labels.split()
    for machine in MACHINES:
        for found in _search(machine, [pair for pair in PAIRS if pair.label in labels], mutant):
            caught.programs += 1
            if found.violation:
                caught.first = caught.first or found
                caught.machines = (*caught.machines, str(machine))
                break
    return caught


def _search(machine: Machine, pairs: list[Pair], mutant: Mutant) -> Iterator[Found]:
    for pair in pairs:
        found = machine.explore(mutant.program(pair), stop=True)
        if not found.executions:
            raise RuntimeError(f"{found.program}: no execution is complete, so nothing was looked at")
        yield found
