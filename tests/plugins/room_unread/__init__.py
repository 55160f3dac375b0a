"""Tests of the plugin ``room_unread``."""
