"""Two reports a release: the custodian's, exact, which never leaves, and one for whoever gets the release."""

from noisegate.genomics.report.documents import (
    custodian_report,
    shareable_report,
    write_custodian,
    write_shareable,
)

__all__ = ["custodian_report", "shareable_report", "write_custodian", "write_shareable"]
