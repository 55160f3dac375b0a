"""Streams with other servers: the domains they prove, and the stanzas that go and come by them."""
