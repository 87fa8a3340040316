/* ConcurrencyKit's ck_ring for many producers and consumers. In C, which its headers are; see free_list.h. */
#include <ck_ring.h>
#include <stdint.h>
#include <stdlib.h>

struct list {
    ck_ring_t ring;
    ck_ring_buffer_t slots[];
};

void *make(uint32_t ids)
{
    uint32_t size = 4;
    while (size < ids + 1) /* a ring of n slots holds n - 1 */
        size *= 2;
    struct list *list = calloc(1, sizeof(struct list) + size * sizeof(ck_ring_buffer_t));
    if (!list)
        abort();
    ck_ring_init(&list->ring, size);
    for (uintptr_t id = 1; id <= ids; id++)
        ck_ring_enqueue_mpmc(&list->ring, list->slots, (void *)id);
    return list;
}

void destroy(void *list) { free(list); }

uint64_t pairs(void *state, uint64_t count)
{
    struct list *list = state;
    uint64_t failures = 0;
    for (uint64_t i = 0; i < count; i++) {
        void *id;
        if (!ck_ring_dequeue_mpmc(&list->ring, list->slots, &id) || !ck_ring_enqueue_mpmc(&list->ring, list->slots, id))
            failures++;
    }
    return failures;
}
