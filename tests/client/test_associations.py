"""Association through the Python client: what is sent, and that it comes back as an answer."""

import json
from fractions import Fraction
from typing import Any

import httpx2
import pytest

from noisegate.client import connect
from noisegate.errors import BadInput

REPLY: dict[str, Any] = {
    "columns": [
        {"name": "variant", "type": "str", "unit": "", "key": True},
        {"name": "odds_ratio", "type": "float", "unit": "", "key": False},
        {"name": "p", "type": "float", "unit": "", "key": True},
    ],
    "rows": [["rs1", {"value": 1.5, "low": 1.1, "high": None}, 1e-9]],
    "confidence": 0.95,
    "loss": {"nominal_epsilon": 1.0, "epsilon": 1.0, "delta": 0.0, "unit": "person"},
    "budget": {"spent": 1.0, "left": 5.0, "delta": 1e-6, "more_like_this": 5},
    "replayed": False,
    "receipt": {"id": "panel:3", "hash": "ab"},
    "people": 100,
}


def test_an_association_is_sent_with_what_was_given_and_a_key() -> None:
    seen: list[tuple[str, dict[str, Any], str | None]] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        key = request.headers.get("idempotency-key")
        seen.append((request.url.path, json.loads(request.content), key))
        return httpx2.Response(200, json=REPLY)

    with connect("http://gateway.test", "token", transport=httpx2.MockTransport(handler)) as client:
        found = client.associate(
            "panel.snps", cases="panel.ill", variants=("rs1",), epsilon=Fraction(1, 2), idempotency_key="k"
        )
        client.explain_association("panel.snps", cases="panel.ill", among="panel.adults", top=3)
        with pytest.raises(BadInput):
            client.associate("panel.snps", cases="panel.ill", top=1, epsilon=True)
    assert seen == [
        (
            "/v1/genomes/associations",
            {"genotypes": "panel.snps", "cases": "panel.ill", "variants": ["rs1"], "epsilon": 0.5},
            "k",
        ),
        (
            "/v1/genomes/associations/explain",
            {"genotypes": "panel.snps", "cases": "panel.ill", "among": "panel.adults", "top": 3},
            None,
        ),
    ]
    assert found.to_columns() == {
        "variant": ["rs1"],
        "odds_ratio": [1.5],
        "odds_ratio_low": [1.1],
        "odds_ratio_high": [None],
        "p": [1e-9],
    }
    assert found.json["people"] == 100
