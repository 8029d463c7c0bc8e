// Pointers and elements that know their array: they check its bounds, and who touches what when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda_fp16.h"
#include "faults.hpp"

// Who touched an element. Numbers of threads count from 1 through all blocks; `moment` goes up at
// every barrier and every new block. Two threads' touches are in order only if they are of one
// block and a barrier stands between them.
struct Touches {
    uint32_t writer, written;  // thread, moment
    uint32_t reader, read;
    bool several;  // threads have read it in that moment
    bool foreign;  // another block has read it
};

static uint32_t thread = 1, moment = 1;

static bool same_block(uint32_t other) {
    return (other - 1) / blockDim.x == (thread - 1) / blockDim.x;
}

struct Memory {
    const char* name;
    char* data;
    uintptr_t address;  // by which the caller knows it; `data`'s own unless it is a copy
    long long count;    // elements; -1: a null pointer
    long long bytes;
    Touches* touches;
    Memory* next_shared;
    bool shared;

    void check(long long index) const {
        if (count < 0) fail(BOUNDS, "%s[%lld], but %s is a null pointer", name, index, name);
        if (index < 0 || index >= count)
            fail(BOUNDS, "%s[%lld], but %s has %lld elements", name, index, name, count);
    }

    void reading(long long index) const {
        if (!touches) return;
        Touches& t = touches[index];
        if (shared && !t.writer)
            fail(UNINITIALISED, "reads %s[%lld], which nothing in this block wrote", name, index);
        if (t.writer && t.writer != thread && (t.written == moment || !same_block(t.writer)))
            fail(RACE, "reads %s[%lld], which %s", name, index, other(t.writer, "wrote"));
        if (t.read == moment) {
            t.several |= t.reader != thread;
        } else {
            t.foreign |= t.reader && !same_block(t.reader);
            t.several = false;
            t.reader = thread;
            t.read = moment;
        }
    }

    void writing(long long index) const {
        if (!touches) return;
        Touches& t = touches[index];
        if (t.writer && t.writer != thread && (t.written == moment || !same_block(t.writer)))
            fail(RACE, "writes %s[%lld], which %s", name, index, other(t.writer, "wrote"));
        bool together = t.reader && t.read == moment && (t.several || t.reader != thread);
        if (t.foreign || together || (t.reader && !same_block(t.reader)))
            fail(RACE, "writes %s[%lld], which another thread read with no barrier between", name,
                 index);
        t.writer = thread;
        t.written = moment;
    }

    void forget() const {
        std::memset(data, 0xff, bytes);
        if (touches) std::memset((void*)touches, 0, count * sizeof(Touches));
    }

    static const char* other(uint32_t who, const char* did) {
        static char text[96];
        snprintf(text, sizeof text, "thread %u of block %u %s with no barrier between",
                 (who - 1) % blockDim.x, (who - 1) / blockDim.x, did);
        return text;
    }
};

// An element that can be written. Reads of constant arrays are plain references instead.
template <class T> struct Element {
    T* at;
    const Memory* memory;  // null: a thread's own
    long long index;

    T load() const {
        if (memory) memory->reading(index);
        return *at;
    }
    Element& operator=(T value) {
        if (memory) memory->writing(index);
        *at = value;
        return *this;
    }
    Element(T* at, const Memory* memory, long long index) : at(at), memory(memory), index(index) {}
    Element(const Element&) = default;
    Element& operator=(const Element& other) { return *this = other.load(); }
    operator T() const { return load(); }
    // A half's element is read as a float in one step, as a half is.
    template <class U, std::enable_if_t<std::is_same_v<T, half> && std::is_same_v<U, float>, int> = 0>
    operator U() const {
        return load();
    }
    template <class U> Element& operator+=(U value) { return *this = (T)(load() + value); }
    template <class U> Element& operator-=(U value) { return *this = (T)(load() - value); }
    template <class U> Element& operator*=(U value) { return *this = (T)(load() * value); }
    template <class U> Element& operator/=(U value) { return *this = (T)(load() / value); }
};

template <class U> half::half(const Element<U>& element) {
    *this = half(element.load());
}

