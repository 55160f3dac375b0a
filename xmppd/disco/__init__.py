"""What an entity says of itself: :xep:`0030`."""
