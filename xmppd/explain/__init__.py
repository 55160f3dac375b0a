"""Explanations: what follows from the rules in the present state, in sentences. Nothing is changed
or sent.
"""
