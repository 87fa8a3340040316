// moodycamel's ConcurrentQueue, with a token a thread, which is its fastest way. First in, first out for each producer only.
#include <concurrentqueue/concurrentqueue.h>

#include "free_list.h"

struct Moodycamel {
    moodycamel::ConcurrentQueue<std::uint32_t> queue;
    explicit Moodycamel(std::uint32_t ids) : queue(ids) {}
    bool put(std::uint32_t id) { return queue.enqueue(id); }
};

template <> std::uint64_t pairs_on(Moodycamel &list, std::uint64_t count)
{
    moodycamel::ProducerToken mine(list.queue);
    moodycamel::ConsumerToken theirs(list.queue);
    for (std::uint64_t i = 0; i < count; i++) {
        std::uint32_t id;
        // It may say "empty" when it is not, if another thread is at it.
        while (!list.queue.try_dequeue(theirs, id)) {
        }
        if (!list.queue.enqueue(mine, id))
            return count;
    }
    return 0;
}

FREE_LIST(Moodycamel)
