import hashlib
import sys

lines, answers = sys.stdin.buffer, sys.stdout.buffer
while head := lines.readline():
    message = lines.read(int(head))
    answer = hashlib.sha256(message).hexdigest().encode() + b" " + message if message.strip() else b""
    answers.write(b"%d\n" % len(answer) + answer)
    answers.flush()
