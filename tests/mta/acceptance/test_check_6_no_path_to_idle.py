"""Check 6: SP2 after any flap sequence: idle KCBs + open associations = pool size; no path leads to an idle KCB."""

from hypothesis import given
from hypothesis import strategies as st

from mtsid.lab.drill import Act, Drill, Step
from mtsid.mta import Policy, Remnant, State

FLAPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([Act.LOSE, Act.RETURN, Act.ANSWER, Act.WAIT, Act.ENTER, Act.CALL, Act.ABORT]),
        st.sampled_from([0, 1]),
    ),
    max_size=60,
)


@given(FLAPS)
def test_after_any_flaps_the_pool_is_whole_and_idle_blocks_are_out_of_reach(flaps: list[Step]) -> None:
    drill = Drill("SP2", policy=Policy(control_blocks=3))
    for step in flaps:
        drill.run([step])
        kernel = drill.mta.kernel
        blocks = [kernel.block(index) for index in range(1, kernel.size + 1)]
        open_associations = [block for block in blocks if block.association is not None]
        assert kernel.idle + len(open_associations) == kernel.size
        assert (kernel.count(Remnant.STUCK), kernel.count(Remnant.DANGLING)) == (0, 0)
        for block in blocks:
            if block.state is State.IDLE:
                assert (block.entity, block.association, block.handle) == (None, None, None)
                assert block.index not in [handle.block for handle in kernel.handles()]
            else:
                assert block.association is not None
                assert kernel.of(block.association) is block
