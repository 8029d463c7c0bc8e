"""What kernels that add up have in common: how to cut the work, and sums over a block's threads.

Each block adds up one contiguous piece and writes what it found; the blocks of a second kernel join
what was found. Nobody waits for a lock, and the order of all additions is a function of the sizes.
"""

from __future__ import annotations

# A multiprocessor holds 8 blocks of 256 threads, and the largest GPUs have about so many blocks at
# a time. Fewer leave multiprocessors idle; more only make more to join.
BLOCKS = 1056

# Below so many elements, four for each thread, a piece takes longer to start than to add up.
SHORTEST = 1024

# Pieces begin where a cache line does.
ALIGNMENT = 32

GROUP_SUM = r"""
// The sum of every thread's value in groups of `width` threads, a power of 2; all of a group's
// threads get it. V is a number, or has an operator +.
template <class V> __device__ V group_sum(V mine, unsigned width) {
    __shared__ V parts[BLOCK];
    unsigned t = threadIdx.x, lane = t % width;
    parts[t] = mine;
    __syncthreads();
    for (unsigned half_way = width / 2; half_way > 0; half_way /= 2) {
        if (lane < half_way) parts[t] = mine = mine + parts[t + half_way];
        __syncthreads();
    }
    V total = parts[t - lane];
    __syncthreads();  // only now may the next sum write
    return total;
}

template <class V> __device__ V block_sum(V mine) { return group_sum(mine, BLOCK); }
"""


def cut(count: int, groups: int = 1) -> tuple[int, int]:
    """Cut each of `groups` rows of `count` elements into pieces of one length, for a block each.

    Parameters
    ----------
    count : int
        Elements of a row.
    groups : int
        Rows, which are cut alike.

    Returns
    -------
    pieces, length : int
        The last piece of a row may be shorter; none is empty.

    Examples
    --------
    >>> cut(131072, 16)
    (66, 2016)
    >>> cut(100)
    (1, 128)
    """
    wanted = max(1, min(-(-BLOCKS // max(groups, 1)), -(-count // SHORTEST)))
    length = -(-count // wanted)
    length = max(1, -(-length // ALIGNMENT)) * ALIGNMENT
    return -(-count // length), length
