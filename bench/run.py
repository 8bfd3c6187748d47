#!/usr/bin/env python3
"""run.py: the benchmarks, one table.

For each workload: its losses against the table below, the time of a step interpreted and compiled, the
limit of this machine for it and the share of that limit, peak memory; with --peers the same jobs in
PyTorch (eager and compiled) and JAX (jit), on one thread and on all, in turn with ours: the best of
them, and the ratio. The limits are measured in the same sitting by limits.c.

    bench/run.py [--lg PATH] [--threads N] [--rounds N] [--peers] [--markdown]
                 [--store FILE] [--against FILE] [NAME ...]

A time is the median over the later half of a run's steps, and the median of the rounds. --peers makes
a virtual environment in a scratch folder and removes it, or takes the interpreter that PEER_PYTHON
names. --store keeps the ratios of this sitting to limits and peers; --against compares with those of an
earlier one, and a row below 90 % of its ratio is a failure: times change with the machine, ratios less.
Exit status 1: a loss is off, a program failed or a row fell back. Without peers nothing beyond Python is needed.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# steps, GFLOP and GB that a step cannot do without, losses at steps 1 2 5 10 20 (or checks)
WORKLOADS = {
    "mlp_tiny": (20000, 0.000013, 0, "0.6463836 0.5484667 0.3706807 0.2540819 0.1981961"),
    "mlp_digits": (8000, 0.0036, 0, "2.307302 2.284163 2.271029 2.23213 2.168217"),
    "mlp_mnist": (60, 2.46, 0.05, "2.293999 2.220755 1.614827 0.4930338 0.006410338"),
    "lenet": (300, 0.16, 0, "2.301307 2.302164 2.302349 2.299241 2.295085"),
    "resnet8": (40, 4.8, 0, "2.335911 2.285034 2.102709 1.660564 0.7269481"),
    "gpt_small": (20, 10.8, 0.03, "4.177754 4.020122 3.437378 2.918104"),
    "gpt_medium": (10, 140, 0.3, "4.250232 4.217103 3.459317 2.364526"),
    "softmax_ce": (12, 0.2, 0.268, "10.23114 10.23114"),
    "layernorm": (40, 0.1, 0.168, "43292.93 43292.93"),
    "bias_gelu": (40, 0.2, 0.126, "32871.68 32871.68"),
    "adamw_25m": (20, 0.3, 0.7, "14.90634 14.89019"),
    "hvp": (4000, 0.012, 0, "5.158809 5.158809"),
    "per_sample_grad": (2000, 0.004, 0.002, "1089.771 1089.771"),
    "gpt_decode": (4, 5.5, 10.8, "9458"),
    "gpt_decode_int8": (4, 5.5, 2.7, ""),
    "matvec_f32": (60, 0.034, 0.067, "2.270008 2.270008"),
    "matvec_bf16": (60, 0.034, 0.034, "2.265625 2.265625"),
    "matvec_int8": (60, 0.034, 0.017, "2.274828 2.274828"),
    "matvec_int4": (60, 0.034, 0.009, ""),
    "matvec_csr": (60, 0.0034, 0.013, ""),
    "lstm": (40, 2.0, 0, "0.3824092 0.367988 0.3270521 0.2611754"),
    "rnn_scan": (60, 0.54, 0, "0.5004715 0.4124096 0.2129064 0.0365762"),
}


def output(command, **more):
    """Standard output as {first word: the other words}, and peak memory in MB; None if it failed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, **more)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if child.returncode:
            print(f"{command[0]} {command[1]}: {' '.join(err.read().splitlines()[-3:])}", file=sys.stderr)
            return None, 0
        lines = (line.split() for line in out)
        return {w[0]: w[1:] for w in lines if w}, used.ru_maxrss // 1024


def compiled_c(name, work, *flags):
    exe = work / name
    subprocess.run([os.environ.get("CC", "cc"), *flags, "-march=native", HERE / f"{name}.c", "-o", exe,
                    "-I/usr/include/x86_64-linux-gnu", "-lopenblas", "-lpthread", "-lm"], check=True)
    return exe


