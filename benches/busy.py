"""Two commands by turns, on a quiet machine and beside busy processes: how much do waiting threads cost?

    python3 benches/busy.py BEFORE AFTER [--what train embed transcribe] [--busy 0 2] [--rounds 3] [--data data]

BEFORE and AFTER are two built `unisono` commands (give the same one twice with --before-env to compare settings). Three things are measured: the
training by recipes/from-scratch.toml (samples a second of its steps), `embed` of 500 images by a ViT-B/32, `transcribe` of a minute by a Whisper of tiny's shape;
all with made-up inputs and random weights, or the quickstart's own data in --data. Rounds are interleaved, medians compared. Prints Markdown.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import made_up

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("before")
parser.add_argument("after")
parser.add_argument("--what", nargs="+", default=["train", "embed", "transcribe"], choices=["train", "embed", "transcribe"])
parser.add_argument("--busy", nargs="+", type=int, default=[0, 2], help="numbers of busy processes beside")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=12, help="steps of the training")
parser.add_argument("--images", type=int, default=500)
parser.add_argument("--seconds", type=int, default=60, help="of speech")
parser.add_argument("--tokens", type=int, default=64, help="of a window of speech")
parser.add_argument("--data", type=Path, help="a folder with emoji/ and stamps/, as the quickstart fetches them")
parser.add_argument("--before-env", nargs="*", default=[], metavar="NAME=VALUE", help="set for BEFORE only")
parser.add_argument("--after-env", nargs="*", default=[], metavar="NAME=VALUE", help="set for AFTER only")
parser.add_argument("--timeout", type=int, default=900, help="seconds of one run; a longer one counts as that long")
args = parser.parse_args()
COMMANDS = {"before": (os.path.abspath(args.before), args.before_env), "after": (os.path.abspath(args.after), args.after_env)}


def run(who, words, where):
    """Wall seconds, processor seconds of the command."""
    program, settings = COMMANDS[who]
    environment = os.environ | dict(s.split("=", 1) for s in settings)
    before = os.times()
    begun = time.perf_counter()
    try:
        subprocess.run([program, *words], cwd=where, env=environment, check=True, capture_output=True, timeout=args.timeout)
    except subprocess.CalledProcessError as e:
        sys.exit(f"{who}: {' '.join(words)}: {e.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    except subprocess.TimeoutExpired:
        return args.timeout, float("nan")
    after = os.times()
    return time.perf_counter() - begun, after.children_user + after.children_system - before.children_user - before.children_system


class Train:
    unit = "samples/s"

    def __init__(self, where):
        self.where = where
        if args.data:
            (where / "data").symlink_to(args.data.resolve())
            self.recipe = made_up.without_evaluation(where / "from-scratch.toml")
        else:
            self.recipe = made_up.from_scratch(where)

    def rate(self, who):
        out = self.where / f"run-{who}"
        _, cpu = run(who, ["train", str(self.recipe), "--out", str(out), "--fresh", "--set", f"steps={args.steps}", "--set", "checkpoint.every=0"], self.where)
        summary = json.loads((out / "summary.json").read_text())
        seconds = sum(summary["parts"].get(part, 0) for part in ("data_wait", "forward", "backward", "optimizer"))
        return summary["samples"] / seconds, cpu


class Embed:
    unit = "images/s"

    def __init__(self, where):
        self.where = where
        (where / "images").mkdir(parents=True)
        for i in range(args.images):
            made_up.png(where / "images" / f"{i:04}.png", 256, 192, i)
        lines = [json.dumps({"id": str(i), "text": f"image {i}", "image": f"images/{i:04}.png", "split": "train"}) for i in range(8)]
        (where / "manifest.jsonl").write_text("\n".join(lines) + "\n")
        (where / "vit.toml").write_text(made_up.vit(where / "manifest.jsonl", batch=2))
        run("after", ["train", "vit.toml", "--out", "vit"], where)

    def rate(self, who):
        seconds, cpu = run(who, ["embed", "--model", "vit/last", "--out", f"{who}.npy", "images"], self.where)
        return args.images / seconds, cpu


class Transcribe:
    unit = "times as fast as speech"

    def __init__(self, where):
        self.where = where
        made_up.whisper(where / "whisper")
        made_up.wav(where / "minute.wav", args.seconds, 7)

    def rate(self, who):
        words = ["transcribe", "--model", "whisper", "--language", "en", "--no-fallback", "--max-length", str(args.tokens), "--format", "json", "minute.wav"]
        seconds, cpu = run(who, words, self.where)
        return args.seconds / seconds, cpu


WORK = {"train": Train, "embed": Embed, "transcribe": Transcribe}
print(f"{os.cpu_count()} cores, {args.rounds} rounds, medians\n")
print("| | busy processes beside | before | after | ratio (each round's) | processor seconds, before | after |")
print("|---|---|---|---|---|---|---|", flush=True)
with tempfile.TemporaryDirectory() as tmp:
    for name in args.what:
        where = Path(tmp) / name
        where.mkdir()
        work = WORK[name](where)
        for beside in args.busy:
            rates, cpu = {"before": [], "after": []}, {"before": [], "after": []}
            others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(beside)]
            try:
                for turn in range(args.rounds):
                    for who in ("before", "after") if turn % 2 == 0 else ("after", "before"):
                        rate, spent = work.rate(who)
                        rates[who].append(rate)
                        cpu[who].append(spent)
            finally:
                for other in others:
                    other.kill()
                    other.wait()
            b, a = (statistics.median(rates[who]) for who in ("before", "after"))
            each = ", ".join(f"{y / x:.2f}" for x, y in zip(rates["before"], rates["after"]))
            spent = [statistics.median(cpu[who]) for who in ("before", "after")]
            print(f"| {name}, {work.unit} | {beside} | {b:.1f} | {a:.1f} | {a / b:.2f}x ({each}) | {spent[0]:.1f} | {spent[1]:.1f} |", flush=True)
