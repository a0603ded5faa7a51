"""Precision, recall and F1 of each detector on the constructed videos of fixtures/scenes, whose boundaries are known.

    python3 benches/scenes_f1.py target/release/unisono [NAME=VALUE …]

A hard cut is found by a boundary at its frame, or one frame beside it; a dissolve or fade by one from two frames before it to two after it;
each boundary finds one of them. Flashes are no boundaries: one that is cut at is a false alarm. Shots shorter than the detectors' least
(15 frames) cannot be found at the defaults, so the table is also made with the least set to one frame. No timing, no dependencies.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

unisono, extra = sys.argv[1], sys.argv[2:]
here = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "scenes"
truth = json.loads((here / "truth.json").read_text())
videos = {name: events for name, events in truth.items() if (here / name).is_file() and any(e["kind"] != "flash" for e in events)}


def boundaries(out):
    found = {}
    for line in (out / "scenes.jsonl").open():
        scene = json.loads(line)
        frame = scene["start"]["frame"]
        if frame > 0:
            found.setdefault(pathlib.Path(scene["video"]).name, []).append(frame)
    return found


def score(found):
    hits, wanted, kinds = 0, 0, {}
    said = sum(len(found.get(name, [])) for name in videos)
    for name, events in videos.items():
        left = sorted(found.get(name, []))
        for event in events:
            if event["kind"] == "flash":
                continue
            slack = 1 if event["kind"] == "cut" else 2
            of = [f for f in left if event["start"] - slack <= f <= event["end"] + slack]
            kind = kinds.setdefault(event["kind"], [0, 0])
            kind[1] += 1
            wanted += 1
            if of:
                left.remove(of[0])
                kind[0] += 1
                hits += 1
    precision, recall = hits / max(said, 1), hits / max(wanted, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return precision, recall, f1, kinds


detectors = ["content", "adaptive", "threshold", "histogram", "hash", "transnet"]
print("| detector | least shot | precision | recall | F1 | cuts | dissolves | fades |")
print("|---|---|---|---|---|---|---|---|")
rows = [(d, least, more) for d in detectors for least in (15, 1) for more in ([], ["shots.gradual=cut", "shots.flashes=drop"]) if not (d == "transnet" and least == 1)]
for detector, least, more in rows:
    with tempfile.TemporaryDirectory() as out:
        command = [unisono, "scenes", "--detector", detector, "--format", "none", "--out", out, "--max-skip", "100"]
        lengths = [] if detector == "transnet" else [f"{detector}.min_scene_len={least}"]
        for setting in lengths + more + extra:
            command += ["--set", setting]
        subprocess.run(command + [here / name for name in videos], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        precision, recall, f1, kinds = score(boundaries(pathlib.Path(out)))
        of = lambda kind: "{}/{}".format(*kinds.get(kind, [0, 0]))
        name = detector + (" + events" if more else "")
        length = "-" if detector == "transnet" else f"{least} frames"
        print(f"| {name} | {length} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {of('cut')} | {of('dissolve')} | {of('fade')} |", flush=True)
