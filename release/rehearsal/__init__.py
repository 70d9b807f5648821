"""Local stand-ins for Apple's services and for the public side."""
