"""The parts of `benches/gpu/run`, which sets the way to libtorch first. Standard library only; the peers run where they are installed."""
import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benches"))
import made_up

parser = argparse.ArgumentParser()
parser.add_argument("--unisono", required=True)
parser.add_argument("--device", default="cuda")
parser.add_argument("--out", type=Path, help="default: benches/gpu/results/DEVICE.json")
parser.add_argument("--tiny", action="store_true", help="small sizes: to try the script itself")
parser.add_argument("--only", nargs="+", metavar="PART", help="these parts alone; vit_encoding and files need vit_training")
parser.add_argument("--limit", type=int, default=345, help="seconds for everything; what is not begun by then is left out")
args = parser.parse_args()
BEGUN = time.monotonic()
UNISONO = str(Path(args.unisono).resolve())
FIXTURES = ROOT / "fixtures"
TINY = {"size": 32, "patch": 8, "width": 64, "depth": 2, "heads": 2, "text": 64}
BATCH = 8 if args.tiny else 256


def left():
    return args.limit - (time.monotonic() - BEGUN)


def call(words, cwd=None, some=False):
    """The output of a command; its last words where it fails, with `some` only where it fails without any output."""
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, timeout=max(5, left()))
    if done.returncode != 0 and not (some and done.returncode == 1 and done.stdout.strip()):
        said = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["(nothing on stderr)"]
        raise RuntimeError(f"{Path(str(words[0])).name} {words[1] if len(words) > 1 else ''}: exit {done.returncode}: {' | '.join(said[-3:])[-1500:]}")
    return done.stdout


def unisono(*words, **more):
    return call([UNISONO, *words], **more)


def measure(*words):
    """The lines of `unisono measure`, which says what failed in them."""
    return [json.loads(line) for line in unisono("measure", "--device", args.device, *words, some=True).splitlines()]


