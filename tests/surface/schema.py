"""Judges TOML files by a JSON Schema: `schema.py SCHEMA FILE...` prints a JSON list, the errors of each file."""

import json
import sys
import tomllib

import jsonschema

with open(sys.argv[1], "rb") as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)


def errors(path):
    with open(path, "rb") as file:
        document = tomllib.load(file)
    found = sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.path)))
    return ["/".join(map(str, error.path)) + ": " + error.message for error in found]


print(json.dumps([errors(path) for path in sys.argv[2:]]))
