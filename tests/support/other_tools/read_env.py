"""Prints what python-dotenv reads on stdin, as JSON, without expanding variables."""

import io
import json
import sys

from dotenv import dotenv_values

text = sys.stdin.buffer.read().decode()
print(json.dumps(dotenv_values(stream=io.StringIO(text, newline=""), interpolate=False)))
