"""Accounts, charges, receipts, stored answers and tokens, in one durable place."""
