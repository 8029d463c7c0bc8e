// One block after another, its threads in turn between barriers, or truly at once (HOST_THREADS).
#pragma once

#include <ucontext.h>

#include "memory.hpp"

#ifdef HOST_THREADS

#include <atomic>
#include <barrier>
#include <thread>
#include <vector>

// Threads that wait and, times 2**32, that have ended. Relaxed, and so no order between the
// threads: only the barrier itself may hide a race from the sanitizer.
static std::atomic<unsigned long long> standing;
static std::barrier<>* gate;

static unsigned long long stand(unsigned long long change) {
    unsigned long long now = standing.fetch_add(change, std::memory_order_relaxed) + change;
    if ((unsigned)now && now >> 32)
        fail(DIVERGED, "%u threads wait at a barrier that %u never reach", (unsigned)now,
             (unsigned)(now >> 32));
    return now;
}

static void barrier(int) {
    if (stand(1) == blockDim.x) standing.fetch_sub(blockDim.x, std::memory_order_relaxed);
    gate->arrive_and_wait();
}

template <class Body> static void run_block(Body& body, bool) {
    std::barrier<> block(blockDim.x);
    std::vector<std::thread> threads;
    gate = &block;
    standing = 0;
    for (unsigned t = 0; t < blockDim.x; t++) {
        threads.emplace_back([&body, t] {
            threadIdx.x = t;
            body();
            stand(1ull << 32);
        });
    }
    for (std::thread& one : threads) one.join();
}

#else

// A thread of the block: a stack of its own, left at barriers by longjmp, which is a few
// nanoseconds where swapcontext asks the kernel each time. It runs its part of every block.
struct Fiber {
    static constexpr size_t STACK = 128 * 1024;
    char* stack;
    ucontext_t context;
    jmp_buf left;
    bool started, finished;
    int line;
};

static Fiber* fibers;
static Fiber* current;
static jmp_buf scheduler;
static void (*body_of_launch)(void*);
static void* body_argument;

static void leave() {
    if (!_setjmp(current->left)) _longjmp(scheduler, 1);
}

static void barrier(int line) {
    current->line = line;
    leave();
}

static void live() {
    for (;;) {
        body_of_launch(body_argument);
        current->finished = true;
        leave();
    }
}

static void resume(Fiber& fiber) {
    current = &fiber;
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.left, 1);
    fiber.started = true;
    setcontext(&fiber.context);
}

static void prepare_fibers() {
    if (!fibers) {  // once for all launches: a kernel's blocks are all of one size
        fibers = new Fiber[blockDim.x]();
        for (unsigned t = 0; t < blockDim.x; t++) fibers[t].stack = new char[Fiber::STACK];
    }
    for (unsigned t = 0; t < blockDim.x; t++) {
        Fiber& fiber = fibers[t];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = Fiber::STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, live, 0);
        fiber.started = false;
    }
}

static void run_with_barriers(uint32_t first) {
    for (unsigned t = 0; t < blockDim.x; t++) fibers[t].finished = false;
    for (unsigned gone = 0; gone < blockDim.x; moment++) {
        for (unsigned t = 0; t < blockDim.x; t++) {
            threadIdx.x = t;
            thread = first + t;
            resume(fibers[t]);
            gone += fibers[t].finished;
            if (gone && gone != t + 1)
                fail(DIVERGED, "%s at the barrier of line %d, while others of its block %s",
                     fibers[t].finished ? "is not" : "waits",
                     fibers[fibers[t].finished ? 0 : t].line,
                     fibers[t].finished ? "wait there" : "have ended");
            if (!gone && fibers[t].line != fibers[0].line)
                fail(DIVERGED, "waits at the barrier of line %d, while thread 0 waits at line %d",
                     fibers[t].line, fibers[0].line);
        }
    }
}

template <class Body> static void run_block(Body& body, bool barriers) {
    auto block = blockIdx.x + (uint32_t)gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    uint32_t first = 1 + block * blockDim.x;
    if (barriers) return run_with_barriers(first);
    for (unsigned t = 0; t < blockDim.x; t++) {
        threadIdx.x = t;
        thread = first + t;
        body();
    }
    moment++;
}

#endif

template <class Body> static int run_grid(Dim grid, unsigned block, bool barriers, Body body) {
    gridDim = grid;
    blockDim = {block, 1, 1};
    blockIdx = threadIdx = Dim();
    moment = 1;
#ifndef HOST_THREADS
    int fault = _setjmp(escape);
    if (fault) return fault;
    body_of_launch = [](void* body) { (*(Body*)body)(); };
    body_argument = &body;
    if (barriers) prepare_fibers();
#endif
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++) {
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++) {
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
                forget_shared();
                run_block(body, barriers);
            }
        }
    }
    return NONE;
}
