"""Tables, each beside its page."""
