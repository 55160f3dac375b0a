"""The set-up page of the manual, followed on a machine that has nothing yet."""
