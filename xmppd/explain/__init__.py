"""Why: what the rules make of the present state, in sentences. Nothing is changed, nothing sent."""
