"""Authentication, resource binding and resumption on a client's stream."""
