"""The privacy statement of a dataset or a release: what NIST SP 800-226 asks to disclose."""
