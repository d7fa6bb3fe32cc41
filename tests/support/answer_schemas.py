"""What the service may answer, by the schemas of its own OpenAPI document."""

import json

from jsonschema import Draft202012Validator, FormatChecker

from cds_hooks.web.openapi import SCHEMAS

_ANSWERS = json.loads((SCHEMAS / "answers.schema.json").read_text(encoding="utf-8"))
CHECKED = {
    name: Draft202012Validator(
        {"$ref": f"#/$defs/{name}", "$defs": _ANSWERS["$defs"]}, format_checker=FormatChecker()
    )
    for name in _ANSWERS["$defs"]
}
