"""Check 4: SP2 under random enter, leave, loss, restart: live ids are distinct; each is released exactly once."""

from collections import Counter
from random import Random

import pytest

from mtsid.lab.drill import PEERS, Act, Drill, Step
from mtsid.mta import Policy, Way

ACTS = [Act.ENTER] * 5 + [Act.ANSWER] * 8 + [Act.WAIT] * 3 + [Act.LOSE, Act.RETURN, Act.RETURN, Act.CALL, Act.ABORT]
RARE = [Act.DELETE, Act.RESTART]


@pytest.mark.parametrize("seed", range(4))
def test_live_ids_are_distinct_and_each_is_released_once(seed: int) -> None:
    rng = Random(seed)
    drill = Drill("SP2", policy=Policy(open_retries=5, control_blocks=4, associations=3, threshold=5), ids=12)
    for _ in range(5_000):
        act = rng.choice(RARE if rng.random() < 0.02 else ACTS)
        drill.run([Step(act, rng.randrange(len(PEERS)))])  # it audits the queues and the pool after each step
        assert drill.faults == []
        for hop in drill.mta.next_hops.values():
            live = [entry.mtsid for entry in hop.entries()]
            assert len(set(live)) == len(live) == len(hop.queue)
    left = Counter(entry.body for entry in drill.left)
    assert set(left.values()) == {1}  # nothing leaves twice
    assert len(left) + len(drill.mta) == drill.entered
    assert {entry.way for entry in drill.left} == set(Way)
    for hop in drill.mta.next_hops.values():
        assert (hop.duplicates, hop.shutdowns, hop.collision) == (0, 0, None)
