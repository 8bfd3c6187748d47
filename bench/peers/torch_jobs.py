#!/usr/bin/env python3
"""The benchmarks in PyTorch, for run.py --peers: torch_jobs.py NAME THREADS [compile]."""
import os
import sys
import warnings

NAME, THREADS, COMPILE = sys.argv[1], int(sys.argv[2]), "compile" in sys.argv[3:]
for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(v, str(THREADS))
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import numbers_of as made  # noqa: E402

torch.set_num_threads(THREADS)


def sym(s, a, *shape):
    return torch.from_numpy(made.sym(s, a, *shape))


def classed(n, d, c, batch, shape):
    x, y = map(torch.from_numpy, made.classed(n, d, c))
    return [(x[i : i + batch].reshape(batch, *shape), y[i : i + batch]) for i in range(0, n, batch)]


def compiled(f):
    return torch.compile(f, mode="max-autotune-no-cudagraphs") if COMPILE else f


def started(model, scale=None):
    with torch.no_grad():
        for k, (name, p) in enumerate(model.named_parameters()):
            if p.dim() > 1:
                p.copy_(sym(100 + k, scale or p[0].numel() ** -0.5, *p.shape))
            else:
                p.fill_(1.0 if name.endswith("weight") else 0.0)
    return model


# ---- models ----

def mlp(act, *sizes):
    layers = []
    for i, o in zip(sizes, sizes[1:]):
        layers += [nn.Linear(i, o), act()]
    return started(nn.Sequential(*layers[:-1]))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        for c in (self.c1, self.c2):
            x = F.avg_pool2d(F.relu(c(x)), 2)
        return self.f3(F.relu(self.f2(F.relu(self.f1(x.flatten(1))))))


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.c2, self.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.short = nn.Conv2d(i, o, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        return F.relu(self.b2(self.c2(F.relu(self.b1(self.c1(x))))) + self.short(x))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.b = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
        self.f = nn.Linear(64, 10)

    def forward(self, x):
        return self.f(self.blocks(F.relu(self.b(self.c(x)))).mean((2, 3)))


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.n1 = heads, nn.LayerNorm(d)
        self.qkv, self.o = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.n2, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def attend(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            later = torch.ones(t, t, dtype=torch.bool).triu(1)
            s = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).masked_fill(later, -np.inf)
            y = s.softmax(-1) @ v
        return self.o(y.transpose(1, 2).reshape(b, t, d))

    def forward(self, x):
        x = x + self.attend(self.n1(x))
        return x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, layers, d, heads, t):
        super().__init__()
        self.tok, self.pos = nn.Embedding(65, d), nn.Embedding(t, d)
        self.layers = nn.Sequential(*[Layer(d, heads) for _ in range(layers)])
        self.n, self.head = nn.LayerNorm(d), nn.Linear(d, 65, bias=False)

    def forward(self, x):
        return self.head(self.n(self.layers(self.tok(x) + self.pos.weight)))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.r, self.f = nn.LSTM(32, 128, batch_first=True), nn.Linear(128, 1)

    def forward(self, x):
        return self.f(self.r(x)[0][:, -1])


# ---- jobs: each gives a function that does one step and returns what is compared ----

def training(model, loss, batches, optimizer):
    turn = [0]
    forward, update = compiled(lambda x, y: loss(model(x), y)), compiled(optimizer.step)

    def step():
        x, y = batches[turn[0] % len(batches)]
        turn[0] += 1
        value = forward(x, y)
        value.backward()
        update()
        optimizer.zero_grad(set_to_none=True)
        return value.detach()
    return step


def adamw(params, **k):
    try:
        return torch.optim.AdamW(params, fused=True, **k)
    except (TypeError, RuntimeError):
        return torch.optim.AdamW(params, **k)


def plain(model, batches):
    return training(model, F.cross_entropy, batches, adamw(list(model.parameters()), lr=1e-3, weight_decay=0.01))


