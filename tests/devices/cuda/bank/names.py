"""Names and keywords that CuPy does not have."""

from __future__ import annotations

from .bench import bug


@bug(TypeError)
def max_initial(b):
    return b.x.max(initial=0)


@bug(TypeError)
def sum_where(b):
    return b.xp.sum(b.x, where=b.x > 0)


@bug(TypeError)
def var_correction(b):
    return b.xp.var(b.x, correction=1)


@bug(TypeError)
def clip_min(b):
    return b.xp.clip(b.x, min=0)


@bug(TypeError)
def take_mode(b):
    return b.xp.take(b.x, b.labels, mode="clip")


@bug(TypeError)
def ufunc_where(b):
    return b.xp.log(b.x, where=b.x > 0, out=b.xp.zeros_like(b.x))


@bug(TypeError)
def zeros_device(b):
    return b.xp.zeros((2, 2), device="cpu")


@bug(NotImplementedError)
def maximum_reduce(b):
    return b.xp.maximum.reduce(b.x)


@bug(NotImplementedError)
def multiply_at(b):
    b.xp.multiply.at(b.x, b.labels, 2)


@bug(AttributeError)
def einsum_path(b):
    return b.xp.einsum_path("ij,jk", b.x, b.w)


@bug(AttributeError)
def errstate(b):
    with b.xp.errstate(divide="ignore"):
        return 1 / b.x


@bug(AttributeError)
def insert(b):
    return b.xp.insert(b.x, 1, 0, axis=0)


@bug(AttributeError)
def multi_dot(b):
    return b.xp.linalg.multi_dot([b.x, b.w])


@bug(AttributeError)
def generator_normal(b):
    return b.xp.random.default_rng(0).normal(size=3)


@bug(AttributeError)
def generator_permutation(b):
    return b.xp.random.default_rng(0).permutation(3)


@bug(AttributeError)
def setflags(b):
    b.x.setflags(write=False)


@bug(AttributeError)
def flags_writeable(b):
    return b.x.flags.writeable
