"""Searches of an index beside faiss, hnswlib and usearch, on the same vectors and cores, in one run.

    cargo build --release -p unisono-index --example search_speed
    python benches/search.py --bin target/release/examples/search_speed [--count 100000 --dim 512 --queries 1000]

Vectors are made up as embeddings lie: a mixture of 2,000 kinds in 64 dimensions, turned into D by random weights, with a little noise, of length 1; queries
are others of the same. For each method and setting: the share of the ten nearest that it finds, queries that a processor second answers, all together and one
by one, processor seconds to build, seconds to open, bytes of its file or of what its search reads of a vector. Processor time, since machines have more to do.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

p = argparse.ArgumentParser()
p.add_argument("--bin", required=True)
p.add_argument("--count", type=int, default=100_000)
p.add_argument("--dim", type=int, default=512)
p.add_argument("--queries", type=int, default=1000)
p.add_argument("--threads", type=int, default=1, help="more make peers that spin while they wait look slow")
p.add_argument("--folder")
p.add_argument("--methods", nargs="*", default=[], help="only these of ours, as `i8 graph`")
p.add_argument("--peers", nargs="*", default=["usearch i8", "usearch f32", "hnswlib", "faiss HNSW"], help="only these graphs of others")
a = p.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(a.threads)

import faiss
import hnswlib
import numpy as np
import usearch
from usearch.index import Index, MetricKind, ScalarKind

K = 10
EF = [16, 24, 32, 48, 64, 96, 128, 192, 256, 400, 800]
faiss.omp_set_num_threads(a.threads)
folder = a.folder or tempfile.mkdtemp()
os.makedirs(folder, exist_ok=True)


def made(n, rng, centres, weights):
    latent = centres[rng.integers(0, len(centres), n)] + 0.6 * rng.standard_normal((n, centres.shape[1]), dtype=np.float32)
    x = latent @ weights + 0.05 * rng.standard_normal((n, weights.shape[1]), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


rng = np.random.default_rng(20)
centres = rng.standard_normal((2000, 64), dtype=np.float32)
weights = rng.standard_normal((64, a.dim), dtype=np.float32) / 8
x, q = made(a.count, rng, centres, weights), made(a.queries, rng, centres, weights)
x.tofile(f"{folder}/vectors.f32")
q.tofile(f"{folder}/queries.f32")


def clock(f, now=time.process_time):
    begun = now()
    out = f()
    return now() - begun, out


def rate(f):
    """So many queries a processor second, of half a second's work."""
    begun, rounds = time.process_time(), 0
    while True:
        f()
        rounds += 1
        if (seconds := time.process_time() - begun) > 0.5:
            return rounds * len(q) / seconds


rows = []


def measure(name, setting, together, alone, build, opened, size, right=None):
    """`together` and `alone` search all queries, and one; they return rows."""
    found = together()
    hit = 1.0 if right is None else sum(len(set(f) & set(r)) for f, r in zip(found, right)) / (K * len(q))
    rows.append(dict(method=name, candidates=setting, recall=hit, together=rate(together), alone=rate(lambda: [alone(v) for v in q]), build=build, open=opened, bytes=size))
    print(json.dumps(rows[-1]), flush=True)
    return found


def sweep(name, search, set_ef, build, opened, size, right):
    for ef in EF:
        set_ef(ef)
        measure(name, ef, lambda: search(q), lambda v: search(v[None]), build, opened, size, right)
        if rows[-1]["recall"] >= 0.995:
            break


flat = faiss.IndexFlatIP(a.dim)
built, _ = clock(lambda: flat.add(x))
right = measure("faiss flat", 0, lambda: flat.search(q, K)[1], lambda v: flat.search(v[None], K)[1], built, 0.0, 4 * a.dim)

for line in subprocess.Popen([a.bin, folder, str(a.dim), f"{folder}/vectors.f32", f"{folder}/queries.f32", *a.methods], stdout=subprocess.PIPE, text=True).stdout:
    row = json.loads(line)
    row["method"] = "unisono " + row["method"]
    rows.append(row)
    print(json.dumps(row), flush=True)

# Links 32 (64 below), 128 in sight: as many as the graph of an index has.
for kind, name in ((ScalarKind.I8, "usearch i8"), (ScalarKind.F32, "usearch f32")):
    if name in a.peers:
        index = Index(ndim=a.dim, metric=MetricKind.IP, dtype=kind, connectivity=32, expansion_add=128)
        built, _ = clock(lambda: index.add(np.arange(a.count), x, threads=a.threads))
        index.save(f"{folder}/usearch")
        opened, view = clock(lambda: Index.restore(f"{folder}/usearch", view=True), time.perf_counter)
        size = os.path.getsize(f"{folder}/usearch") / a.count
        search = lambda v: view.search(v, K, threads=a.threads if len(v) > 1 else 1).keys.reshape(len(v), -1)
        sweep(name, search, lambda ef: setattr(view, "expansion_search", ef), built, opened, size, right)
if "hnswlib" in a.peers:
    index = hnswlib.Index(space="ip", dim=a.dim)
    index.init_index(a.count, ef_construction=128, M=32)
    index.set_num_threads(a.threads)
    built, _ = clock(lambda: index.add_items(x))
    index.save_index(f"{folder}/hnswlib")
    again = hnswlib.Index(space="ip", dim=a.dim)
    opened, _ = clock(lambda: again.load_index(f"{folder}/hnswlib"), time.perf_counter)
    again.set_num_threads(a.threads)
    size = os.path.getsize(f"{folder}/hnswlib") / a.count
    sweep("hnswlib", lambda v: again.knn_query(v, K)[0], again.set_ef, built, opened, size, right)
if "faiss HNSW" in a.peers:
    index = faiss.IndexHNSWFlat(a.dim, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 128
    built, _ = clock(lambda: index.add(x))
    faiss.write_index(index, f"{folder}/faiss")
    opened, _ = clock(lambda: faiss.read_index(f"{folder}/faiss"), time.perf_counter)
    size = os.path.getsize(f"{folder}/faiss") / a.count
    sweep("faiss HNSW", lambda v: index.search(v, K)[1], lambda ef: setattr(index.hnsw, "efSearch", ef), built, opened, size, right)

print(f"\n{a.count} x {a.dim}, {a.queries} queries, k = {K}, {a.threads} threads, load {os.getloadavg()[0]:.1f}; faiss {faiss.__version__}, usearch {usearch.__version__}")
print(f"{'method':22}{'candidates':>11}{'recall':>8}{'together':>12}{'alone':>10}{'build s':>9}{'open ms':>9}{'bytes':>7}")
first = {}
for r in rows:
    if r["recall"] >= 0.99 and r["method"] not in first or r["method"] not in {s["method"] for s in rows if s["recall"] >= 0.99}:
        first.setdefault(r["method"], r)
        print(f"{r['method']:22}{r['candidates']:>11}{r['recall']:>8.4f}{r['together']:>12.0f}{r['alone']:>10.0f}{r['build']:>9.1f}{1000 * r['open']:>9.1f}{r['bytes']:>7.0f}")
