"""`noisegate serve`."""

from starlette.types import ASGIApp

import noisegate
from noisegate.app import Gateway
from noisegate.cli import show
from noisegate.cli.door import OPERATOR
from noisegate.cli.local import gateway_of
from noisegate.config import Config
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role
from noisegate.server.http.app import build_app
from noisegate.server.serve import address, listen, run


def serve_until_stopped(config: Config, *, as_json: bool) -> None:
    """Serve the HTTP interface until the process is told to stop."""
    # Bound first: a taken port is told before datasets are registered.
    with listen(config.host, config.port) as bound, gateway_of(config, show.progress()) as gateway:
        url = address(bound)
        if as_json:
            show.as_json({"url": url})
        else:
            show.out().print(f"Noisegate serves {url} (API reference: {url}/docs). Ctrl-C stops it.")
        if not gateway.list_tokens(Asker(OPERATOR, Role.CUSTODIAN, None)):
            show.progress().print(
                "There are no tokens yet: stop, `noisegate token create NAME --role custodian`, serve again.",
                markup=False,
            )
        gateway.genomes.begin_making()
        run(application(gateway, config), bound)


def application(gateway: Gateway, config: Config) -> ASGIApp:
    """Return the HTTP application of a gateway under a configuration."""
    return build_app(
        gateway,
        version=noisegate.__version__,
        max_request_bytes=config.max_request_bytes,
        padding_ms=config.padding_ms,
        max_in_flight=config.max_in_flight,
    )
