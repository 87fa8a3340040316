// Boost.Lockfree's queue (Michael and Scott's, of tagged nodes). Its fixed-size one holds no more than 65,534.
#include <boost/lockfree/queue.hpp>

#include "free_list.h"

struct Boost {
    boost::lockfree::queue<std::uint32_t> queue;
    explicit Boost(std::uint32_t ids) : queue(ids) {}
    bool put(std::uint32_t id) { return queue.bounded_push(id); }
    bool get(std::uint32_t &id) { return queue.pop(id); }
};

FREE_LIST(Boost)
