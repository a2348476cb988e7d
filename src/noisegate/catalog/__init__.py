"""What data exists, as its custodian declares it."""
