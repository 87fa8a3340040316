// DPDK's rte_ring for many producers and consumers, of 32-bit elements, in memory of our own: that needs no EAL.
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <cstdlib>
#include <new>

#include "free_list.h"

struct Dpdk {
    rte_ring *ring;
    explicit Dpdk(std::uint32_t ids)
    {
        // A ring of n slots holds n - 1; with RING_F_EXACT_SZ it rounds up by itself.
        unsigned slots = rte_align32pow2(ids + 1);
        ssize_t size = rte_ring_get_memsize_elem(sizeof(std::uint32_t), slots);
        ring = static_cast<rte_ring *>(std::aligned_alloc(128, (size + 127) & ~ssize_t(127)));
        if (!ring || rte_ring_init(ring, "ids", ids, RING_F_EXACT_SZ) != 0)
            throw std::bad_alloc();
    }
    ~Dpdk() { std::free(ring); }
    bool put(std::uint32_t id) { return rte_ring_mp_enqueue_elem(ring, &id, sizeof id) == 0; }
    bool get(std::uint32_t &id) { return rte_ring_mc_dequeue_elem(ring, &id, sizeof id) == 0; }
};

FREE_LIST(Dpdk)
