"""What every peer shares: the formula of streams.lg for the numbers, and the way a job is timed."""
import resource
import sys
import time

import numpy as np


def word(s, n):
    x = (np.arange(n, dtype=np.uint64) + s * 2654435769) & 0xFFFFFFFF
    for shift, factor in ((16, 2246822507), (13, 3266489909), (16, 1)):
        x ^= x >> np.uint64(shift)
        x = x * factor & 0xFFFFFFFF
    return x


def unit(s, *shape):
    return ((word(s, int(np.prod(shape))) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def sym(s, a, *shape):
    return (np.float32(2) * unit(s, *shape) - np.float32(1)) * np.float32(a)


def below(s, m, n):
    return (word(s, n) % m).astype(np.int64)


def classed(n, d, c):
    y = below(2, c, n)
    return np.float32(0.5) * unit(1, n, d) + (np.float32(0.5) * unit(3, c, d))[y], y


def tokens(n):
    i = np.arange(n)
    return (3 * i + i // 7 + below(1, 3, n)) % 65


def measure(name, step, ready=lambda: None):
    """Prints the losses of the first steps, the median time of blocks of 30 ms, and the peak memory.
    With `once` on the command line: one step, for the time of a whole process."""
    if "once" in sys.argv:
        step(), ready()
        return
    values = [float(step()) for _ in range(1 if name == "gpt_decode" else 10 if name.startswith("gpt") else 20)]
    times, begin = [], time.perf_counter()
    while time.perf_counter() - begin < 2 or len(times) < 3:
        t, n = time.perf_counter(), 0
        while time.perf_counter() - t < 0.03:
            step()
            n += 1
        ready()
        times.append((time.perf_counter() - t) / n)
    print("losses", *(f"{values[k - 1]:.7g}" for k in (1, 2, 5, 10, 20) if k <= len(values)))
    print("seconds", sorted(times)[len(times) // 2])
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def job(jobs):
    """The job that the command line names, or an end with a message."""
    if sys.argv[1] not in jobs:
        sys.exit(f"no peer for {sys.argv[1]}")
    return jobs[sys.argv[1]]
