"""Peak memory and time of the contrastive loss, forward and backward: ours by tiles and whole, beside open_clip's ClipLoss and SigLipLoss.

    cargo build --release --workspace --examples
    python benches/contrastive.py [--sizes 8192 16384 32768] [--dim 512] [--threads 2] [--rounds 3] [--kind softmax] [--json FILE]

Needs torch, open_clip_torch. Every cell is a process of its own, so that its peak is its own; rounds of the cells of a size are interleaved, the best counts. Memory is what the
process grows by beyond vectors and gradients. A whole matrix that would not fit into the machine's free memory is not tried.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

OURS = Path(__file__).parent.parent / "target/release/examples/contrastive_memory"
# Matrices of B x B in fp32 that a whole loss holds at once, at least.
WHOLE = 6


def reference(kind, n, d, threads):
    """Runs in a process of its own: prints the same JSON as ours."""
    import time

    import torch
    from open_clip.loss import ClipLoss, SigLipLoss

    def status(name):
        line = next(line for line in open("/proc/self/status") if line.startswith(name))
        return int(line.split()[1]) * 1024

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    unit = lambda: torch.nn.functional.normalize(torch.randn(n, d), dim=-1).requires_grad_()
    x, y = unit(), unit()
    scale = torch.tensor(2.6592, requires_grad=True)
    loss_fn = ClipLoss(cache_labels=True) if kind == "softmax" else SigLipLoss()
    before = status("VmRSS") + 2 * n * d * 4
    begun = time.perf_counter()
    more = () if kind == "softmax" else (torch.tensor(-10.0),)
    loss = loss_fn(x, y, scale.exp(), *more)
    middle = time.perf_counter()
    loss.backward()
    ended = time.perf_counter()
    print(json.dumps({"loss": loss.item(), "seconds": ended - begun, "backward": ended - middle, "bytes": status("VmHWM") - before}))


def free():
    line = next(line for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def cell(who, args, n):
    if who != "tiled" and WHOLE * 4 * n * n > 0.9 * free():
        return None
    if who == "open_clip":
        command = [sys.executable, __file__, "--reference", args.kind, str(n), str(args.dim), str(args.threads)]
    else:
        tile = "auto" if who == "tiled" else "0"
        command = [OURS, args.kind, tile, str(n), str(args.dim), str(args.threads), "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{who} at {n}: exit code {done.returncode} {done.stderr.strip()[-200:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[8192, 16384, 32768])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=["softmax", "sigmoid"], default="softmax")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = []
    print("| B | loss | seconds | of it backward | MiB beyond the vectors | value |\n|---|---|---|---|---|---|")
    for n in args.sizes:
        best = {}
        for _ in range(args.rounds):
            for who in ("tiled", "whole", "open_clip"):
                one = cell(who, args, n)
                if one and (who not in best or one["seconds"] < best[who]["seconds"]):
                    best[who] = one
        for who in ("tiled", "whole", "open_clip"):
            of = best.get(who)
            row = "not tried: it does not fit, or it failed | | | |"
            if of:
                row = f"{of['seconds']:.2f} | {of['backward']:.2f} | {of['bytes'] / 2**20:.0f} | {of['loss']:.6f} |"
                found.append({"B": n, "loss": who, **of})
            print(f"| {n} | {who} | {row}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--reference":
        reference(sys.argv[2], *map(int, sys.argv[3:6]))
    else:
        main()
