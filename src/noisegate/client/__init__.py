"""The Python client. It speaks HTTP and knows nothing of what is behind it."""

from noisegate.client.answer import Answer, Cell, Column
from noisegate.client.http import Client, connect

__all__ = ["Answer", "Cell", "Client", "Column", "connect"]
