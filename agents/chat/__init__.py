"""What the chat page stands on: conversations, visitors and their limits, and the page itself."""