def machine():
    found = {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    try:
        names = "name,driver_version,memory.total,compute_cap"
        found["gpu"] = call(["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader"]).strip().splitlines()
    except (OSError, RuntimeError) as e:
        found["gpu"] = f"nvidia-smi: {e}"
    found["peers"] = {name: version(name) for name in ("torch", "open_clip", "transformers")}
    found["libraries"] = os.environ.get("LD_LIBRARY_PATH", "")
    return found


def version(name):
    try:
        return call([sys.executable, "-c", f"import {name}; print({name}.__version__)"]).strip()
    except (RuntimeError, subprocess.TimeoutExpired):
        return None


def doctor():
    found = json.loads(unisono("doctor", "--json", some=True))
    return {"ok": found["ok"], "libtorch": found["facts"]["libtorch"], "cuda": found["facts"]["cuda"], "checks": {c["name"]: f"{c['status']}: {c['value']}" for c in found["checks"]}}


def fixtures():
    """Largest difference and least cosine of every tower; equal tokens of every text."""
    folders = sorted(p for kind in ("checkpoints", "fusion") for p in (FIXTURES / kind).iterdir() if (p / "config.json").exists() or (p / "open_clip_config.json").exists())
    lines = measure(*folders)
    for line in lines:
        line["model"] = str(Path(line["model"]).relative_to(FIXTURES))
    towers = [(line["model"], name, t) for line in lines for name, t in (line["towers"] or {}).items() if isinstance(t, dict)]
    sound = [t for *_, t in towers if "cosine" in t]
    faults = [f"{model} {name}: {t['fault']}" for model, name, t in towers if "fault" in t]
    faults += [f"{line['model']}: {line[part]['fault']}" for line in lines for part in ("towers", "writes") if isinstance(line[part], dict) and "fault" in line[part]]
    numbers = lambda key: [t[key] for t in sound if t[key] is not None]
    refused = {line["model"]: line["writes"]["refused"] for line in lines if isinstance(line["writes"], dict) and "refused" in line["writes"]}
    return {"models": len(lines), "towers": len(sound), "largest_difference": max(numbers("difference"), default=None), "least_cosine": min(numbers("cosine"), default=None),
            "not_numbers": sum(t["cosine"] is None for t in sound), "faults": faults, "refused": refused, "each": lines}


def train(out, recipe, device, *more):
    unisono("train", recipe, "--out", out, "--fresh", "--set", f"device={device}", *more, cwd=WHERE)
    lines = [json.loads(line) for line in (WHERE / out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "train"], json.loads((WHERE / out / "summary.json").read_text())


def step():
    """Loss and gradient norm of a first step, and their means over ten, of the towers of recipes/from-scratch.toml."""
    found = {}
    for steps in (1, 10):
        both = {}
        for device in ("cpu", args.device):
            # Small: the arithmetic is what is looked at.
            small = [word for name in ("emoji-en", "emoji-languages", "stamps-captions", "stamps-speech") for word in ("--set", f"data.{name}.per_batch=8")]
            lines, _ = train(f"step-{device.replace(':', '-')}", "from-scratch.toml", device, "--set", f"steps={steps}", *small)
            both[device] = {key: lines[-1][key] for key in ("loss", "grad_norm", "pairs")}
        a, b = both["cpu"], both[args.device]
        both["relative_difference"] = {key: abs(a[key] - b[key]) / max(abs(a[key]), 1e-12) for key in ("loss", "grad_norm")}
        found[f"{steps} steps"] = both
    return found


def vit_training():
    """Samples a second: images and short texts, steps after the first ten."""
    sizes = TINY if args.tiny else {}
    (WHERE / "vit.toml").write_text(made_up.vit("data/emoji/manifest.jsonl", batch=BATCH // 2, **sizes))
    lines, summary = train("vit", "vit.toml", args.device, "--set", f"steps={20 if args.tiny else 40}")
    return {"batch": BATCH // 2, "samples_per_second": [round(line["samples_per_second"], 1) for line in lines[1:]], "data_wait": [round(line["data_wait"], 3) for line in lines[1:]],
            "gflops": summary["gflops"], "machine_gflops": summary["machine_gflops"]}


def vit_encoding():
    rounds = 2 if args.tiny else 20
    found = {}
    for precision in ("fp32", "bf16"):
        (line,) = measure(WHERE / "vit" / "last", "--no-compare", "--batch", BATCH, "--rounds", rounds, "--precision", precision)
        found[precision] = line["towers"]
    return {"batch": BATCH, **found}


def files():
    """The whole command, files to vectors."""
    seconds = {}
    for device in dict.fromkeys(["cpu", args.device]):
        out = json.loads(unisono("embed", "--model", "vit/last", "--device", device, "--out", f"{device.replace(':', '-')}.npy", "--modality", "image", "--batch", "64", "--json", "data/emoji", cwd=WHERE))
        seconds[device] = {"images": out["count"], "seconds": out["seconds"]}
    return seconds


def whisper():
    shape = {"width": 64, "layers": 1, "heads": 2, "seconds": 2} if args.tiny else {"width": 512, "layers": 6, "heads": 8}
    folder = made_up.whisper(WHERE / "whisper", **shape)
    found = {}
    for batch in (1, 8):
        (line,) = measure(folder, "--no-compare", "--batch", batch, "--rounds", 2, "--tokens", 16 if args.tiny else 65)
        found[f"batch {batch}"] = line["writes"]
    return found


def peer(name, needs, code):
    """Runs code in a Python of its own, where it is installed."""
    if version(needs) is None or version("torch") is None:
        return {"left out": f"{needs} is not installed"}
    head = f"import torch, time, json\nD = {args.device!r}\nTINY = {args.tiny}\nBATCH = {BATCH}\nWHERE = {str(WHERE)!r}\n" + SYNC
    return json.loads(call([sys.executable, "-c", head + textwrap.dedent(code)]).strip().splitlines()[-1])


SYNC = """
def rate(f, n, rounds):
    for _ in range(2): f()
    wait = torch.cuda.synchronize if D.startswith("cuda") else (lambda: None)
    wait(); begun = time.perf_counter()
    for _ in range(rounds): f()
    wait(); return n * rounds / (time.perf_counter() - begun)
"""


def open_clip_peer():
    return peer("open_clip", "open_clip", """
        import open_clip
        found = {}
        if TINY:
            model = open_clip.model.CLIP(64, dict(image_size=32, patch_size=8, width=64, layers=2), dict(width=64, heads=2, layers=2)).to(D)
        else:
            model = open_clip.create_model("ViT-B-32", pretrained=None).to(D)
        size = 32 if TINY else 224
        x = torch.randn(BATCH, 3, size, size, device=D)
        model.eval()
        with torch.no_grad():
            found["encode fp32, images/s"] = rate(lambda: model.encode_image(x), BATCH, 2 if TINY else 20)
            with torch.autocast(D.split(":")[0], torch.bfloat16):
                found["encode bf16, images/s"] = rate(lambda: model.encode_image(x), BATCH, 2 if TINY else 20)
        model.train()
        half = BATCH // 2
        ids = torch.randint(1, 400, (half, 77), device=D); ids[:, 8] = 49407
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=D.startswith("cuda"))
        def step():
            optimizer.zero_grad()
            a, b, scale = model(x[:half], ids)[:3]
            logits = scale * a @ b.T
            at = torch.arange(half, device=D)
            loss = (torch.nn.functional.cross_entropy(logits, at) + torch.nn.functional.cross_entropy(logits.T, at)) / 2
            loss.backward(); optimizer.step()
        found["train fp32, samples/s"] = rate(step, half, 2 if TINY else 20)
        print(json.dumps(found))
    """)


def transformers_whisper():
    return peer("whisper", "transformers", """
        import transformers as tf
        tf.logging.set_verbosity_error()
        model = tf.WhisperForConditionalGeneration.from_pretrained(WHERE + "/whisper").to(D).eval()
        c, found = model.config, {}
        frames = 2 * c.max_source_positions
        for batch in (1, 8):
            x = torch.zeros(batch, c.num_mel_bins, frames, device=D)
            ids = torch.full((batch, 1), c.decoder_start_token_id, device=D)
            longest = 16 if TINY else 65
            for beams in (1, 3):
                config = tf.GenerationConfig(decoder_start_token_id=c.decoder_start_token_id, eos_token_id=c.eos_token_id, pad_token_id=c.eos_token_id, max_length=longest, num_beams=beams, suppress_tokens=[c.eos_token_id])
                with torch.no_grad():
                    f = lambda: tf.generation.GenerationMixin.generate(model, inputs=x, decoder_input_ids=ids, generation_config=config)
                    found[f"batch {batch}, beams {beams}, tokens/s"] = rate(f, batch * (longest - 1), 2)
        print(json.dumps(found))
    """)


def blip():
    """transformers makes the model, both write."""
    theirs = peer("blip", "transformers", """
        import transformers as tf
        tf.logging.set_verbosity_error()
        torch.manual_seed(0)
        small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        config = tf.BlipConfig(text_config=small | {"encoder_hidden_size": 32}, vision_config=small | {"image_size": 32, "patch_size": 8}) if TINY else tf.BlipConfig()
        model = tf.BlipForConditionalGeneration(config).eval()
        model.save_pretrained(WHERE + "/blip")
        model = model.to(D)
        size, longest, found = model.config.vision_config.image_size, 16 if TINY else 21, {}
        for batch in (1, 8):
            x = torch.zeros(batch, 3, size, size, device=D)
            for beams in (1, 3):
                with torch.no_grad():
                    f = lambda: model.generate(x, max_length=longest, num_beams=beams, suppress_tokens=[102])
                    found[f"batch {batch}, beams {beams}, tokens/s"] = rate(f, batch * (longest - 1), 2)
        print(json.dumps(found))
    """)
    ours = {}
    if (WHERE / "blip" / "config.json").exists():
        for batch in (1, 8):
            (line,) = measure(WHERE / "blip", "--no-compare", "--batch", batch, "--rounds", 2, "--tokens", 16 if args.tiny else 21)
            ours[f"batch {batch}"] = line["writes"]
    return {"unisono": ours, "transformers": theirs}


PARTS = [machine, doctor, fixtures, step, vit_training, vit_encoding, files, open_clip_peer, whisper, transformers_whisper, blip]
found = {"device": args.device, "tiny": args.tiny, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "unisono": None, "parts": {}}
with tempfile.TemporaryDirectory() as tmp:
    WHERE = Path(tmp)
    made_up.from_scratch(WHERE, *((24, 12) if args.tiny else (256, 40)))
    for part in [p for p in PARTS if not args.only or p.__name__ in args.only]:
        begun = time.monotonic()
        try:
            if left() < 5:
                raise TimeoutError("no time was left for it")
            entry = {"ok": True, "result": part()}
        except subprocess.TimeoutExpired as e:
            entry = {"ok": False, "fault": f"{Path(e.cmd[0]).name}: did not end in time"}
        except Exception as e:  # one part's fault, whatever it is, stays that part's
            entry = {"ok": False, "fault": f"{type(e).__name__}: {e}"}
        entry["seconds"] = round(time.monotonic() - begun, 1)
        found["parts"][part.__name__] = entry
        print(f"{part.__name__:20} {entry['seconds']:6.1f} s  {'done' if entry['ok'] else entry['fault']}", file=sys.stderr, flush=True)

seen = found["parts"].get("doctor", {}).get("result") or {}
names = (seen.get("cuda") or {}).get("devices") or []
gpus = (found["parts"].get("machine", {}).get("result") or {}).get("gpu")
if args.device != "cpu":
    found["device"] = names[0] if names and not re.fullmatch(r"cuda:\d+", names[0]) else gpus[0].split(",")[0] if isinstance(gpus, list) and gpus else args.device
try:
    found["unisono"] = unisono("--version").strip()
except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
    found["unisono"] = f"{e}"
found["seconds"] = round(time.monotonic() - BEGUN, 1)
out = args.out or ROOT / "benches" / "gpu" / "results" / (re.sub(r"[^A-Za-z0-9]+", "-", found["device"]).strip("-").lower() + ".json")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
print(f"{out}: {sum(e['ok'] for e in found['parts'].values())} of {len(found['parts'])} parts, {found['seconds']:.0f} s")
