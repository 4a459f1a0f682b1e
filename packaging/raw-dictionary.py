#!/usr/bin/env python3
"""Makes the dictionary that raw records are compressed with, from the demonstration's made-up conversations.

    chatloom demo --path demo.db && python3 packaging/raw-dictionary.py demo.db src/store/raw_records.dict

Needs `zstandard` from PyPI. Stored records can be read with their own dictionary alone, so one that was released is never
replaced: another one gets another ID and stands beside it."""

import re
import sqlite3
import sys

import zstandard

ID = 40_001
SIZE = 4096
# The text of a message is cut out of its record before that is compressed.
TEXTS = re.compile(rb'("(?:message_content|content)":)"(?:[^"\\]|\\.){46,}"')

HEAD = 6

store, out = sys.argv[1:]
try:
    with open(out, "rb") as file:
        known = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(file.read()))
except FileNotFoundError:
    known = zstandard.ZstdDecompressor()
samples = []
for codec, body in sqlite3.connect(store).execute("SELECT codec, body FROM raw_records WHERE length(body) > 0"):
    if codec == "zstd" and body[0] == 1:
        body = body[HEAD:]
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        body = known.decompress(body, max_output_size=1 << 24)
    samples.append(TEXTS.sub(rb"\1", bytes(body)))
dictionary = zstandard.train_dictionary(SIZE, samples, level=1, dict_id=ID)
with open(out, "wb") as file:
    file.write(dictionary.as_bytes())
plain, packed = zstandard.ZstdCompressor(level=1), zstandard.ZstdCompressor(level=1, dict_data=dictionary)
size = lambda packer: sum(len(packer.compress(sample)) for sample in samples) / len(samples)  # noqa: E731
print(f"{len(samples)} records: {size(plain):.0f} bytes each without, {size(packed):.0f} with the dictionary")
