/* A thread-safe queue of numbers as a free list of ids. Each file beside this one makes one of some library's rings.
 *
 * `pairs` takes an id and gives it back, so many times, and returns how often that failed. It is what one thread does;
 * threads.cpp runs it in several. The rings check nothing: an id given back twice is on the list twice.
 */
#ifndef FREE_LIST_H
#define FREE_LIST_H

#include <cstdint>

template <class List> std::uint64_t pairs_on(List &list, std::uint64_t count)
{
    std::uint64_t failures = 0;
    for (std::uint64_t i = 0; i < count; i++) {
        std::uint32_t id;
        if (!list.get(id) || !list.put(id))
            failures++;
    }
    return failures;
}

/* The three functions that bench_native.py calls. */
#define FREE_LIST(List)                                                                            \
    extern "C" void *make(std::uint32_t ids)                                                       \
    {                                                                                              \
        List *list = new List(ids);                                                                \
        for (std::uint32_t id = 1; id <= ids; id++)                                                \
            list->put(id);                                                                         \
        return list;                                                                               \
    }                                                                                              \
    extern "C" void destroy(void *list) { delete static_cast<List *>(list); }                      \
    extern "C" std::uint64_t pairs(void *list, std::uint64_t count)                                \
    {                                                                                              \
        return pairs_on(*static_cast<List *>(list), count);                                        \
    }

#endif
