// What a kernel's source is compiled against, and how its arguments arrive.
#pragma once

#include "blocks.hpp"
#include "mathematics.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __syncthreads() barrier(__LINE__)

// As ctypes and the files of the sanitized programs have it.
struct Argument {
    const char* name;
    char* data;         // the array's memory, or the scalar's bytes
    uintptr_t address;  // of that memory at the caller's
    long long count;    // elements of an array, -1 of a null pointer
    long long itemsize;
};

// Makes an array that the kernel, or its tables' pointers, can reach. Arguments that are the same
// memory share their touches: in place, one may not read what another thread writes.
static void know(const Argument& a) {
    memories.push_back({a.name, a.data, a.address, a.count, a.count * a.itemsize, nullptr, false});
#ifndef HOST_THREADS
    Memory& m = memories.back();
    for (const Memory& before : memories)
        if (before.touches && before.data == m.data && before.count >= m.count)
            m.touches = before.touches;
    if (!m.touches && m.count > 0) m.touches = (Touches*)calloc(m.count, sizeof(Touches));
#endif
}

static void know_all(const Argument* arguments, int count) {
    memories.clear();
    memories.reserve(count);
    for (int i = 0; i < count; i++) know(arguments[i]);
}

static void forget_all() {
    for (size_t i = 0; i < memories.size(); i++) {
        bool last = true;
        for (size_t j = i + 1; j < memories.size(); j++)
            last &= memories[j].touches != memories[i].touches;
        if (last) free(memories[i].touches);
    }
    memories.clear();
}

template <class T> static Pointer<T> array(int index) {
    const Memory& memory = memories[index];
    return {(T*)memory.data, 0, &memory};
}

template <class T> static T scalar(const Argument& argument) {
    T value;
    std::memcpy(&value, argument.data, sizeof value);
    return value;
}

#ifdef HOST_THREADS
extern "C" int launch(const unsigned* grid, unsigned block, Argument* arguments, int count);
#include "program.hpp"
#endif
