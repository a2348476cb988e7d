"""Two plain pages: the status of the gateway at `/`, and its API at `/docs`, made from the OpenAPI document.

Server-rendered HTML and one style sheet, no scripts, no request to anywhere else. Nothing on them depends
on rows or on what anyone spent.
"""

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("style.css")


def status_page(health: Mapping[str, object], datasets: Sequence[Mapping[str, object]], version: str) -> str:
    """Return the page at `/`."""
    state = str(health.get("status", "unknown"))
    return _page(
        "Noisegate",
        f"""<p class="lead">A differential-privacy gateway for clinical and genomic data.
Version {_text(version)}.</p>
<p>Status: <strong class="{"good" if state == "ok" else "bad"}">{_text(state)}</strong></p>
<h2>Datasets</h2>
{_datasets(datasets)}
<h2>Ask</h2>
<p>Questions need a token, which the custodian of the data gives out:</p>
<pre><code>noisegate ask QUESTION --url URL --token TOKEN</code></pre>
<p><a href="/docs">API reference</a> · <a href="/openapi.json">OpenAPI document</a> ·
<a href="/healthz">health</a></p>
""",
    )


def _datasets(datasets: Sequence[Mapping[str, object]]) -> str:
    if not datasets:
        return "<p>None are registered.</p>"
    rows = "\n".join(_dataset(d) for d in datasets)
    return f"""<table>
<thead><tr><th scope="col">Name</th><th scope="col">Title</th>
<th scope="col">A person loses at most</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _dataset(dataset: Mapping[str, object]) -> str:
    label = ' <span class="label">synthetic</span>' if dataset.get("synthetic") else ""
    limit = f"ε {dataset['epsilon']:g}, δ {dataset['delta']:g}"
    return (
        f"<tr><td><code>{_text(dataset['name'])}</code></td>"
        f"<td>{_text(dataset['title'])}{label}</td><td>{_text(limit)}</td></tr>"
    )


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the page at `/docs` from an OpenAPI document."""
    operations = [
        _operation(path, method, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    links = [_link(path, method) for path, methods in document["paths"].items() for method in methods]
    return _page(
        "Noisegate API",
        f"""<p class="lead">{_text(document["info"].get("description", ""))}</p>
<p>Send the token as <code>Authorization: Bearer TOKEN</code>. The machine-readable form is
<a href="/openapi.json">/openapi.json</a>.</p>
<nav aria-label="Operations"><ul>{"".join(links)}</ul></nav>
{"".join(operations)}""",
    )


def _link(path: str, method: str) -> str:
    return f'<li><a href="#{_anchor(path, method)}"><code>{method.upper()} {_text(path)}</code></a></li>'


def _anchor(path: str, method: str) -> str:
    return _text(method + path.replace("/", "-").replace("{", "").replace("}", ""))


def _operation(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{_anchor(path, method)}"><h2>{_text(operation.get("summary", path))}</h2>',
        f"<p><code>{method.upper()} {_text(path)}</code></p>",
        *(f"<p>{_text(block)}</p>" for block in operation.get("description", "").split("\n\n") if block),
    ]
    parameters = operation.get("parameters", ())
    if parameters:
        parts.append(
            _fields("Parameters", ((p["name"], p["schema"], p.get("description", "")) for p in parameters))
        )
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        parts.append(_schema("Body", schema))
    answer = (
        operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema")
    )
    if answer and "$ref" in answer:
        parts.append(_schema("Reply", _resolved(answer, document)))
    return "".join(parts) + "</section>"


def _schema(title: str, schema: Mapping[str, Any]) -> str:
    rows = ((n, f, f.get("description", "")) for n, f in schema.get("properties", {}).items())
    example = {n: f["examples"][0] for n, f in schema.get("properties", {}).items() if "examples" in f}
    shown = f"<pre><code>{_text(json.dumps(example, ensure_ascii=False))}</code></pre>" if example else ""
    about = schema.get("description", "")
    return (f"<p>{_text(about)}</p>" if about else "") + _fields(title, rows) + shown


def _fields(title: str, rows: Iterable[tuple[str, Mapping[str, Any], str]]) -> str:
    cells = "".join(
        f"<tr><td><code>{_text(name)}</code></td><td>{_text(_kind(schema))}</td><td>{_text(about)}</td></tr>"
        for name, schema, about in rows
    )
    return (
        f'<table><thead><tr><th scope="col">{title}</th><th scope="col">Type</th>'
        f'<th scope="col">Meaning</th></tr></thead><tbody>{cells}</tbody></table>'
    )


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(option) for option in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("const", schema.get("type", "any")))


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<h1>{_text(title)}</h1>
{body}</main>
</body>
</html>
"""


def _text(value: object) -> str:
    return html.escape(str(value))
