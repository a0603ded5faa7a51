"""Searches by words, by meaning and by both; what a chance is worth; and what ranking by chance does, on the emoji and the stamps of the quickstart.

    cargo build --workspace --bin unisono --example orders
    python benches/hybrid.py --model runs/quickstart --data data [--bin target/debug]

Emoji: pictures of a hand and of concepts that no training saw, each with its name; asked for by the tags that people know it by, without the name. Stamps: picture files,
known by nothing but their names (`frog-1.png`); asked for by their English captions. What has the same label, or caption, is right.

nDCG@10 with 95 % intervals of 10,000 resamples of the queries; of two orders the interval of their difference on the same queries.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile

import numpy as np

p = argparse.ArgumentParser()
p.add_argument("--model", required=True)
p.add_argument("--data", default="data")
p.add_argument("--bin", default="target/debug")
p.add_argument("--folder")
a = p.parse_args()
folder = a.folder or tempfile.mkdtemp()
os.makedirs(folder, exist_ok=True)
rng = np.random.default_rng(20)


def lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def index(name, records, *options):
    """Builds an index of records; its folder."""
    manifest = f"{folder}/{name}.jsonl"
    with open(manifest, "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in records)
    out = f"{folder}/{name}"
    if not os.path.exists(out):
        subprocess.run([f"{a.bin}/unisono", "index", "build", "--model", a.model, "--data", manifest, "--out", out, *options], check=True, stdout=subprocess.DEVNULL)
    return out


def ask(index, queries):
    """What searches find for `(query, ids of what is relevant)`."""
    given = "".join(json.dumps({"query": q, "relevant": r}) + "\n" for q, r in queries)
    out = subprocess.run([f"{a.bin}/examples/orders", index], input=given, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


def ndcg(hits, relevant):
    gain = sum(1 / np.log2(n + 2) for n, (id, _) in enumerate(hits[:10]) if id in relevant)
    return gain / sum(1 / np.log2(n + 2) for n in range(min(10, len(relevant))))


def interval(values):
    values = np.asarray(values, dtype=float)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(10_000)]
    return f"{values.mean():.4f} [{np.quantile(means, 0.025):.4f}, {np.quantile(means, 0.975):.4f}]"


def orders(name, found, queries, kinds):
    of = {kind: np.array([ndcg(f[kind], set(r)) for f, (_, r) in zip(found, queries)]) for kind in kinds}
    print(f"\n{name}, {len(queries)} queries, nDCG@10")
    for kind in kinds:
        print(f"  {kind:10} {interval(of[kind])}")
    for kind in kinds[:-1]:
        print(f"  {kinds[-1]} - {kind}: {interval(of[kinds[-1]] - of[kind])}")


emoji = {r["label"]: r for r in lines(f"{a.data}/emoji/manifest.jsonl") if r["split"] in ("test-vendor", "test-concept") and r.get("lang") == "en"}
path = lambda kind, r: os.path.abspath(f"{a.data}/{kind}/{r['image']}")
pictures = [{"id": label, "text": r["text"][0], "image": path("emoji", r), "label": label} for label, r in emoji.items()]
tags = lambda r: r["text"][1][len(r["text"][0]) :].strip(" ,")
asked = [(tags(r), [label]) for label, r in emoji.items() if len(r["text"]) > 1 and tags(r)]
of_pictures = index("emoji", pictures, "--modality", "image")

stamps = [r for r in lines(f"{a.data}/stamps/manifest.jsonl") if r.get("lang") == "en" and "image" in r]
stamps = list({r["image"]: r for r in stamps}.values())
of_stamps = index("stamps", [{"id": r["image"], "image": path("stamps", r)} for r in stamps], "--modality", "image")
same = {}
for r in stamps:
    same.setdefault(r["text"].lower(), []).append(r["image"])
captions = [(r["text"], same[r["text"].lower()]) for r in stamps if r["split"] in ("test", "val")]

found = ask(of_pictures, asked)
orders("emoji", found, asked, ["words", "meaning", "both"])
found_stamps = ask(of_stamps, captions)
orders("stamps", found_stamps, captions, ["words", "meaning", "both"])
both = [(found, asked), (found_stamps, captions)]
json.dump(both, open(f"{folder}/found.json", "w"))

# A text and a picture of each: words are nearer to words than to pictures, whatever they say.
twice = [{"id": f"{r['id']}/text", "text": r["text"], "label": r["id"]} for r in pictures] + [{k: v for k, v in r.items() if k != "text"} for r in pictures]
of_both = index("gap", twice)
asked_both = [(q, [r[0], f"{r[0]}/text"]) for q, r in asked]
found_both = ask(of_both, asked_both)
orders("emoji, a picture and a name each", found_both, asked_both, ["by_cosine", "by_chance"])
share = lambda kind: np.mean([np.mean([not str(id).endswith("/text") for id, _ in f[kind][:10]]) for f in found_both])
print(f"  pictures among the first ten: by cosine {share('by_cosine'):.2f}, by chance {share('by_chance'):.2f}")

# Random queries: captions of other things. What is said of a pair must be as often so as it is said.
other = sorted({t for r in lines(f"{a.data}/stamps/manifest.jsonl") if r.get("lang") == "en" and r["split"] == "train" for t in [r["text"]]})
other += sorted({r["text"][0] for r in lines(f"{a.data}/emoji/manifest.jsonl") if r.get("lang") == "en" and r["split"] == "train"})
random.Random(20).shuffle(other)
for name, folder_of in (("emoji", of_pictures), ("stamps", of_stamps)):
    random_found = ask(folder_of, [(q, []) for q in other[:1000]])
    print(f"\nchance, {name}: {len(random_found)} random queries, share of pairs that are said to be so rare")
    for limit in (0.1, 0.01, 1e-3, 1e-4):
        print(f"  {limit:g}: {interval([np.mean(np.array(f['chances']) <= limit) for f in random_found])}")

syllables = [c + v for c in "bcdfghjklmnprstvwz" for v in "aeiou"]
draw = random.Random(21)
nonsense = [" ".join("".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(draw.randint(1, 4))) for _ in range(1000)]
for name, folder_of, found_of, queries in (("emoji", of_pictures, found, asked), ("stamps", of_stamps, found_stamps, captions)):
    silent = [min(f["chances"]) for f in ask(folder_of, [(q, []) for q in nonsense])]
    # True hits: what is relevant and among the ten nearest.
    kept = [min(c for c in f["relevant"] if c is not None) for f, (_, r) in zip(found_of, queries) if any(id in r for id, _ in f["meaning"][:10])]
    first = [min(c for c in f["relevant"] if c is not None) for f, (_, r) in zip(found_of, queries) if f["meaning"][0][0] in r]
    print(f"\n{name}: nonsense that finds nothing; true hits among ten ({len(kept)}) and in the first place ({len(first)}) that stay")
    for limit in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        print(f"  --chance {limit:g}: {np.mean(np.array(silent) > limit):.3f}, {np.mean(np.array(kept) <= limit):.3f}, {np.mean(np.array(first) <= limit):.3f}")
