"""Noisegate: a differential-privacy gateway for clinical and genomic data."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noisegate.client import Client

__version__ = "0.1.0"


def connect(url: str, token: str, *, timeout: float = 90.0) -> "Client":
    """Return a client of the gateway at `url`; see `noisegate.client.connect`."""
    # Loaded here, so that `import noisegate` and the library without a server stay light.
    from noisegate.client import connect as open_client

    return open_client(url, token, timeout=timeout)
