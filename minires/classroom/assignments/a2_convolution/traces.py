"""Step by step, how the gradients of a convolution come about."""


def trace_conv_backward(reference, g, cache):
    # All images are convolved by the same filters, whose gradients are sums over the images.
    shares = []
    for n in range(len(g)):
        image = {"x": cache["x"][n : n + 1], "cols": cache["cols"][n : n + 1]}
        shares.append(reference.conv_backward(g[n : n + 1], cache | image))
    for n, (_, _, db) in enumerate(shares):
        yield f"from image {n}, over all places", "db", g[n], db
    for n, (_, dw, _) in enumerate(shares):
        yield f"from image {n}, with its columns", "dw", g[n], dw
    yield "through the filters to columns, and back to images", "dx", g
