"""Services that go on by a queue: each sends the messages, and takes them."""
