"""The OpenAI chat-completions protocol as a provider."""
