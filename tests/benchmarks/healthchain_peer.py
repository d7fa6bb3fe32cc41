"""A rule of the same kind in HealthChain: the newest B12 of a prefetched bundle, and a card.

It runs by an interpreter that has HealthChain, beside nothing of ours:

    PYTHON healthchain_peer.py PORT --workers 2
"""

import argparse

import uvicorn
from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.models import Card, CDSRequest, CDSResponse

LIMIT = 200  # ng/L

cds = CDSHooksService()
app = HealthChainAPI()


@cds.hook("patient-view", id="b12", title="B12", description="Low vitamin B12")
def b12(request: CDSRequest) -> CDSResponse:
    bundle = (request.prefetch or {}).get("observations") or {}
    found = [
        resource
        for entry in bundle.get("entry", ())
        if (resource := entry["resource"])["resourceType"] == "Observation"
        and any(coding.get("code") == "2132-9" for coding in resource["code"]["coding"])
    ]
    if not found:
        return CDSResponse(cards=[])
    newest = max(found, key=lambda resource: resource["effectiveDateTime"])
    value = newest["valueQuantity"]["value"]
    if value >= LIMIT:
        return CDSResponse(cards=[])
    said = f"Vitamin B12 is {value} ng/L, below {LIMIT} ng/L"
    return CDSResponse(
        cards=[Card(summary=said, indicator="warning", source={"label": "Rule"}, detail=said)]
    )


app.register_service(cds)

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    uvicorn.run(
        "healthchain_peer:app" if options.workers > 1 else app,
        port=options.port,
        workers=options.workers,
        log_level="warning",
        access_log=False,
    )