def mlp_tiny():
    x = sym(1, 1.0, 32, 2)
    y = (x[:, :1] * x[:, 1:] > 0).float()
    m = mlp(nn.Tanh, 2, 16, 1)
    return training(m, F.mse_loss, [(x, y)], torch.optim.SGD(m.parameters(), lr=0.05))


def mlp_digits():
    return plain(mlp(nn.ReLU, 64, 128, 10), classed(1792, 64, 10, 64, (64,)))


def mlp_mnist():
    return plain(mlp(nn.ReLU, 784, 1024, 1024, 10), classed(4096, 784, 10, 256, (784,)))


def lenet():
    m = started(LeNet())
    return training(m, F.cross_entropy, classed(512, 784, 10, 64, (1, 28, 28)),
                    torch.optim.SGD(m.parameters(), lr=0.01, momentum=0.9))


def resnet8():
    m = started(ResNet8()).to(memory_format=torch.channels_last)
    data = [(x.contiguous(memory_format=torch.channels_last), y)
            for x, y in classed(256, 3072, 10, 64, (3, 32, 32))]
    return training(m, F.cross_entropy, data,
                    torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4))


def gpt(layers, d, heads, t, batch):
    text = torch.from_numpy(made.tokens(4 * batch * t + 1))
    cut = [text[k * batch * t : (k + 1) * batch * t + 1] for k in range(4)]
    data = [(c[:-1].view(batch, t), c[1:]) for c in cut]
    m = started(GPT(layers, d, heads, t), 0.035)
    return training(m, lambda z, y: F.cross_entropy(z.view(-1, 65), y), data,
                    adamw(list(m.parameters()), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1))


def gpt_small():
    return gpt(4, 128, 4, 128, 16)


def gpt_medium():
    return gpt(6, 384, 6, 256, 8)


def series():
    return sym(1, 1.0, 32, 128, 32), sym(2, 1.0, 32, 1)


def lstm():
    m = started(Lstm())
    return training(m, F.mse_loss, [series()], adamw(list(m.parameters()), lr=1e-3, weight_decay=0.01))


def rnn_scan():
    wx, wh, o = (nn.Parameter(sym(s, r**-0.5, r, c)) for s, r, c in ((100, 32, 128), (101, 128, 128), (103, 128, 1)))
    b = nn.Parameter(torch.zeros(128))

    def forward(x):
        z, h = x @ wx + b, torch.zeros(32, 128)
        for k in range(128):
            h = torch.tanh(z[:, k] + h @ wh)
        return h @ o
    return training(forward, F.mse_loss, [series()], adamw([wx, wh, b, o], lr=1e-3, weight_decay=0.01))


def softmax_ce():
    z, y = sym(1, 4.0, 8192, 4096).requires_grad_(), torch.from_numpy(made.below(2, 4096, 8192))

    forward = compiled(lambda z: F.cross_entropy(z, y))

    def step():
        z.grad = None
        value = forward(z)
        value.backward()
        return value
    return step


def layernorm():
    x, dy = sym(1, 2.0, 8192, 1024).requires_grad_(), sym(2, 1.0, 8192, 1024)
    w, b = (1 + sym(3, 0.1, 1024)).requires_grad_(), sym(4, 0.1, 1024).requires_grad_()

    forward = compiled(lambda x, w, b: F.layer_norm(x, (1024,), w, b))

    def step():
        x.grad = w.grad = b.grad = None
        forward(x, w, b).backward(dy)
        return w.grad.abs().sum()
    return step


def bias_gelu():
    x, b = sym(1, 3.0, 4096, 1536).requires_grad_(), sym(2, 1.0, 1536).requires_grad_()
    dy = sym(3, 1.0, 4096, 1536)

    forward = compiled(lambda x, b: F.gelu(x + b, approximate="tanh"))

    def step():
        x.grad = b.grad = None
        forward(x, b).backward(dy)
        return b.grad.abs().sum()
    return step


