"""Clients that ask `unisono serve` at once: with batches across requests, and each input by itself, in turns.

    python benches/serve.py --unisono target/release/unisono --model M [--clients 64] [--seconds 20] [--rounds 3]

Prints requests a second and latencies of both, and their ratio. Only Python's own library.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import threading
import time


def serve(args, batch):
    line = [args.unisono, "serve", "--model", args.model, "--addr", "127.0.0.1:0", "--batch", str(batch)]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    return child, child.stdout.readline().strip().rsplit("/", 1)[1]


def client(addr, number, until, taken, others):
    connection = http.client.HTTPConnection(addr, timeout=120)
    n = 0
    while time.monotonic() < until:
        n += 1
        text = f"client {number} asks for the {n}th time: " + "a red bus in the rain " * (1 + n % 3)
        began = time.monotonic()
        connection.request("POST", "/v1/embeddings", json.dumps({"input": text, "encoding_format": "base64"}),
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        if reply.status == 200:
            taken.append(time.monotonic() - began)
        else:
            others.append(reply.status)


def run(addr, args):
    taken, others = [], []
    until = time.monotonic() + args.seconds
    threads = [threading.Thread(target=client, args=(addr, i, until, taken, others)) for i in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.sort()
    return len(taken) / args.seconds, taken[len(taken) // 2], taken[len(taken) * 99 // 100], sorted(set(others))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unisono", default="target/release/unisono")
    parser.add_argument("--model", required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found = {"together": [], "each alone": []}
    servers = {name: serve(args, batch) for name, batch in [("together", 32), ("each alone", 1)]}
    for _ in range(args.rounds):
        for name, (_, addr) in servers.items():
            rate, half, most, others = run(addr, args)
            found[name].append(rate)
            print(f"{name:>10}: {rate:8.1f} requests/s, p50 {half * 1000:7.1f} ms, p99 {most * 1000:7.1f} ms, other answers {others}")
    for child, _ in servers.values():
        child.terminate()
        child.wait()
    ratios = [a / b for a, b in zip(found["together"], found["each alone"])]
    print(f"together / each alone: {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
