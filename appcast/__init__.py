"""Sparkle's feed as a library: model, XML, signatures, what a client would do."""