def adamw_25m():
    p = nn.Parameter(sym(1, 1.0, 25000000))
    p.grad = sym(2, 1.0, 25000000)
    o = adamw([p], lr=1e-3, weight_decay=0.01)

    update = compiled(o.step)

    def step():
        update()
        return p.detach()[:1024].sum()
    return step


def hvp():
    m, (x, y) = mlp(nn.Tanh, 64, 128, 10), classed(64, 64, 10, 64, (64,))[0]
    ps = list(m.parameters())
    vs = [sym(200 + k, 1.0, *p.shape) for k, p in enumerate(ps)]

    def step():
        g = torch.autograd.grad(F.cross_entropy(m(x), y), ps, create_graph=True)
        return sum((h * v).sum() for h, v in zip(torch.autograd.grad(g, ps, vs), vs))
    return step


def per_sample_grad():
    m, (x, y) = mlp(nn.Tanh, 64, 128, 10), classed(64, 64, 10, 64, (64,))[0]
    p = {k: v.detach() for k, v in m.named_parameters()}
    one = torch.func.grad(lambda p, x, y: F.cross_entropy(torch.func.functional_call(m, p, x[None]), y[None]))
    each = compiled(torch.func.vmap(one, (None, 0, 0)))
    return lambda: sum((g**2).sum() for g in each(p, x, y).values())


def gpt_decode(layers=6, d=384, heads=6, t=256):
    m = started(GPT(layers, d, heads, t), 0.035).eval()
    k = d // heads
    keys, values = torch.zeros(layers, heads, t, k), torch.zeros(layers, heads, t, k)

    def one(tok, at):
        h = m.tok.weight[tok] + m.pos.weight[at]
        for n, b in enumerate(m.layers):
            q, keys[n, :, at], values[n, :, at] = b.qkv(b.n1(h)).view(3, heads, k)
            p = torch.softmax(keys[n, :, : at + 1] @ q[:, :, None] * k**-0.5, 1)
            h = h + b.o((p.transpose(1, 2) @ values[n, :, : at + 1]).reshape(d))
            h = h + b.down(F.gelu(b.up(b.n2(h)), approximate="tanh"))
        return m.head(m.n(h)).argmax()

    @torch.no_grad()
    def step():
        tok, total = 1, 0
        for at in range(t - 1):
            tok = one(tok, at)
            total = total + tok
        return total
    return step


def matvec(t):
    w, x = sym(1, 1 / 64, 4096, 4096).to(t), sym(2, 1.0, 1, 4096).to(t)
    product = compiled(F.linear)

    @torch.no_grad()
    def step():
        return product(x, w)[0, :8].abs().sum()
    return step


def matvec_int8():
    """Weights in bytes, the vector made bytes in each call; its own kernels, so nothing is compiled."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    layer = torch.nn.Linear(4096, 4096, bias=False)
    layer.weight.data = sym(1, 1 / 64, 4096, 4096)
    net = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(layer), {torch.nn.Linear}, dtype=torch.qint8)
    x = sym(2, 1.0, 1, 4096)

    @torch.no_grad()
    def step():
        return net(x)[0, :8].abs().sum()
    return step


JOBS = dict(mlp_tiny=mlp_tiny, mlp_digits=mlp_digits, mlp_mnist=mlp_mnist, lenet=lenet, resnet8=resnet8,
            gpt_small=gpt_small, gpt_medium=gpt_medium, lstm=lstm, rnn_scan=rnn_scan, softmax_ce=softmax_ce,
            layernorm=layernorm, bias_gelu=bias_gelu, adamw_25m=adamw_25m, hvp=hvp,
            per_sample_grad=per_sample_grad, gpt_decode=gpt_decode, matvec_f32=lambda: matvec(torch.float32),
            matvec_bf16=lambda: matvec(torch.bfloat16), matvec_int8=matvec_int8)


if __name__ == "__main__":
    made.measure(NAME, made.job(JOBS)())
