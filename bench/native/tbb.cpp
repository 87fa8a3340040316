// oneTBB's concurrent_queue. A free list never outgrows its ids, so the bounded one, which is slower, is not needed.
#include <oneapi/tbb/concurrent_queue.h>

#include "free_list.h"

struct Tbb {
    tbb::concurrent_queue<std::uint32_t> queue;
    explicit Tbb(std::uint32_t) {}
    bool put(std::uint32_t id) { return queue.push(id), true; }
    bool get(std::uint32_t &id) { return queue.try_pop(id); }
};

FREE_LIST(Tbb)
