// Runs work in one thread, which is the caller, or in several. They take it in chunks from a common store, so that all are
// at it until it is done. The time is from the first start to the last end.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

using Work = std::uint64_t (*)(void *, std::uint64_t);
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

static const std::int64_t CHUNK = 512;

namespace {
struct Hand {
    Time start, end;
    Clock::duration longest{0}; // chunk
    std::uint64_t failures = 0;
};
}

static void take_part(Work work, void *state, std::atomic<std::int64_t> &left, Hand &hand)
{
    Time now = hand.start = Clock::now();
    while (left.fetch_sub(CHUNK) > 0) {
        hand.failures += work(state, CHUNK);
        Time then = now;
        now = Clock::now();
        hand.longest = std::max(hand.longest, now - then);
    }
    hand.end = now;
}

// The seconds for `chunks` times CHUNK; -1 if the work failed. `idle`: the largest share of the time that one of the threads
// may have stood still, since it began late, ended early, or took so long for a chunk.
extern "C" double run(Work work, void *state, unsigned threads, std::int64_t chunks, double *idle)
{
    std::atomic<std::int64_t> left{chunks * CHUNK};
    std::atomic<unsigned> ready{0};
    std::vector<Hand> hands(threads);
    std::vector<std::thread> others;
    auto begin = [&](unsigned i) {
        ready.fetch_add(1);
        while (ready.load() < threads)
            std::this_thread::yield();
        take_part(work, state, left, hands[i]);
    };
    for (unsigned i = 1; i < threads; i++)
        others.emplace_back(begin, i);
    begin(0);
    for (auto &thread : others)
        thread.join();
    Time start = hands[0].start, end = hands[0].end;
    for (auto &hand : hands) {
        start = std::min(start, hand.start);
        end = std::max(end, hand.end);
        if (hand.failures)
            return -1;
    }
    Clock::duration still{0};
    for (auto &hand : hands)
        still = std::max({still, hand.longest, hand.start - start, end - hand.end});
    double seconds = std::chrono::duration<double>(end - start).count();
    *idle = std::chrono::duration<double>(still).count() / seconds;
    return seconds;
}
