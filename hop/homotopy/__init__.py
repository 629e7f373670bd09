"""The homotopy itself: the path through (s, ε) and the terms of the loss."""
