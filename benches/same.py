"""Do two built commands write the same bytes? A net under redesigns.

    python3 benches/same.py BEFORE AFTER --model runs/from-scratch/best --fusion runs/from-scratch/fusion/best --data data

Each line is run by both in folders of their own; what they print and write is compared byte for byte, but for what tells times.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import made_up

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("before")
parser.add_argument("after")
parser.add_argument("--model", type=Path, required=True, help="a model of texts, images and sounds")
parser.add_argument("--fusion", type=Path, help="a model that writes captions")
parser.add_argument("--data", type=Path, required=True, help="the quickstart's data")
args = parser.parse_args()
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
LINES = [
    "embed --model MODEL --out p.npy DATA/emoji/images/twemoji --json",
    "embed --model MODEL --out s.safetensors --manifest DATA/stamps/manifest.jsonl --split test",
    "embed --model MODEL --out i.npy --precision int8 --text 'a cat' --text 'un chat' --text 'eine Katze'",
    "classify --model MODEL --labels labels.txt DATA/emoji/images/twemoji/1f4*.png --json",
    "index build --model MODEL --out IDX DATA/emoji/images/openmoji",
    "search --index IDX 'a ship on the sea' --json",
    "eval retrieval --model MODEL --data DATA/stamps/manifest.jsonl --split test --from audio --to text --json",
    "caption --model FUSION DATA/emoji/images/twemoji/1f4*.png --json",
    f"caption --model {FIXTURES}/fusion/blip-caption --beams 3 {FIXTURES}/images --json",
    f"transcribe --model {FIXTURES}/fusion/whisper-speech --language en --no-fallback --max-length 30 --format json minute.wav {FIXTURES}/audio",
    f"scenes --out SCENES --model MODEL {FIXTURES}/scenes/*.mp4",
]
# What no two runs have in common.
TIMES = re.compile(rb'"(seconds|at|sha256)": ?[^,}\n]+|in \d+(\.\d+)? (m?s|min)\b|\d+ a second|\d{4}-\d\d-\d\dT[^"<]*')


def run(program, line, where):
    words = line.replace("MODEL", str(args.model.resolve())).replace("DATA", str(args.data.resolve()))
    if args.fusion:
        words = words.replace("FUSION", str(args.fusion.resolve()))
    # One thread adds in one order.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    words = " ".join(shlex.quote(w) if "*" not in w else w for w in shlex.split(words))
    done = subprocess.run(["bash", "-c", f"{shlex.quote(program)} {words}"], cwd=where, env=environment, capture_output=True)
    return done.returncode, done.stdout


def plain(data, where):
    return TIMES.sub(b"", data.replace(str(where).encode(), b"HERE"))


def files(where):
    return {str(p.relative_to(where)): plain(p.read_bytes(), where) for p in sorted(where.rglob("*")) if p.is_file()}


with tempfile.TemporaryDirectory() as tmp:
    folders = []
    for name, program in ("before", args.before), ("after", args.after):
        where = Path(tmp) / name
        where.mkdir()
        (where / "labels.txt").write_text("cat\ndog\nship\nun fruit\n")
        made_up.wav(where / "minute.wav", 40, 7)
        folders.append((where, os.path.abspath(program)))
    wrong = 0
    for line in LINES:
        if "FUSION" in line and not args.fusion:
            continue
        (a, said_a), (b, said_b) = (run(program, line, where) for where, program in folders)
        written = [files(where) for where, _ in folders]
        differ = [name for name in written[0].keys() | written[1].keys() if written[0].get(name) != written[1].get(name)]
        same = (a, plain(said_a, folders[0][0])) == (b, plain(said_b, folders[1][0])) and not differ
        wrong += not same or a != 0
        print(f"{'same' if same else 'DIFFER'} ({a}, {b})  {line}" + (f"  {sorted(differ)[:5]}" if differ else ""), flush=True)
sys.exit(wrong > 0)
