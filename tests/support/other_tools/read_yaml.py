"""Prints what PyYAML reads on stdin, as JSON."""

import json
import sys

import yaml

print(json.dumps(yaml.safe_load(sys.stdin), default=str))
