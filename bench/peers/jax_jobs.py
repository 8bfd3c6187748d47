#!/usr/bin/env python3
"""The benchmarks in JAX, for run.py --peers: jax_jobs.py NAME THREADS. Every step is one jitted function."""
import os
import sys

NAME, THREADS = sys.argv[1], int(sys.argv[2])
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if THREADS > 1 else 'false'}"
if THREADS == 1:
    os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[0]])
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

from numbers_of import below, classed, job, measure, sym, tokens  # noqa: E402

tree_map = jax.tree_util.tree_map


# ---- losses and optimizers ----

def cross_entropy(z, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[..., None], -1).mean()


def sgd(lr, momentum=0.0, wd=0.0):
    def start(p):
        return tree_map(jnp.zeros_like, p) if momentum else ()

    def update(p, g, m):
        if wd:
            g = tree_map(lambda g, p: g + wd * p, g, p)
        if momentum:
            g = m = tree_map(lambda m, g: momentum * m + g, m, g)
        return tree_map(lambda p, g: p - lr * g, p, g), m
    return start, update


def adamw(lr, wd, b1=0.9, b2=0.999, eps=1e-8):
    def start(p):
        return tree_map(jnp.zeros_like, p), tree_map(jnp.zeros_like, p), jnp.float32(0)

    def update(p, g, s):
        m, v, t = s
        t = t + 1
        m = tree_map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        v = tree_map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
        rate, root = lr / (1 - b1**t), jnp.sqrt(1 - b2**t)
        p = tree_map(lambda p, m, v: p * (1 - lr * wd) - rate * m / (jnp.sqrt(v) / root + eps), p, m, v)
        return p, (m, v, t)
    return start, update


def training(p, loss, batches, optimizer):
    start, update = optimizer
    batches = [tuple(map(jnp.asarray, b)) for b in batches]
    state, turn = [p, start(p)], [0]

    def one(p, s, *batch):
        value, g = jax.value_and_grad(loss)(p, *batch)
        return *update(p, g, s), value
    one = jax.jit(one, donate_argnums=(0, 1))

    def step():
        *state[:], value = one(*state, *batches[turn[0] % len(batches)])
        turn[0] += 1
        return value
    return step


def fixed(f, *args):
    """A job that computes the same each time: all results are made, the first is the check."""
    f, args = jax.jit(f), tuple(map(jnp.asarray, args))
    return lambda: jax.block_until_ready(f(*args))[0]


# ---- models ----

class Streams:
    """Parameters in their order: matrices within 1/sqrt(fan in) or `scale`, vectors 0."""

    def __init__(self, scale=None):
        self.at, self.scale = 100, scale

    def matrix(self, *shape):
        self.at += 1
        return jnp.asarray(sym(self.at - 1, self.scale or np.prod(shape[1:]) ** -0.5, *shape))

    def vector(self, n, value=0.0):
        self.at += 1
        return jnp.full((n,), value, jnp.float32)

    def linear(self, i, o):
        return self.matrix(o, i), self.vector(o)

    def norm(self, n):
        return self.vector(n, 1.0), self.vector(n)


def linear(p, x):
    return x @ p[0].T + p[1]


def mlp_params(*sizes):
    s = Streams()
    return [s.linear(i, o) for i, o in zip(sizes, sizes[1:])]


def mlp(p, x, act):
    for layer in p[:-1]:
        x = act(linear(layer, x))
    return linear(p[-1], x)


def cut(n, d, c, batch, shape):
    x, y = classed(n, d, c)
    return [(x[i:i + batch].reshape(batch, *shape), y[i:i + batch]) for i in range(0, n, batch)]


def conv(x, w, stride=1, pad=0):  # x: NHWC, w: OIHW
    return lax.conv_general_dilated(x, w, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "OIHW", "NHWC"))


def lenet():
    s = Streams()
    p = [(s.matrix(6, 1, 5, 5), s.vector(6)), (s.matrix(16, 6, 5, 5), s.vector(16)),
         s.linear(400, 120), s.linear(120, 84), s.linear(84, 10)]

    def loss(p, x, y):
        for (w, b), pad in zip(p[:2], (2, 0)):
            x = lax.reduce_window(jax.nn.relu(conv(x, w, 1, pad) + b), 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
        return cross_entropy(mlp(p[2:], x.transpose(0, 3, 1, 2).reshape(64, 400), jax.nn.relu), y)
    return training(p, loss, cut(512, 784, 10, 64, (28, 28, 1)), sgd(0.01, 0.9))


def resnet8():
    s = Streams()
    p = {"c": s.matrix(16, 3, 3, 3), "b": s.norm(16), "blocks": []}
    for i, o in ((16, 16), (16, 32), (32, 64)):
        block = [s.matrix(o, i, 3, 3), s.norm(o), s.matrix(o, o, 3, 3), s.norm(o)]
        p["blocks"].append(block + ([s.matrix(o, i, 1, 1)] if i != o else []))
    p["f"] = s.linear(64, 10)

    def normed(x, wb):
        m, v = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - m) * lax.rsqrt(v + 1e-5) * wb[0] + wb[1]

    def loss(p, x, y):
        x = jax.nn.relu(normed(conv(x, p["c"], 1, 1), p["b"]))
        for b in p["blocks"]:
            step = 2 if len(b) > 4 else 1
            h = normed(conv(jax.nn.relu(normed(conv(x, b[0], step, 1), b[1])), b[2], 1, 1), b[3])
            x = jax.nn.relu(h + (conv(x, b[4], 2) if step == 2 else x))
        return cross_entropy(linear(p["f"], x.mean((1, 2))), y)
    data = [(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), y) for x, y in cut(256, 3072, 10, 64, (3, 32, 32))]
    return training(p, loss, data, sgd(0.05, 0.9, 5e-4))


