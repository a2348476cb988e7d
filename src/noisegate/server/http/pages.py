"""Two plain pages: the status of the gateway at `/`, and its API at `/docs`, made from the OpenAPI document.

Server-rendered HTML and one style sheet, no scripts, no request to anywhere else. Nothing on them depends
on rows or on what anyone spent.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

CODE = re.compile("`([^`]+)`")
SHAPE = "shape-"
EXAMPLE = "SELECT count(*) FROM dataset.table"
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
<p>A question is SQL that aggregates. It needs a token, which the custodian of the data gives out, and the
address of this page:</p>
<pre tabindex="0"><code>export NOISEGATE_URL=… NOISEGATE_TOKEN=…
noisegate catalog show
noisegate ask "{EXAMPLE}"</code></pre>
<nav aria-label="More"><p><a href="/docs">API reference</a> · <a href="/openapi.json">OpenAPI document</a> ·
<a href="/healthz">Health</a></p></nav>
""",
    )


def _datasets(datasets: Sequence[Mapping[str, object]]) -> str:
    if not datasets:
        return "<p>None are registered.</p>"
    rows = "\n".join(_dataset(d) for d in datasets)
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="Datasets"><table>
<thead><tr><th scope="col">Name</th><th scope="col">Title</th>
<th scope="col">A person loses at most</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>"""


def _dataset(dataset: Mapping[str, object]) -> str:
    label = ' <span class="label">synthetic</span>' if dataset.get("synthetic") else ""
    limit = f"ε {dataset['epsilon']:g}, δ {dataset['delta']:g}"
    if dataset.get("until"):
        limit += f" until {str(dataset['until'])[:16].replace('T', ' ')} UTC"
    periods = dataset.get("periods", 1)
    if periods != 1:
        limit += (
            f"; ε {dataset['lifetime_epsilon']:g}, δ {dataset['lifetime_delta']:g} in all {periods} periods"
        )
    return (
        f'<tr><th scope="row"><code>{_text(dataset["name"])}</code></th>'
        f'<td>{_text(dataset["title"])}{label}</td><td class="whole">{_text(limit)}</td></tr>'
    )


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the page at `/docs` from an OpenAPI document."""
    operations = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    links = [_link(path, method) for path, methods in document["paths"].items() for method in methods]
    return _page(
        "Noisegate API",
        f"""<p class="lead">{_prose(document["info"].get("description", ""))}</p>
<p>Send the token as <code>Authorization: Bearer TOKEN</code>. The machine-readable form is
<a href="/openapi.json">/openapi.json</a>; the <a href="/">status</a> of this gateway is on its front page.
What is refused or fails comes as an <a href="#{SHAPE}ErrorReply">ErrorReply</a>.</p>
<nav aria-label="Operations"><ul>{"".join(links)}</ul></nav>
{"".join(operations)}
<h2>Shapes</h2>
{"".join(_shape(name, document) for name in _shapes(document))}""",
    )


def _link(path: str, method: str) -> str:
    return f'<li><a href="#{_anchor(path, method)}"><code>{method.upper()} {_text(path)}</code></a></li>'


def _anchor(path: str, method: str) -> str:
    return _text(method + path.replace("/", "-").replace("{", "").replace("}", ""))


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{_anchor(path, method)}"><h2>{_text(operation.get("summary", path))}</h2>',
        f"<p><code>{method.upper()} {_text(path)}</code></p>",
        *(f"<p>{_prose(block)}</p>" for block in operation.get("description", "").split("\n\n") if block),
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
        parts.append(f"<p>Replies with {_kind(answer)}.</p>")
    return "".join(parts) + "</section>"


def _shapes(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the replies' shapes; FastAPI's own, which no route gives, are left out."""
    return [name for name in document["components"]["schemas"] if name.endswith(("Reply", "Detail"))]


def _shape(name: str, document: Mapping[str, Any]) -> str:
    schema = document["components"]["schemas"][name]
    return f'<section id="{SHAPE}{_text(name)}"><h3>{_text(name)}</h3>{_schema("Fields", schema)}</section>'


def _schema(title: str, schema: Mapping[str, Any]) -> str:
    rows = ((n, f, f.get("description", "")) for n, f in schema.get("properties", {}).items())
    example = {n: f["examples"][0] for n, f in schema.get("properties", {}).items() if "examples" in f}
    text = _text(json.dumps(example, ensure_ascii=False))
    shown = f'<pre tabindex="0"><code>{text}</code></pre>' if example else ""
    about = schema.get("description", "")
    return (f"<p>{_prose(about)}</p>" if about else "") + _fields(title, rows) + shown


def _fields(title: str, rows: Iterable[tuple[str, Mapping[str, Any], str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row"><code>{_text(name)}</code></th><td>{_kind(schema)}</td>'
        f"<td>{_prose(about)}</td></tr>"
        for name, schema, about in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table>'
        f'<caption>{title}</caption><thead><tr><th scope="col">Name</th><th scope="col">Type</th>'
        f'<th scope="col">Meaning</th></tr></thead><tbody>{cells}</tbody></table></div>'
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what a value may be, as HTML; a shape is linked to its section."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(option) for option in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(_text(value) for value in schema["enum"])
    if "$ref" in schema:
        name = _text(str(schema["$ref"]).rsplit("/", 1)[-1])
        return f'<a href="#{SHAPE}{name}">{name}</a>'
    if schema.get("type") == "array":
        inner = _kind(schema.get("items", {}))
        return f"list of ({inner})" if " or " in inner else f"list of {inner}"
    return _text(schema.get("const", schema.get("type", "any")))


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


def _prose(text: str) -> str:
    """Return a text as HTML, with what stands between backticks as code."""
    return CODE.sub(r"<code>\1</code>", _text(text))


def _text(value: object) -> str:
    return html.escape(str(value))
