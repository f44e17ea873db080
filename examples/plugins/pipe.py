import json
import sys

for line in sys.stdin.buffer:
    host, path, text = line.rstrip(b"\n").decode(errors="replace").split(" ", 2)
    print(json.dumps({"host": host, "path": path, "text": text}))