def gpt_params(layers, d, t):
    s = Streams(0.035)
    p = {"tok": s.matrix(65, d), "pos": s.matrix(t, d), "layers": []}
    for _ in range(layers):
        p["layers"].append({"n1": s.norm(d), "qkv": s.linear(d, 3 * d), "o": s.linear(d, d),
                            "n2": s.norm(d), "up": s.linear(d, 4 * d), "down": s.linear(4 * d, d)})
    p["n"], p["head"] = s.norm(d), s.matrix(65, d)
    return p


def standard(wb, x):
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * wb[0] + wb[1]


def gpt(layers, d, heads, t, batch):
    def attend(p, x):
        q, k, v = jnp.moveaxis(linear(p["qkv"], x).reshape(batch, t, 3, heads, d // heads), 2, 0)
        return linear(p["o"], jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(batch, t, d))

    def loss(p, x, y):
        h = p["tok"][x] + p["pos"]
        for b in p["layers"]:
            h = h + attend(b, standard(b["n1"], h))
            h = h + linear(b["down"], jax.nn.gelu(linear(b["up"], standard(b["n2"], h)), approximate=True))
        return cross_entropy(standard(p["n"], h) @ p["head"].T, y)
    text = tokens(4 * batch * t + 1)
    cuts = [text[k * batch * t:(k + 1) * batch * t + 1] for k in range(4)]
    data = [(c[:-1].reshape(batch, t), c[1:].reshape(batch, t)) for c in cuts]
    return training(gpt_params(layers, d, t), loss, data, adamw(1e-3, 0.1, 0.9, 0.95))


def gpt_decode(layers=6, d=384, heads=6, t=256):
    p, k = gpt_params(layers, d, t), d // heads

    def one(carry, at):
        tok, keys, values = carry
        h = p["tok"][tok] + p["pos"][at]
        for n, b in enumerate(p["layers"]):
            z = linear(b["qkv"], standard(b["n1"], h)).reshape(3, heads, k)
            keys, values = keys.at[n, at].set(z[1]), values.at[n, at].set(z[2])
            score = jnp.where(jnp.arange(t)[None] <= at, jnp.einsum("hk,jhk->hj", z[0], keys[n]) * k**-0.5, -jnp.inf)
            h = h + linear(b["o"], jnp.einsum("hj,jhk->hk", jax.nn.softmax(score), values[n]).reshape(d))
            h = h + linear(b["down"], jax.nn.gelu(linear(b["up"], standard(b["n2"], h)), approximate=True))
        tok = jnp.argmax(standard(p["n"], h) @ p["head"].T)
        return (tok, keys, values), tok

    def run():
        none = jnp.zeros((layers, t, heads, k))
        return (lax.scan(one, (jnp.int32(1), none, none), jnp.arange(t - 1))[1].sum(),)
    return fixed(run)


def series():
    return [(sym(1, 1.0, 32, 128, 32), sym(2, 1.0, 32, 1))]


def lstm():
    s = Streams()
    p = (s.matrix(512, 32), s.matrix(512, 128), s.vector(512), s.vector(512), s.linear(128, 1))

    def loss(p, x, y):
        wi, wh, bi, bh, f = p

        def cell(hc, z):
            i, g, c, o = jnp.split(z + hc[0] @ wh.T, 4, -1)
            c = jax.nn.sigmoid(g) * hc[1] + jax.nn.sigmoid(i) * jnp.tanh(c)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None
        none = jnp.zeros((32, 128))
        (h, _), _ = lax.scan(cell, (none, none), jnp.moveaxis(x @ wi.T + bi + bh, 1, 0))
        return ((linear(f, h) - y) ** 2).mean()
    return training(p, loss, series(), adamw(1e-3, 0.01))


def rnn_scan():
    p = (jnp.asarray(sym(100, 32**-0.5, 32, 128)), jnp.asarray(sym(101, 128**-0.5, 128, 128)), jnp.zeros(128),
         jnp.asarray(sym(103, 128**-0.5, 128, 1)))

    def loss(p, x, y):
        wx, wh, b, o = p
        h, _ = lax.scan(lambda h, z: (jnp.tanh(z + h @ wh), None), jnp.zeros((32, 128)), jnp.moveaxis(x @ wx + b, 1, 0))
        return ((h @ o - y) ** 2).mean()
    return training(p, loss, series(), adamw(1e-3, 0.01))


# ---- jobs ----

def mlp_tiny():
    x = sym(1, 1.0, 32, 2)
    y = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)
    return training(mlp_params(2, 16, 1), lambda p, x, y: ((mlp(p, x, jnp.tanh) - y) ** 2).mean(), [(x, y)], sgd(0.05))


def plain(p, batches):
    return training(p, lambda p, x, y: cross_entropy(mlp(p, x, jax.nn.relu), y), batches, adamw(1e-3, 0.01))


def softmax_ce():
    return fixed(jax.value_and_grad(cross_entropy), sym(1, 4.0, 8192, 4096), below(2, 4096, 8192))


def layernorm():
    def both(x, dy, w, b):
        y, back = jax.vjp(lambda x, w, b: standard((w, b), x), x, w, b)
        dx, dw, db = back(dy)
        return abs(dw).sum(), y, dx, dw, db
    return fixed(both, sym(1, 2.0, 8192, 1024), sym(2, 1.0, 8192, 1024), 1 + sym(3, 0.1, 1024), sym(4, 0.1, 1024))


def bias_gelu():
    def both(x, b, dy):
        y, back = jax.vjp(lambda x, b: jax.nn.gelu(x + b, approximate=True), x, b)
        dx, db = back(dy)
        return abs(db).sum(), y, dx, db
    return fixed(both, sym(1, 3.0, 4096, 1536), sym(2, 1.0, 1536), sym(3, 1.0, 4096, 1536))


def adamw_25m():
    start, update = adamw(1e-3, 0.01)
    state = [jnp.asarray(sym(1, 1.0, 25000000))]
    state.append(start(state[0]))
    g = jnp.asarray(sym(2, 1.0, 25000000))
    one = jax.jit(lambda p, s, g: (lambda p, s: (p, s, p[:1024].sum()))(*update(p, g, s)), donate_argnums=(0, 1))

    def step():
        *state[:], value = one(*state, g)
        return value
    return step


def tanh_net():
    x, y = classed(64, 64, 10)
    return mlp_params(64, 128, 10), lambda p, x, y: cross_entropy(mlp(p, x, jnp.tanh), y), jnp.asarray(x), jnp.asarray(y)


def hvp():
    p, loss, x, y = tanh_net()
    leaves, shape = jax.tree_util.tree_flatten(p)
    v = jax.tree_util.tree_unflatten(shape, [jnp.asarray(sym(200 + k, 1.0, *a.shape)) for k, a in enumerate(leaves)])

    def product(p, v):
        hv = jax.jvp(jax.grad(lambda p: loss(p, x, y)), (p,), (v,))[1]
        return sum(jax.tree_util.tree_leaves(tree_map(lambda a, b: (a * b).sum(), v, hv))), hv
    product = jax.jit(product)
    return lambda: jax.block_until_ready(product(p, v))[0]


def per_sample_grad():
    p, loss, x, y = tanh_net()

    def each(p, x, y):
        g = jax.vmap(jax.grad(loss), (None, 0, 0))(p, x, y)
        return sum((a**2).sum() for a in jax.tree_util.tree_leaves(g)), g
    each = jax.jit(each)
    return lambda: jax.block_until_ready(each(p, x, y))[0]


def matvec(t):
    w, x = jnp.asarray(sym(1, 1 / 64, 4096, 4096)).astype(t), jnp.asarray(sym(2, 1.0, 4096)).astype(t)
    f = jax.jit(lambda w, x: w @ x)
    return lambda: abs(jax.block_until_ready(f(w, x))[:8]).sum()


JOBS = dict(
    mlp_tiny=mlp_tiny, mlp_digits=lambda: plain(mlp_params(64, 128, 10), cut(1792, 64, 10, 64, (64,))),
    mlp_mnist=lambda: plain(mlp_params(784, 1024, 1024, 10), cut(4096, 784, 10, 256, (784,))),
    lenet=lenet, resnet8=resnet8, gpt_small=lambda: gpt(4, 128, 4, 128, 16), gpt_medium=lambda: gpt(6, 384, 6, 256, 8),
    gpt_decode=gpt_decode, lstm=lstm, rnn_scan=rnn_scan, softmax_ce=softmax_ce, layernorm=layernorm,
    bias_gelu=bias_gelu, adamw_25m=adamw_25m, hvp=hvp, per_sample_grad=per_sample_grad,
    matvec_f32=lambda: matvec(jnp.float32), matvec_bf16=lambda: matvec(jnp.bfloat16))

if __name__ == "__main__":
    one = job(JOBS)()
    last = []

    def step():
        last[:] = [one()]
        return last[0]
    measure(NAME, step, lambda: jax.block_until_ready(last[0]))
