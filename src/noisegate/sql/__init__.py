"""SQL text becomes a plan of our own words, or is refused with a reason and a way out."""

from noisegate.sql.canonical import fingerprint
from noisegate.sql.describe import describe
from noisegate.sql.planner import read

__all__ = ["describe", "fingerprint", "read"]
