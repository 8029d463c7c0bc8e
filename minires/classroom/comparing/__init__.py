"""What a function returned beside what it should: whether, where and how it differs."""