def ours(a, name, steps, jit, work):
    """Losses, seconds a step, MB."""
    log = work / "log"
    said, mb = output([a.lg, "run", HERE / f"{name}.lg", "--quiet", "--threads", a.threads, "--jit", jit,
                       "--steps", steps, "--log", log])
    if said is None:
        return None
    at = [row["seconds"] for row in map(json.loads, log.open()) if "step" in row and "seconds" in row]
    late = at[len(at) // 2 - 1:] if len(at) > 3 else [0, float(said["seconds"][0])]
    return said["losses"], statistics.median(t - s for s, t in zip(late, late[1:])), mb


def peer(python, kind, name, threads):
    script, *more = kind.split()
    said, _ = output([python, HERE / "peers" / f"{script}_jobs.py", name, threads, *more], env={**os.environ, "PYTHONPATH": ""})
    return said and (said["losses"], float(said["seconds"][0]), int(said["peak"][0]))


def right(name, losses, want):
    """2e-5 in the first steps, 1e-3 at step 10, 5 % at step 20, where sums in another order have drifted."""
    first = 1e-4 if name in ("lenet", "resnet8") else 1e-3 if name == "matvec_bf16" else 2e-5
    for k, (got, wanted) in enumerate(zip(map(float, losses), map(float, want.split()))):
        if not abs(got - wanted) <= (first if k < 3 else 1e-3 if k == 3 else 5e-2) * abs(wanted):
            return False
    return True


def measured(a, name, python, work):
    steps, gflop, gbyte, want = WORKLOADS[name]
    jobs = {"interpreted": lambda: ours(a, name, steps, "off", work), "compiled": lambda: ours(a, name, steps, "on", work)}
    if python:
        for kind in ("torch", "torch compile", "jax"):
            for t in sorted({1, a.threads}):
                jobs[f"{kind}, {t}"] = lambda kind=kind, t=t: peer(python, kind, name, t)
    got = {}
    for r in range(a.rounds):
        # a second round asks the peers only for their best
        best = min((k for k in got if "," in k), key=lambda k: got[k][0][1], default=None)
        for k, job in jobs.items():
            if r == 0 or k in ("interpreted", "compiled") or k == best:
                one = job()
                if one is None and "," not in k:
                    return {"name": name, "ok": False}
                if one is not None and not right(name, one[0], want):
                    print(f"{name}, {k}: losses {' '.join(one[0])}, wanted {want}", file=sys.stderr)
                    one = None if "," in k else one
                if one is not None:
                    got.setdefault(k, []).append(one)
    time_of = {k: statistics.median(o[1] for o in v) for k, v in got.items()}
    best = min((k for k in time_of if "," in k), key=time_of.get, default=None)
    limit = max(gflop / a.limits["fma"], gbyte / a.limits["triad"])
    return {"name": name, "ok": all(right(name, o[0], want) for k in ("interpreted", "compiled") for o in got[k]),
            "interpreted": time_of["interpreted"], "compiled": time_of["compiled"], "limit": limit,
            "mb": max(o[2] for o in got["compiled"]), "peer": best, "peer_time": time_of.get(best),
            "peer_mb": max(o[2] for o in got[best]) if best else None}


def cold_start(a, python, work):
    """Whole processes, from their start to their end after the first steps of mlp_digits, ours after 20 (which the
    program's own losses want), the peers after one: best of several."""
    exe = work / "digits"
    subprocess.run([a.lg, "build", HERE / "mlp_digits.lg", "-o", exe], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    few = ["--quiet", "--steps", "20"]
    jobs = [("built", [exe, *few], 15), ("lg run", [a.lg, "run", HERE / "mlp_digits.lg", *few], 15)]
    if python:
        jobs += [(kind, [python, HERE / "peers" / f"{kind}_jobs.py", "mlp_digits", "1", "once"], 3) for kind in ("torch", "jax")]
    for label, command, times in jobs:
        best = min(timed(command) for _ in range(times))
        print(f"cold start, {label}: {best * 1e3:.1f} ms to the end of the first steps and of the process")


def ratios(rows):
    """By row: the share of its limit, and how many times faster than the best peer."""
    return {r["name"]: {"limit": r["limit"] / r["compiled"], **({"peer": r["peer_time"] / r["compiled"]} if r["peer"] else {})}
            for r in rows if "compiled" in r}


def fallen(now, before):
    """What is below 90 % of what it was, one line each. A row without a limit has only its peer."""
    for name in now:
        for of, value in before.get(name, {}).items():
            if value > 0 and now[name].get(of, value) < 0.9 * value:
                yield f"{name}: {now[name][of]:.3g} of its {of}, {value:.3g} before"


def timed(command):
    t = time.perf_counter()
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - t


def straight(work):
    exe = compiled_c("straight", work, "-Ofast")
    for name in ("mlp_tiny", "mlp_digits"):
        said, _ = output([exe, name])
        print(f"{name} by hand in C, one thread: {float(said['seconds'][0]) * 1e6:.2f} us a step")


COLUMNS = [("workload", "name", "{}"), ("interpreted ms", "interpreted", "ms"), ("compiled ms", "compiled", "ms"),
           ("limit ms", "limit", "ms"), ("share", None, None), ("MB", "mb", "{}"), ("best peer, threads", "peer", "{}"),
           ("peer ms", "peer_time", "ms"), ("ratio", None, None), ("peer MB", "peer_mb", "{}"), ("losses", None, None)]


def cells(row):
    for title, key, form in COLUMNS:
        if "compiled" not in row:
            yield row["name"] if title == "workload" else "failed" if title == "losses" else "-"
        elif title == "share":
            yield f"{100 * row['limit'] / row['compiled']:.0f} %"
        elif title == "ratio":
            yield f"{row['peer_time'] / row['compiled']:.2f}" if row["peer"] else "-"
        elif title == "losses":
            yield "right" if row["ok"] else "WRONG"
        else:
            v = row[key]
            yield "-" if v is None else f"{v * 1e3:.4g}" if form == "ms" else form.format(v)


def peer_python(work):
    if os.environ.get("PEER_PYTHON"):
        return os.environ["PEER_PYTHON"]
    venv = work / "venv"
    python = venv / "bin" / "python3"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, stdout=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "-q", "torch", "jax", "numpy"], check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as why:
        print(f"run.py: no peers, PyTorch and JAX cannot be had here ({why})", file=sys.stderr)
        return None
    return python


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--lg", default="lg")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--peers", action="store_true")
    p.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    p.add_argument("--store", metavar="FILE", help="keep the ratios of this sitting")
    p.add_argument("--against", metavar="FILE", help="fail where a ratio is below 90 %% of the one kept there")
    p.add_argument("names", nargs="*", metavar="NAME", help="default: every workload")
    a = p.parse_args()
    for name in a.names:
        if name not in WORKLOADS:
            p.error(f"no workload {name}; there are {' '.join(WORKLOADS)}")
    a.lg = str(Path(a.lg).resolve()) if os.sep in a.lg else shutil.which(a.lg) or p.error(f"no program {a.lg}")
    names = a.names or [n for n in WORKLOADS if (HERE / f"{n}.lg").exists()]
    before = None
    if a.against:
        try:
            before = json.loads(Path(a.against).read_text())["ratios"]
        except (OSError, ValueError, KeyError) as why:
            p.error(f"{a.against} holds no ratios ({why})")
    work = Path(tempfile.mkdtemp(prefix="lg-bench-"))
    try:
        said = subprocess.run([compiled_c("limits", work, "-O2", "-ffp-contract=fast"), str(a.threads)], check=True,
                              capture_output=True, text=True).stdout
        a.limits = json.loads(said)
        print("limits:", said.strip())
        python = peer_python(work) if a.peers else None
        if python:
            subprocess.run([python, "-c", "import torch, jax; print(f'peers: PyTorch {torch.__version__}, JAX {jax.__version__}')"])
        rows, form = [], "| {} |" if a.markdown else "{}"
        join = " | " if a.markdown else " "
        width = [0 if a.markdown else max(len(c[0]), 8) for c in COLUMNS]
        width[0] = 0 if a.markdown else 16
        show = lambda cs: print(form.format(join.join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cs, width)))), flush=True)
        show([c[0] for c in COLUMNS])
        if a.markdown:
            show(["---"] * len(COLUMNS))
        for name in names:
            rows.append(measured(a, name, python, work))
            show(list(cells(rows[-1])))
        if not a.names:
            straight(work)
            cold_start(a, python, work)
        now, worse = ratios(rows), []
        if before:
            worse = list(fallen(now, before))
            print("\n".join(f"fell back: {line}" for line in worse) or f"nothing fell back against {a.against}")
        if a.store:
            Path(a.store).write_text(json.dumps({"limits": a.limits, "ratios": now}, indent=1) + "\n")
        return 0 if all(r["ok"] for r in rows) and not worse else 1
    except (OSError, ValueError, subprocess.CalledProcessError) as why:
        print(f"run.py: {why}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