template <class T> struct Pointer {
    T* base;
    long long offset;
    const Memory* memory;  // null: a thread's own array, unchecked

    Pointer() = default;
    Pointer(T* base, long long offset, const Memory* memory)
        : base(base), offset(offset), memory(memory) {}
    Pointer(T* own) : Pointer(own, 0, nullptr) {}
    Pointer(std::nullptr_t) : Pointer((T*)nullptr) {}
    operator Pointer<const T>() const { return {base, offset, memory}; }

    decltype(auto) operator[](long long index) const {
        long long at = offset + index;
        if (memory) memory->check(at);
        if constexpr (std::is_const_v<T>) {
            if (memory) memory->reading(at);
            return (T&)base[at];
        } else {
            return Element<T>(base + at, memory, at);
        }
    }
    decltype(auto) operator*() const { return (*this)[0]; }
    Pointer operator+(long long n) const { return {base, offset + n, memory}; }
    Pointer operator-(long long n) const { return {base, offset - n, memory}; }
    Pointer& operator+=(long long n) { return *this = *this + n; }
    Pointer& operator-=(long long n) { return *this = *this - n; }
    Pointer& operator++() { return *this += 1; }
    Pointer operator++(int) { return (*this += 1) - 1; }
    long long operator-(Pointer<const T> other) const { return offset - other.offset; }
    bool operator<(Pointer<const T> other) const { return *this - other < 0; }
    bool operator==(Pointer<const T> other) const { return base + offset == other.base + other.offset; }
    bool operator!=(Pointer<const T> other) const { return !(*this == other); }
    explicit operator bool() const { return base != nullptr; }
    bool operator==(std::nullptr_t) const { return !base; }
    bool operator!=(std::nullptr_t) const { return base; }
};

static Memory* memories;  // of this launch
static int memory_count;
static bool tables_are_checked;

// A pointer inside a structure: as large as a pointer, it finds its array when it is used.
template <class T> struct Address {
    T* address;

    template <class U, std::enable_if_t<std::is_same_v<U, T> || std::is_same_v<U, const T>, int> = 0>
    operator Pointer<U>() const {
        return found();
    }
    decltype(auto) operator[](long long index) const { return found()[index]; }
    Pointer<T> operator+(long long n) const { return found() + n; }
    explicit operator bool() const { return address != nullptr; }
    bool operator==(std::nullptr_t) const { return !address; }
    bool operator!=(std::nullptr_t) const { return address; }

  private:
    Pointer<T> found() const {
        auto at = (uintptr_t)address;
        if (!at) fail(BOUNDS, "uses a null pointer of a structure");
        for (int i = 0; i < memory_count; i++) {
            const Memory& m = memories[i];
            if (m.count > 0 && m.address <= at && at < m.address + m.bytes)
                return {(T*)m.data, (long long)((at - m.address) / sizeof(T)), &m};
        }
        if (tables_are_checked)
            fail(BOUNDS, "uses a pointer of a structure to memory of which host.run was not told");
        return Pointer<T>(address);
    }
};

static Memory* shared_memories;  // a chain of the __shared__ ones, of whichever block runs

// A __shared__ array. Its bytes are all ones at the start of a block: NaN, or -1.
template <class T, size_t Rows, size_t Columns = 0> struct Shared {
    static constexpr size_t count = Rows * (Columns ? Columns : 1);
    T data[count];
    Touches touches[count];
    Memory memory;

    explicit Shared(const char* name)
        : memory{name, (char*)data, (uintptr_t)data, count, sizeof data, touches, shared_memories, true} {
#ifdef HOST_THREADS
        memory.touches = nullptr;  // the sanitizer watches
#endif
        shared_memories = &memory;
        memory.forget();
    }
    operator Pointer<T>() const { return {(T*)data, 0, &memory}; }
    operator Pointer<const T>() const { return {data, 0, &memory}; }
    Pointer<T> operator+(long long n) const { return (Pointer<T>)*this + n; }
    decltype(auto) operator[](long long index) const {
        if constexpr (Columns) {
            memory.check(index * (long long)Columns);
            return (Pointer<T>)*this + index * (long long)Columns;
        } else {
            return ((Pointer<T>)*this)[index];
        }
    }
};

static void forget_shared() {
    for (Memory* m = shared_memories; m; m = m->next_shared) m->forget();
}
