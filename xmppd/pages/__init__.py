"""Pages for people: who looks at them, what they are made of, and the frame around them."""
