"""Disturbing whole sublayers by what they give: attention and feed-forward parts alike."""
