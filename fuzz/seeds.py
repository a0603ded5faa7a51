#!/usr/bin/env python3
"""Small hostile inputs of the kinds that were reported, one file each, into corpus-kept/. They are what the fuzzer starts from, too."""
import base64, hashlib, io, json, pathlib, struct, tarfile, zipfile

HERE = pathlib.Path(__file__).parent / "corpus-kept"


def keep(target, name, data):
    (HERE / target).mkdir(parents=True, exist_ok=True)
    (HERE / target / name).write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())


def archive(program, storage=None, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        # Of no time: the same bytes whenever they are made.
        z.writestr(zipfile.ZipInfo("m/data.pkl"), program, method)
        if storage is not None:
            z.writestr(zipfile.ZipInfo("m/data/0"), storage, method)
    return out.getvalue()


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def tensor(offset, elements, shape, strides):
    integer = lambda i: b"J" + struct.pack("<i", i)
    integers = lambda all: b"(" + b"".join(map(integer, all)) + b"t"
    return (b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
            + integer(elements) + b"tQ" + integer(offset) + integers(shape) + integers(strides) + b"\x89ccollections\nOrderedDict\n)RtRs.")


itself = b"\x80\x02}q\x00" + text("state_dict") + b"h\x00s."
keep("pickle", "itself", archive(itself))
keep("pickle", "deep", archive(b"\x80\x02)" + b"\x85" * 4000 + b"."))
keep("pickle", "lists", archive(b"\x80\x02" + b"]" * 2000 + b"a" * 1999 + b"."))
keep("pickle", "deflated", archive(b"\x80\x02" + b"]" * 2_000_000 + b".", method=zipfile.ZIP_DEFLATED))
keep("pickle", "whole", archive(tensor(0, 16, [4, 4], [4, 1]), bytes(64)))
keep("pickle", "view", archive(tensor(4, 16, [3, 2], [2, 5]), bytes(64)))
keep("pickle", "stride-0", archive(tensor(0, 16, [1 << 30, 1 << 20], [0, 0]), bytes(64)))
keep("pickle", "overflow", archive(tensor(1, 16, [2**31 - 1] * 3, [2**31 - 1] * 3), bytes(64)))
keep("pickle", "program", tensor(0, 16, [4, 4], [4, 1]))

header = lambda h, n=0: struct.pack("<Q", len(h)) + h.encode() + bytes(n)
entry = '{"a":{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}}'
keep("safetensors", "whole", header(entry % ("[2]", 0, 8), 8))
keep("safetensors", "long", struct.pack("<Q", 2**64 - 1))
keep("safetensors", "nested", header("[" * 200))
keep("safetensors", "axes", header(entry % ("[0,4611686018427387904,4611686018427387904]", 0, 0)))
keep("safetensors", "offsets", header(entry % ("[2]", 2**63, 8), 8))

name2 = lambda s: struct.pack("<H", len(s) + 1) + s.encode() + b"\0"
tensor2 = lambda n, kind, shape, length, data: name2(n) + bytes([len(shape)]) + struct.pack(f"<{len(shape)}I", *shape) + bytes([kind]) + struct.pack("<I", length) + data
model2 = lambda tensors, others=b"", n=0: struct.pack("<I", 6) + name2("WhisperSpec") + struct.pack("<II", 3, len(tensors)) + b"".join(tensors) + struct.pack("<I", n) + others
keep("ctranslate2", "whole", model2([tensor2("w", 1, [2, 2], 4, bytes(4)), tensor2("w_scale", 0, [2], 8, bytes(8)), tensor2("n", 2, [], 2, b"\6\0")], name2("v") + name2("n"), 1))
keep("ctranslate2", "long", model2([tensor2("w", 0, [2], 2**32 - 1, bytes(8))]))
keep("ctranslate2", "axes", model2([tensor2("w", 0, [0] + [2**32 - 1] * 7, 0, b"")]))
keep("ctranslate2", "many", struct.pack("<I", 6) + name2("WhisperSpec") + struct.pack("<II", 3, 2**32 - 1))
keep("ctranslate2", "no-scale", model2([tensor2("w", 1, [4], 4, bytes(4))]))

varint = lambda n: bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
field = lambda number, data: varint(number << 3 | 2) + varint(len(data)) + data
piece = lambda s, score, kind=1: field(1, field(1, s.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind))
pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u2581a", -1, 1), ("a", -2, 1), ("\u2581", -3, 1)]
model = b"".join(piece(*p) for p in pieces)
keep("sentencepiece", "whole", model + field(2, b"\x18\x01") + field(3, b""))
keep("sentencepiece", "map-lies", model + field(3, field(2, b"\x04\0\0\0\xff\xff\xff\xff")))
keep("sentencepiece", "long", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
keep("sentencepiece", "scores", b"".join(piece(s, float("nan"), k) for s, _, k in pieces))


def tokenizer(**parts):
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None, "model": {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"}}
    return {**base, **parts}


replace = lambda a, b: {"type": "Replace", "pattern": {"String": a}, "content": b}
chain = lambda steps: {"type": "Sequence", "normalizers": steps}
keep("tokenizer", "whole", tokenizer(pre_tokenizer={"type": "Whitespace"}))
keep("tokenizer", "doubling", tokenizer(normalizer=chain([replace("a", "aa")] * 30)))
keep("tokenizer", "prepending", tokenizer(normalizer=chain([{"type": "Prepend", "prepend": "x" * 400}, replace("x", "x" * 400)])))
keep("tokenizer", "nothing", tokenizer(normalizer=chain([replace("", "xxxxxxxx")] * 9)))
keep("tokenizer", "map-empty", tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": ""}))
keep("tokenizer", "map-missing", tokenizer(normalizer={"type": "Precompiled"}))
keep("tokenizer", "map-lies", tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\x04\0\0\0\xff\xff\xff\x7f").decode()}))
keep("tokenizer", "regex", tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}))
keep("tokenizer", "regex-back", tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+\\1b"}, "behavior": "Isolated", "invert": False}))
keep("tokenizer", "pieces", tokenizer(pre_tokenizer={"type": "FixedLength", "length": 0}))
keep("tokenizer", "template", tokenizer(post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}],
     "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {}}))
keep("tokenizer", "prefix", tokenizer(model={"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]], "continuing_subword_prefix": "####"}))
keep("tokenizer", "ids", tokenizer(model={"type": "WordLevel", "vocab": {"a": 4294967295, "<unk>": 1}, "unk_token": "<unk>"}))

sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
clip = {"model_type": "clip", "projection_dim": 8, "text_config": {**sizes, "vocab_size": 9, "max_position_embeddings": 4},
        "vision_config": {**sizes, "image_size": 8, "patch_size": 4}}
keep("configuration", "clip", clip)
keep("configuration", "huge", {**clip, "text_config": {**clip["text_config"], "vocab_size": 1 << 24, "hidden_size": 1 << 16}})
keep("configuration", "whisper", json.dumps({"model_type": "whisper", "d_model": 8, "max_source_positions": 2**62}).encode() + b"\0"
     + json.dumps({"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 2**31}).encode() + b"\0"
     + json.dumps({"suppress_tokens": [-2, 2**40], "num_beams": 10**9}).encode())
own = {"model_type": "unisono", "format_version": 1, "model": {"embed_dim": 8, "text": {"vocab_size": 9, "context_length": 4,
       "transformer": {"width": 8, "depth": 1, "heads": 2}, "pooling": "mean"}}}
keep("configuration", "own", json.dumps(own).encode() + b"\0" + json.dumps({"text": {"context_length": 10**9, "tokens": 3}}).encode())
keep("configuration", "nested", b'{"model_type":' + b"[" * 300)



def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data, *kind in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind[0] if kind else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(data))
    # Without the zeros that fill the last block of twenty.
    return out.getvalue().rstrip(b"\0") + bytes(1024)


two = [("a.jpg", b"\xff\xd8"), ("a.json", b'{"text": ["x", "y"], "split": "train", "label": 3}'), ("b.txt", b"two")]
keep("shards", "whole", tar(*two))
keep("shards", "cut", tar(*two)[:1500])
keep("shards", "twice", tar(*two, ("a.txt", b"again")))
keep("shards", "leads", tar(("../../x.txt", b"up"), ("/x.txt", b"root"), ("l" * 120 + ".txt", b"long")))
keep("shards", "sparse", tar(("a.txt", b"holes", tarfile.GNUTYPE_SPARSE), ("b.txt", b"b")))
keep("shards", "sizes", tar(("a.txt", b"a")) [:1024] + tar(("b.txt", b"b")).replace(b"00000000001\0", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 1))
# What stands after a first byte of 1 is the index of the shard that was read before.
rows = b"unisono tar 1\n" + b"\x01a\x01\x03txt\x00\x80\x04\x01"
told = json.dumps({"stamp": "", "fields": "", "records": 1, "classes": [], "sum": "", "notes": []}).encode()
keep("shards", "index", b"\1" + rows + struct.pack("<QQ", 14, 2**63) + told + struct.pack("<Q", len(rows) + 16) + b"unisono\n")

header = {"format_version": 1, "model": {"path": "/none", "sha256": "00"}, "dim": 2, "count": 1, "modalities": {"text": 1}, "sum": "",
          "built": {"at": "2026-01-01T00:00:00Z", "unisono": "0.1.0", "inputs": {}, "batch": 32, "skipped": 0, "recalls": []}}
item = {"id": "a", "modality": "text", "text": "a"}
lines = lambda *all: b"".join(json.dumps(one).encode() + b"\n" for one in all)
keep("index", "whole", lines(header) + b"\0" + lines(item))
keep("index", "counts", lines({**header, "count": 2**63, "dim": 2**63, "modalities": {"text": 2**63}}) + b"\0" + lines(item))
keep("index", "parts", lines(header) + b"\0" + lines({**item, "start": "1/0", "end": -1e300, "path": "\u0000"}))
keep("index", "nested", b"[" * 300 + b"\0" + b"[" * 300)

total = lambda data: hashlib.sha256(data).hexdigest()[:32]
# A part's length stands before it: three files that are not there.
chunk = {"done": 3, "bytes": 24, "files": total(bytes(24)), "rows": total(bytes(24))}
keep("ledger", "chunk", b"\1" + lines(chunk))
keep("ledger", "skips", b"\1" + lines({**chunk, "skipped": [[2**63, ""], [0, ""], [0, ""]]}))
one = {"files": total(bytes(8))}
first, none = {"done": 1, **one, "bytes": 3, "rows": total(bytes(3))}, {"done": 2, "skipped": [[1, "b"]], **one, "bytes": 0, "rows": total(b"")}
keep("ledger", "lines", b"\1" + lines(first, none, {"done": 3, **one, "bytes": 2**64 - 1, "rows": ""}))
keep("ledger", "transcripts", b"\0" + lines({"file": "../a.txt", "id": "a", "source": "", "work": "", "sum": ""}))
keep("ledger", "torn", b'\0{"unisono":"embed","version":2,"wo')

keep("table", "whole", b'id,image,caption\r\na,a.png,"one, ""two""\nlines"\r\nb,b.png,three\r\n')
keep("table", "open", b'image,caption\na.png,"no end\nb.png,x\n')
keep("table", "behind", b'image,caption\na.png,"x"y\nb.png\n,,\n')
keep("table", "tabs", b'\tcaption\tfile_name\n0\t["x", "y"]\ta.mp4\n1\t"\tb\n')
keep("table", "joined", b'image,caption\na.png,x\na.png,y\nb.png,z\na.png,w\n')
keep("table", "address", b'filepath,title\nhttps://x.example/a.png,far\n../b.png,near\n')
keep("table", "wide", b"," * 20000 + b"\n")


def atom(name, body):
    return struct.pack(">I", 8 + len(body)) + name + body


whole_box = lambda name, body, version=0: atom(name, struct.pack(">I", version << 24) + body)


def heif(kind, derived, columns=1, offset=0, item=b"\x00\x00\x00\x01\x26"):
    """An image, or a grid of it, of 16 x 16 whose bytes are no decoder's."""
    ids = [1, 2] if derived else [1]
    infe = b"".join(whole_box(b"infe", struct.pack(">HH4sB", i, 0, kind if i == 1 else b"grid", 0), 2) for i in ids)
    properties = atom(b"ipco", atom(b"hvcC", bytes(16) + b"\x01\0\0\0\0\x03\0") + whole_box(b"ispe", struct.pack(">II", 16, 16)) + atom(b"irot", b"\x01"))
    owned = b"".join(struct.pack(">HBBBB", i, 3, 1, 2, 3) for i in ids)
    place = lambda i, method, start, length: struct.pack(">HHHHII", i, method, 0, 1, start, length)
    places = place(1, 1, offset, len(item)) + (place(2, 1, len(item), len(derived)) if derived else b"")
    refers = whole_box(b"iref", atom(b"dimg", struct.pack(">HH", 2, columns) + struct.pack(">H", 1) * columns)) if derived else b""
    return atom(b"ftyp", b"heic\0\0\0\0mif1") + whole_box(b"meta", whole_box(b"pitm", struct.pack(">H", ids[-1])) + whole_box(b"iinf", struct.pack(">H", len(ids)) + infe)
                + refers + atom(b"iprp", properties + whole_box(b"ipma", struct.pack(">I", len(ids)) + owned)) + atom(b"idat", item + derived)
                + whole_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(ids)) + places, 1))


keep("heif", "whole", heif(b"hvc1", b""))
keep("heif", "grid", heif(b"hvc1", struct.pack(">BBBBHH", 0, 0, 0, 0, 16, 16)))
keep("heif", "tiles", heif(b"hvc1", struct.pack(">BBBBHH", 0, 0, 0, 255, 4096, 16), 256))
keep("heif", "far", heif(b"hvc1", b"", offset=2**32 - 1))
keep("heif", "other", heif(b"unci", b""))
keep("heif", "itself", heif(b"grid", struct.pack(">BBBBHH", 0, 0, 0, 0, 16, 16)))
