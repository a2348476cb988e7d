"""The one door: authorise, price, charge, work, receipt."""
