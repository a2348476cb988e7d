"""Whether findings that somebody reported agree with what was shared of the data they were made on."""
