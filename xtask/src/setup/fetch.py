"""Finds one wheel as pip would and fetches it, resuming a part file. Talks to xtask in JSON lines on stdout.

pip itself neither resumes nor reports bytes, and before 23.3 it names a file's address only after downloading it. So this
asks pip's own finder and uses pip's own session: index, mirrors, find-links, proxies, certificates and credentials
are the ones that the user gave pip. Tried with pip 20.3 to 26.0; where the classes moved, xtask falls back to `pip download`.
"""

import json
import logging
import os
import re
import sys
import time

CHUNK = 1 << 18
TRIES = 5


def say(**message):
    print(json.dumps(message), flush=True)


def fail(kind, detail):
    say(error=kind, detail=" ".join(str(detail).split())[:400])
    sys.exit(1)


def cause(text):
    """The innermost reason of an HTTP library's nested message."""
    text = " ".join(str(text).split()).replace(" - skipping", "")
    return re.split(r">: |Caused by ", text)[-1].strip("()'\": ").split("')': ")[0][:200]


class Complaints(logging.Handler):
    """What pip's finder logs when an index does not answer: it then just finds nothing."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.unreachable = None

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("Retrying"):
            say(note="no answer (%s); trying again" % cause(text))
        elif text.startswith("Could not fetch URL") and "404" not in text:
            self.unreachable = "%s: %s" % (text.split()[4].rstrip(":"), cause(text))


def size_of(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def receive(session, url, part):
    """One attempt: appends to `part` from where it ends. Returns (bytes there, bytes expected or None)."""
    have = size_of(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = "bytes=%d-" % have
    response = session.get(url, headers=headers, stream=True)
    if response.status_code == 416:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        if total == str(have):
            return have, have
        os.remove(part)
        return 0, None
    if 400 <= response.status_code < 500 and response.status_code not in (408, 429):
        fail("http", "the server answered %d for %s" % (response.status_code, url.split("?")[0]))
    if response.status_code not in (200, 206):
        raise OSError("the server answered %d" % response.status_code)
    # A server that ignores Range starts over with 200.
    start = have if response.status_code == 206 else 0
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    say(start=start, total=total or 0)
    told = time.monotonic()
    with open(part, "ab" if start else "wb") as file:
        done = start
        while True:
            block = response.raw.read(CHUNK)
            if not block:
                break
            file.write(block)
            done += len(block)
            if time.monotonic() - told > 0.1:
                say(done=done)
                told = time.monotonic()
        file.flush()
        os.fsync(file.fileno())
    return done, total


def fetch(session, url, part, pause):
    left = TRIES
    while True:
        before = size_of(part)
        reason = "the connection ended early"
        try:
            done, total = receive(session, url, part)
            if total is not None and done == total or total is None and done:
                return done
        except OSError as error:
            if error.errno == 28:
                fail("space", error)
            reason = error
        except Exception as error:  # pip vendors its HTTP library: its exceptions have no stable name
            reason = error
        left = TRIES if size_of(part) > before else left - 1
        if left <= 0:
            fail("network", cause(reason))
        wait = pause * 2 ** (TRIES - left)
        say(note="connection lost (%s); trying again in %d s" % (cause(reason), wait))
        time.sleep(wait)


def main():
    want = json.loads(sys.argv[1])
    try:
        from pip._internal.cli.cmdoptions import make_target_python
        from pip._internal.commands.download import DownloadCommand
        from pip._vendor.packaging.specifiers import SpecifierSet
    except ImportError as error:
        fail("pip" if "_internal" in str(error) or "_vendor" in str(error) else "no-pip", error)
    complaints = Complaints()
    logging.getLogger("pip").addHandler(complaints)
    logging.getLogger("pip").setLevel(logging.DEBUG)
    logging.getLogger("pip").propagate = False
    try:
        command = DownloadCommand("download", "")
        with command.main_context():
            # pip's own page cache would keep a second copy of half a gigabyte.
            options, _ = command.parse_args(["--no-cache-dir"] + want["options"])
            session = command.get_default_session(options)
            finder = command._build_package_finder(
                options=options, session=session, target_python=make_target_python(options)
            )
            best = finder.find_best_candidate(want["name"], SpecifierSet("==" + want["version"])).best_candidate
            if best is None:
                if complaints.unreachable:
                    fail("network", complaints.unreachable)
                fail("missing", "no such wheel in the package index")
            link = best.link
            sha256 = link.hash if link.hash_name == "sha256" else None
            if want["sha256"] and sha256 and sha256 != want["sha256"]:
                # Said before half a gigabyte is fetched in vain.
                fail("listed", sha256)
            say(file=link.filename, sha256=sha256)
            say(saved=fetch(session, link.url_without_fragment, want["part"], want["pause"]))
    except (AttributeError, TypeError) as error:
        fail("pip", error)
    except OSError as error:
        fail("space" if error.errno == 28 else "network", error)


try:
    main()
except KeyboardInterrupt:
    sys.exit(1)
