"""What nodes of one service know of each other, and how they speak."""
