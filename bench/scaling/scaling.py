#!/usr/bin/env python3
"""scaling.py: how time and size grow, one dim at a time, each over a factor of 64.

    bench/scaling/scaling.py [--lg PATH] [--jit off|on] [--counts] [NAME ...]

For each value: nodes of the graph, kernels, steps of the plan, its workspace, time until the first
step is done, time of a step, and ns a FLOP. Times are user time of one thread, so a busy machine
disturbs them little. A row is marked `cliff` when a FLOP takes more than CLIFF times what it took at
the smaller value before, although there are enough of them to hide what surrounds a step.

--counts looks at sizes alone, which depend on no machine: with depth, and the rest held, each must
grow by equal amounts for equal steps; time and memory of planning are linear when they do. Exit
status 1 where one does not, or where a program fails.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIFF, ENOUGH, SLACK = 1.6, 2e6, 0.02
SWEEPS = {  # program, what is varied, its values, what is held
    "mlp-batch": ("mlp", "items", [16, 64, 256, 1024], {}),
    "mlp-width": ("mlp", "width", [16, 64, 256, 1024], {}),
    "mlp-depth": ("mlp", "depth", [1, 4, 16, 64], {}),
    "transformer-batch": ("transformer", "items", [1, 4, 16, 64], {"text": 32}),
    "transformer-text": ("transformer", "text", [16, 64, 256, 1024], {"items": 1}),
    "transformer-width": ("transformer", "width", [16, 64, 256, 1024], {"items": 1, "text": 32}),
    "transformer-depth": ("transformer", "depth", [1, 4, 16, 64], {"text": 32, "width": 32}),
}
COUNTS = {
    "mlp-1000": ("mlp", "depth", [250, 500, 750, 1000], {"items": 8, "width": 16}),
    "transformer-96": ("transformer", "depth", [24, 48, 72, 96], {"items": 1, "text": 16, "width": 16}),
}


def run(a, program, given, rounds):
    """The log's plan and train events, and seconds of user time; None if it failed."""
    words = [w for k, v in {**given, "rounds": rounds}.items() for w in (f"--{k}", str(v))]
    with tempfile.TemporaryDirectory() as work:
        log = Path(work) / "log"
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run([a.lg, "run", HERE / f"{program}.lg", "--quiet", "--threads", "1", "--jit", a.jit,
                               "--log", log, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        if done.returncode:
            print(f"{program} {' '.join(words)}: {done.stderr.strip().splitlines()[:3]}", file=sys.stderr)
            return None
        events = [json.loads(line) for line in log.open()]
    plan = next(e["text"] for e in events if e.get("event") == "plan").split("\n", 2)
    first = dict(p.split() for p in plan[0].split(", "))
    second = plan[1].replace(",", "").split()
    return {"nodes": int(first["nodes"]), "kernels": int(first["kernels"]), "steps": int(second[1]),
            "bytes": int(second[4]), "flops": int(first["flops"]), "user": spent}


def sweep(a, name):
    program, dim, values, held = SWEEPS[name]
    print(f"{name}\n{dim:>8} {'nodes':>7} {'kernels':>7} {'steps':>7} {'MB':>8} {'start s':>8} {'us a step':>11} {'ns/FLOP':>9}")
    ok, last = True, None
    for v in values:
        one = run(a, program, {**held, dim: v}, 1)
        if one is None:
            return False
        more = int(min(20000, max(8, 8e9 / (one["flops"] + 1e6))))  # some tenths of a second
        many = run(a, program, {**held, dim: v}, 1 + more)
        if many is None:
            return False
        seconds = max(many["user"] - one["user"], 1e-9) / more
        rate = seconds * 1e9 / one["flops"]
        cliff = last is not None and one["flops"] > ENOUGH and rate > CLIFF * last
        print(f"{v:8} {one['nodes']:7} {one['kernels']:7} {one['steps']:7} {one['bytes'] / 1e6:8.2f} {one['user']:8.2f} "
              f"{seconds * 1e6:11.1f} {rate:9.4f}{'  cliff' if cliff else ''}", flush=True)
        last = rate
    return ok


def counts(a, name):
    """Equal steps of depth, equal growth."""
    program, dim, values, held = COUNTS[name]
    got = [run(a, program, {**held, dim: v}, 1) for v in values]
    if None in got:
        return False
    ok = True
    for what in ("nodes", "kernels", "steps", "bytes"):
        grows = [y[what] - x[what] for x, y in zip(got, got[1:])]
        even = max(grows) - min(grows) <= SLACK * max(grows)
        print(f"{name}: {what} {' '.join(str(g[what]) for g in got)}{'' if even else '  NOT LINEAR'}")
        ok = ok and even
    print(f"{name}: start {' '.join('%.2f' % g['user'] for g in got)} s")
    return ok


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lg", default=os.environ.get("LG", "build/lg"))
    p.add_argument("--jit", default="off", choices=["off", "on"])
    p.add_argument("--counts", action="store_true")
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    table, fn = (COUNTS, counts) if a.counts else (SWEEPS, sweep)
    unknown = [n for n in a.names if n not in table]
    if unknown:
        p.error(f"{unknown[0]} is none of {' '.join(table)}")
    results = [fn(a, n) for n in a.names or table]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
