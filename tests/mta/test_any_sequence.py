"""Any sequence of mail, link events, calls, deletes and restarts: SP2 stays whole, and 4.0 does not.

The shortest sequences that go wrong in 4.0 are found by Hypothesis and printed as stories: `make stories` shows them.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from mtsid.lab.drill import PEERS, Act, Drill, Step
from mtsid.mta import DEFECTS, MTA, Disconnect, Policy, Primitive, Way

POLICY = Policy(open_retries=6, control_blocks=3, associations=2, threshold=2)
STEPS = st.lists(st.builds(Step, st.sampled_from(Act), st.sampled_from(range(len(PEERS)))), max_size=60)


@given(STEPS)
def test_sp2_keeps_distinct_ids_a_whole_pool_and_every_message(steps: list[Step]) -> None:
    drill = Drill("SP2", policy=POLICY, ids=5)
    for step in steps:
        drill.run([step])  # asserts that nothing is lost, and audits the queues and the pool
        assert drill.faults == [], drill.story()
        assert drill.mta.kernel.idle + drill.mta.kernel.in_use == drill.mta.kernel.size
    assert drill.ever_faulty == set()


@pytest.mark.parametrize("defect", DEFECTS)
@given(steps=STEPS)
def test_40_loses_no_message_either(defect: str, steps: list[Step]) -> None:
    # It is the numbers and the control blocks that are wrong in 4.0: never the books, never the memory.
    Drill("4.0", defect=defect, policy=POLICY, ids=5).run(steps)


def test_a_confirm_for_a_deleted_message_that_double_release_believes_does_not_end_the_session() -> None:
    mta: MTA[str] = MTA("4.0", defect="double-release")
    deleted, kept = mta.submit(0.0, "deleted"), mta.submit(0.0, "kept")
    handle = None
    for primitive in (Primitive.CONNECT_CONFIRM, Primitive.ACCEPT):
        [action] = mta.take_actions()
        assert not isinstance(action, Disconnect)
        handle = action.handle
        mta.receive(1.0, handle, primitive)
    assert handle is not None
    mta.delete(2.0, deleted.mtsid)
    assert mta.receive(3.0, handle, Primitive.TRANSFER_CONFIRM)
    assert (deleted.way, len(mta)) == (Way.OPERATOR, 1)
    assert mta.receive(4.0, handle, Primitive.TRANSFER_CONFIRM)
    assert (kept.way, len(mta)) == (Way.DELIVERED, 0)


# A search needs longer lists than Hypothesis draws by itself, and steps as frequent as in life.
LIKELY = [Act.ENTER] * 3 + [Act.ANSWER] * 5 + [Act.WAIT] * 2 + [Act.LOSE, Act.RETURN]


def shortest(fault: str, steps: int) -> Drill:
    """The shortest story that ends in that fault; it takes so many steps at the least."""
    found = find(
        st.lists(st.builds(Step, st.sampled_from(LIKELY)), min_size=steps, max_size=4 * steps),
        lambda tried: fault in Drill("4.0", policy=POLICY).run(tried).ever_faulty,
        settings=settings(
            max_examples=20_000,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            deadline=None,
        ),
        random=Random(152877),
    )
    return Drill("4.0", policy=POLICY).run(found)


LOST = "The link to NORTH is lost"

# Each fault, in how many steps it comes about, and what its story has to tell in this order.
STORIES = [
    ("duplicate", 6, [f"{LOST} with message 1 in transfer.", "its MTSID is 1.", "WRONG: MTSID 1 stands for 2"]),
    ("collision", 10, ["WRONG: MTSID 1 stands for 2", "Event 4282", "Event 4283", "WRONG: the queue to NORTH hangs"]),
    ("dangling", 5, [f"{LOST}.", "the transport to NORTH stands", "A timer", "WRONG: control block 1 is dangling"]),
    ("stuck", 6, [f"{LOST}.", "NORTH accepts the association", "A timer ends.", "WRONG: control block 1 is stuck"]),
]


@pytest.mark.long
@pytest.mark.parametrize(("fault", "steps", "told"), STORIES)
def test_the_shortest_story_of_40(fault: str, steps: int, told: list[str]) -> None:
    story = shortest(fault, steps).story()
    print(f"\nThe shortest way to a {fault} in 4.0:\n{story}")
    at = 0
    for words in told:
        found = story.find(words, at)
        assert found >= 0, f"{words!r} is not told, or not in its place:\n{story}"
        at = found
    assert len(story.splitlines()) < 30


def test_the_same_steps_are_harmless_in_sp2() -> None:
    shown = [Step(Act.ENTER), Step(Act.ENTER), Step(Act.ANSWER), Step(Act.ANSWER), Step(Act.LOSE), Step(Act.ENTER)]
    assert "duplicate" in Drill("4.0").run(shown).ever_faulty
    assert Drill("SP2").run(shown).ever_faulty == set()
