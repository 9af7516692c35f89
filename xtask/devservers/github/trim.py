#!/usr/bin/env python3
"""Makes openapi.json of GitHub's published description: the operations that the stand-in answers, as JSON Schema.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python3 trim.py package/generated/api.github.com.json > openapi.json

Texts and examples go; `nullable` of OpenAPI 3.0 becomes a type of JSON Schema; references and what they lead to stay.
"""

import json
import pathlib
import sys

OPERATIONS = pathlib.Path(__file__).with_name("operations.txt")
# The name under which the validator finds the components.
ROOT = "urn:github#/components/"
DROPPED = {"description", "example", "examples", "title", "externalDocs", "discriminator", "deprecated", "default"}


def main():
    whole = json.load(open(sys.argv[1]))
    trimmed = {"version": whole["info"]["version"], "paths": {}, "components": {}}
    for line in OPERATIONS.read_text().split("\n"):
        if not line or line.startswith("#"):
            continue
        methods, path = line.split()
        for method in methods.split(","):
            operation = whole["paths"][path][method.lower()]
            trimmed["paths"].setdefault(path, {})[method] = schemas_of(whole, operation)
    keep_references(whole, trimmed["paths"], trimmed["components"])
    trimmed["paths"] = dict(sorted(trimmed["paths"].items()))
    trimmed["components"] = dict(sorted(trimmed["components"].items()))
    # An operation and a component a line: a new version of the description then shows a difference that can be read.
    print('{"version":%s,\n"paths":{' % json.dumps(trimmed["version"]))
    print(",\n".join(row(path, value) for path, value in trimmed["paths"].items()))
    print('},\n"components":{')
    print(",\n".join(row(name, value) for name, value in trimmed["components"].items()))
    print("}}")


def row(key, value):
    return json.dumps(key) + ":" + json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def schemas_of(whole, operation):
    """What an operation takes and answers."""
    kept = {"id": operation["operationId"], "query": {}, "responses": {}}
    for parameter in operation.get("parameters", []):
        parameter = resolve(whole, parameter)
        if parameter["in"] == "query":
            kept["query"][parameter["name"]] = schema(parameter["schema"])
    if "servers" in operation:
        kept["server"] = operation["servers"][0]["url"]
    body = operation.get("requestBody")
    if body:
        content = body["content"]
        kept["body"] = schema(content["application/json"]["schema"]) if "application/json" in content else {}
        kept["bodyRequired"] = body.get("required", False)
    for status, response in operation["responses"].items():
        content = resolve(whole, response).get("content", {})
        kept["responses"][status] = schema(content["application/json"]["schema"]) if "application/json" in content else None
    return kept


def resolve(whole, value):
    while "$ref" in value:
        found = whole
        for name in value["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        value = found
    return value


def schema(value):
    """A schema of OpenAPI 3.0 as one of JSON Schema."""
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return {"$ref": value["$ref"].replace("#/components/schemas/", ROOT)}
    kept = {}
    for key, part in value.items():
        if key in DROPPED or key.startswith("x-") or key == "nullable":
            continue
        if key == "properties":
            kept[key] = {name: schema(inner) for name, inner in part.items()}
        elif key in ("items", "additionalProperties", "not"):
            kept[key] = schema(part)
        elif key in ("oneOf", "anyOf", "allOf"):
            kept[key] = [schema(inner) for inner in part]
        else:
            kept[key] = part
    if value.get("nullable"):
        kept = nullable(kept)
    return kept


def nullable(kept):
    if "enum" in kept and None not in kept["enum"]:
        kept["enum"] = [*kept["enum"], None]
    if isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    elif any(key in kept for key in ("oneOf", "anyOf", "allOf")):
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def keep_references(whole, value, components):
    """Adds the components that a value refers to, and what those refer to."""
    if isinstance(value, list):
        for part in value:
            keep_references(whole, part, components)
    elif isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix(ROOT)
            if name not in components:
                components[name] = schema(whole["components"]["schemas"][name])
                keep_references(whole, components[name], components)
        for part in value.values():
            keep_references(whole, part, components)


if __name__ == "__main__":
    main()
