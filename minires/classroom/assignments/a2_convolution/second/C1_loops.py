import numpy as np


def output_size(size, kernel, stride, padding):
    count = 0
    first = 0
    while first + kernel <= size + padding + padding:
        count += 1
        first += stride
    return count


def im2col(x, kernel, stride, padding):
    N, C, H, W = x.shape
    KH, KW = kernel
    OH, OW = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    big = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    big[:, :, padding : padding + H, padding : padding + W] = x
    cols = np.zeros((N, C * KH * KW, OH * OW))
    for i in range(OH):
        for j in range(OW):
            top, left = i * stride, j * stride
            window = big[:, :, top : top + KH, left : left + KW]
            cols[:, :, i * OW + j] = window.reshape(N, -1)
    return cols


def col2im(cols, size, kernel, stride, padding):
    H, W = size
    KH, KW = kernel
    OH, OW = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    N = cols.shape[0]
    C = cols.shape[1] // (KH * KW)
    x = np.zeros((N, C, H, W))
    for i in range(OH):
        for j in range(OW):
            window = cols[:, :, i * OW + j].reshape(N, C, KH, KW)
            for u in range(KH):
                for v in range(KW):
                    row, column = i * stride + u - padding, j * stride + v - padding
                    if 0 <= row < H and 0 <= column < W:
                        x[:, :, row, column] += window[:, :, u, v]
    return x


def conv_forward(x, w, b, stride, padding, groups):
    N, C, H, W = x.shape
    O, CG, KH, KW = w.shape
    OH, OW = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    big = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    y = np.zeros((N, O, OH, OW))
    for o in range(O):
        first = o // (O // groups) * CG
        for i in range(OH):
            for j in range(OW):
                rows = slice(i * stride, i * stride + KH)
                columns = slice(j * stride, j * stride + KW)
                for n in range(N):
                    window = big[n, first : first + CG, rows, columns]
                    y[n, o, i, j] = np.sum(window * w[o]) + b[o]
    cache = dict(x=x.copy(), w=w.copy(), stride=stride, padding=padding, groups=groups)
    return y, cache


def conv_backward(g, cache):
    x, w = cache["x"], cache["w"]
    stride, padding, groups = cache["stride"], cache["padding"], cache["groups"]
    H, W = x.shape[2:]
    O, CG, KH, KW = w.shape
    N, _, OH, OW = g.shape
    big = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    dbig = np.zeros(big.shape)
    dw = np.zeros(w.shape)
    db = np.zeros(O)
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * CG
            for i in range(OH):
                for j in range(OW):
                    rows = slice(i * stride, i * stride + KH)
                    columns = slice(j * stride, j * stride + KW)
                    upstream = 1.0
                    dw[o] += upstream * big[n, first : first + CG, rows, columns]
                    dbig[n, first : first + CG, rows, columns] += upstream * w[o]
                    db[o] += upstream
    return dbig[:, :, padding : padding + H, padding : padding + W], dw, db
